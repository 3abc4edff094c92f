//! An answer about a certificate (OCSP) as OpenSSL prints it, up to its signature.

use x509_parser::asn1_rs::{GeneralizedTime, Oid};
use x509_parser::der_parser::asn1_rs::{Any, Class, FromDer};
use x509_parser::prelude::ASN1Time;
use x509_parser::x509::X509Name;

use super::show;
use crate::tls::info::Dn;
use crate::tls::ocsp::{basic, element, octets, sequence};
use crate::tls::oid;

/// Bytes on a line of a signature.
const ON_A_LINE: usize = 18;

const REASONS: [(u8, &str); 9] = [
    (0, "unspecified"),
    (1, "keyCompromise"),
    (2, "cACompromise"),
    (3, "affiliationChanged"),
    (4, "superseded"),
    (5, "cessationOfOperation"),
    (6, "certificateHold"),
    (8, "removeFromCRL"),
    (9, "privilegeWithdrawn"),
];

/// `None` for what is no answer.
pub(super) fn text(response: &[u8]) -> Option<String> {
    let (whole, _) = sequence(basic(response).ok()?)?;
    let (data, signed) = sequence(whole)?;
    let (version, data) = match element(data, Class::ContextSpecific, 0) {
        Some((tagged, rest)) => (*element(tagged, Class::Universal, 2)?.0.last()?, rest),
        None => (0, data),
    };
    let (produced, responder) = Any::from_der(data).ok()?;
    let responder = match responder.tag().0 {
        1 => Dn::of(&X509Name::from_der(responder.data).ok()?.1).oneline(),
        _ => show::hex(octets(responder.data)?.0),
    };
    let (produced_at, rest) = date(produced)?;
    let mut text = format!(
        "OCSP Response Data:\n    OCSP Response Status: successful (0x0)\n    Response Type: Basic OCSP Response\n    Version: {} ({version:#x})\n    Responder Id: {responder}\n    Produced At: {produced_at}\n    Responses:\n",
        u32::from(version) + 1,
    );
    let (mut answers, _) = sequence(rest)?;
    while !answers.is_empty() {
        let (one, rest) = sequence(answers)?;
        text += &single(one)?;
        answers = rest;
    }
    let (algorithm, signature) = sequence(signed)?;
    let algorithm = Oid::from_der(algorithm).ok()?.1.to_id_string();
    text += &format!("    Signature Algorithm: {}\n    Signature Value:\n", oid::long_name(&algorithm));
    let (bits, _) = element(signature, Class::Universal, 3)?;
    let bytes: Vec<String> = bits.iter().skip(1).map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<String> =
        bytes.chunks(ON_A_LINE).map(|line| format!("        {}", line.join(":"))).collect();
    Some(text + &lines.join(":\n") + "\n")
}

fn date(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (rest, time) = GeneralizedTime::from_der(bytes).ok()?;
    let moment = time.utc_datetime().ok()?.unix_timestamp();
    Some((show::date(&ASN1Time::from_timestamp(moment).ok()?), rest))
}

fn single(bytes: &[u8]) -> Option<String> {
    let (id, rest) = sequence(bytes)?;
    let (algorithm, id) = sequence(id)?;
    let algorithm = match Oid::from_der(algorithm).ok()?.1.to_id_string().as_str() {
        "1.3.14.3.2.26" => "sha1".to_owned(),
        "2.16.840.1.101.3.4.2.1" => "sha256".to_owned(),
        other => oid::short_name(other),
    };
    let (name_hash, id) = octets(id)?;
    let (key_hash, id) = octets(id)?;
    let (serial, _) = element(id, Class::Universal, 2)?;
    let mut text = format!(
        "    Certificate ID:\n      Hash Algorithm: {algorithm}\n      Issuer Name Hash: {}\n      Issuer Key Hash: {}\n      Serial Number: {}\n",
        show::hex(name_hash),
        show::hex(key_hash),
        show::hex(show::number(serial)),
    );
    let (rest, status) = Any::from_der(rest).ok()?;
    match status.tag().0 {
        0 => text += "    Cert Status: good\n",
        1 => {
            let (moment, reason) = date(status.data)?;
            text += &format!("    Cert Status: revoked\n    Revocation Time: {moment}\n");
            let reason = element(reason, Class::ContextSpecific, 0);
            let reason =
                reason.and_then(|(tagged, _)| element(tagged, Class::Universal, 10)?.0.last().copied());
            if let Some(reason) = reason {
                let name = REASONS.iter().find(|(of, _)| *of == reason).map_or("(UNKNOWN)", |(_, name)| name);
                text += &format!("    Revocation Reason: {name} ({reason:#x})\n");
            }
        }
        _ => text += "    Cert Status: unknown\n",
    }
    let (this, rest) = date(rest)?;
    text += &format!("    This Update: {this}\n");
    if let Some((tagged, _)) = element(rest, Class::ContextSpecific, 0) {
        text += &format!("    Next Update: {}\n", date(tagged)?.0);
    }
    Some(text + "\n")
}
