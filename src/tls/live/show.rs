//! Certificates and lists as the runtime API prints them.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use x509_parser::prelude::{ASN1Time, CertificateRevocationList, FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::tls::crt_list::Line;
use crate::tls::info::{Certificate, sha1};
use crate::tls::material::Material;
use crate::tls::ocsp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// The bytes of a positive number.
pub(super) fn number(raw: &[u8]) -> &[u8] {
    match raw {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

/// The answer that a certificate has.
pub(super) fn staple(material: &Material) -> Option<String> {
    super::answer::text(material.certified.key.ocsp.as_ref()?)
}

/// As OpenSSL prints it.
pub(super) fn date(time: &ASN1Time) -> String {
    let moment = time.to_datetime();
    let month =
        MONTHS.get(usize::from(u8::from(moment.month())).saturating_sub(1)).copied().unwrap_or_default();
    let (hour, minute, second) = moment.to_hms();
    format!("{month} {:2} {hour:02}:{minute:02}:{second:02} {} GMT", moment.day(), moment.year())
}

pub(super) fn dates(der: &[u8]) -> Option<(String, String)> {
    let (_, of) = X509Certificate::from_der(der).ok()?;
    Some((date(&of.validity().not_before), date(&of.validity().not_after)))
}

/// The kind of a key and its bits.
fn algorithm(of: &X509Certificate<'_>) -> String {
    match of.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA{}", key.key_size()),
        // The point is one byte and two numbers; those of P-521 are rounded up to bytes.
        Ok(PublicKey::EC(point)) => match point.key_size() {
            528 => "EC521".into(),
            bits => format!("EC{bits}"),
        },
        _ => Certificate::read(of.as_raw()).map(|of| of.key_algorithm()).unwrap_or_default(),
    }
}

/// The lines about a certificate that all answers share.
pub(super) fn facts(der: &[u8]) -> String {
    let (Ok((_, parsed)), Some(of)) = (X509Certificate::from_der(der), Certificate::read(der)) else {
        return String::new();
    };
    let validity = parsed.validity();
    format!(
        "Serial: {}\nnotBefore: {}\nnotAfter: {}\nSubject Alternative Name: {}\nAlgorithm: {}\nSHA1 FingerPrint: {}\nSubject: {}\nIssuer: {}\n",
        hex(of.serial()),
        date(&validity.not_before),
        date(&validity.not_after),
        of.alternative_names(),
        algorithm(&parsed),
        hex(&sha1(der)),
        of.subject().line(),
        of.issuer().line(),
    )
}

/// A certificate and its chain.
pub(super) fn certificate(shown: &str, file: &str, status: &str, material: Option<&Material>) -> String {
    let mut text = format!("Filename: {shown}\n");
    if material.is_some() {
        text += &format!("Crt filename: {file}\n");
    }
    text += &format!("Option: ocsp-update off\nOption: jwt off\nStatus: {status}\n");
    if let Some(material) = material {
        let mut chain = material.certified.key.cert.iter();
        text += &chain.next().map(|own| facts(own)).unwrap_or_default();
        for link in chain.filter_map(|der| Certificate::read(der)) {
            let (subject, issuer) = (link.subject().line(), link.issuer().line());
            text += &format!("Chain Subject: {subject}\nChain Issuer: {issuer}\n");
        }
    }
    let key = material.and_then(certificate_id).unwrap_or_default();
    text + format!("OCSP Response Key: {key}").trim_end() + "\n"
}

/// By which an answer about a certificate is known (RFC 6960 section 4.1.1), in hexadecimal digits; `None` where it has no
/// answer.
pub(super) fn certificate_id(material: &Material) -> Option<String> {
    material.certified.key.ocsp.as_ref()?;
    let (own, issuer) = ocsp::pair(&material.certified.key.cert, material.issuer.as_ref())?;
    let (_, own) = X509Certificate::from_der(own).ok()?;
    let (_, issuer) = X509Certificate::from_der(issuer).ok()?;
    let hash = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
    let tagged = |tag: u8, bytes: &[u8]| -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap_or_default();
        [&[tag, length][..], bytes].concat()
    };
    let algorithm = [0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00];
    let body = [
        algorithm.to_vec(),
        tagged(4, &hash(issuer.subject().as_raw())),
        tagged(4, &hash(&issuer.public_key().subject_public_key.data)),
        tagged(2, own.raw_serial()),
    ]
    .concat();
    Some(hex(&tagged(0x30, &body)).to_ascii_lowercase())
}

pub(super) fn revocations(der: &[u8]) -> String {
    let Ok((_, list)) = CertificateRevocationList::from_der(der) else { return String::new() };
    let algorithm = crate::tls::oid::long_name(&list.signature_algorithm.algorithm.to_id_string());
    let version = list.version().map_or(1, |version| version.0 + 1);
    let mut text = format!(
        "Version {version}\nSignature Algorithm: {algorithm}\nIssuer: {}\nLast Update: {}\n",
        crate::tls::info::Dn::of(list.issuer()).line(),
        date(&list.last_update()),
    );
    if let Some(next) = list.next_update() {
        text += &format!("Next Update: {}\n", date(&next));
    }
    let mut revoked = list.iter_revoked_certificates().peekable();
    if revoked.peek().is_none() {
        return text + "No Revoked Certificates.\n";
    }
    text += "Revoked Certificates:\n";
    for one in revoked {
        text += &format!(
            "    Serial Number: {}\n        Revocation Date: {}\n",
            hex(number(one.raw_serial())),
            date(&one.revocation_date)
        );
    }
    text
}

/// A line of a list, with its number or without.
pub(super) fn line(line: &Line, is_numbered: bool) -> String {
    let mut text = line.crt.clone();
    if is_numbered {
        text += &format!(":{}", line.number);
    }
    if !line.option_words.is_empty() {
        text += &format!(" [{}]", line.option_words.join(" "));
    }
    for filter in &line.filters {
        text += &format!(" {filter}");
    }
    text + "\n"
}
