//! Answers about a certificate (OCSP, RFC 6960) that are stapled to handshakes: whether one is fit for that.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{GeneralizedTime, Oid};
use x509_parser::der_parser::asn1_rs::{Any, Class, FromDer, Tag};
use x509_parser::prelude::X509Certificate;

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Good,
    Revoked,
    Unknown,
}

/// An answer as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub state: State,
    /// Since the Unix epoch, in seconds.
    pub this_update: i64,
    pub next_update: i64,
    pub name_hash: Vec<u8>,
    pub key_hash: Vec<u8>,
    pub serial: Vec<u8>,
}

/// How far clocks may differ.
const SKEW_S: i64 = 300;

/// Whether a certificate says that another one signed it.
pub fn is_issuer(own: &CertificateDer<'_>, candidate: &CertificateDer<'_>) -> bool {
    let (Ok((_, own)), Ok((_, candidate))) =
        (X509Certificate::from_der(own), X509Certificate::from_der(candidate))
    else {
        return false;
    };
    own.issuer().as_raw() == candidate.subject().as_raw()
}

/// The content of the next element, which must be of a tag, and what follows it.
pub(super) fn element(bytes: &[u8], class: Class, tag: u32) -> Option<(&[u8], &[u8])> {
    let (rest, any) = Any::from_der(bytes).ok()?;
    (any.class() == class && any.tag() == Tag(tag)).then_some((any.data, rest))
}

pub(super) fn sequence(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    element(bytes, Class::Universal, 16)
}

pub(super) fn octets(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    element(bytes, Class::Universal, 4)
}

/// The bytes of the basic response within an answer that succeeded.
pub(super) fn basic(response: &[u8]) -> Result<&[u8], &'static str> {
    let unreadable = "Unable to parse OCSP response";
    let (outer, _) = sequence(response).ok_or(unreadable)?;
    let (status, rest) = element(outer, Class::Universal, 10).ok_or(unreadable)?;
    if status != [0] {
        return Err("OCSP response status not successful");
    }
    let (tagged, _) = element(rest, Class::ContextSpecific, 0).ok_or(unreadable)?;
    let (bytes, _) = sequence(tagged).ok_or(unreadable)?;
    let (_, rest) = element(bytes, Class::Universal, 6).ok_or(unreadable)?;
    Ok(octets(rest).ok_or(unreadable)?.0)
}

/// The single answers of a response.
fn singles(response: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    let basic = basic(response)?;
    let read = || {
        let (bytes, _) = sequence(basic)?;
        let (mut data, _) = sequence(bytes)?;
        // The version is there only where it is another.
        if let Some((_, rest)) = element(data, Class::ContextSpecific, 0) {
            data = rest;
        }
        let (_, rest) = Any::from_der(data).ok().map(|(rest, any)| (any, rest))?;
        let (_, rest) = element(rest, Class::Universal, 24)?;
        Some(sequence(rest)?.0)
    };
    Ok(read())
}

fn time(bytes: &[u8]) -> Option<i64> {
    let (_, time) = GeneralizedTime::from_der(bytes).ok()?;
    Some(time.utc_datetime().ok()?.unix_timestamp())
}

struct Single<'a> {
    hash: Vec<u8>,
    name_hash: &'a [u8],
    key_hash: &'a [u8],
    serial: &'a [u8],
    state: State,
    this_update: i64,
    next_update: Option<i64>,
}

fn single(bytes: &[u8]) -> Option<Single<'_>> {
    let (id, rest) = sequence(bytes)?;
    let (algorithm, id) = sequence(id)?;
    let hash = Oid::from_der(algorithm).ok()?.1.to_id_string().into_bytes();
    let (name_hash, id) = octets(id)?;
    let (key_hash, id) = octets(id)?;
    let (serial, _) = element(id, Class::Universal, 2)?;
    let (after, state) = Any::from_der(rest).ok()?;
    let state = match (state.class(), state.tag().0) {
        (Class::ContextSpecific, 0) => State::Good,
        (Class::ContextSpecific, 1) => State::Revoked,
        _ => State::Unknown,
    };
    let this_update = time(after)?;
    let (after, _) = Any::from_der(after).ok()?;
    let next_update = match element(after, Class::ContextSpecific, 0) {
        Some((tagged, _)) => Some(time(tagged)?),
        None => None,
    };
    Some(Single { hash, name_hash, key_hash, serial, state, this_update, next_update })
}

/// An answer that was not asked for.
pub const OTHER: &str = "OCSP single response: Certificate ID does not match certificate and issuer";

/// The certificate of a chain and the one that signed it, which may be of a file of its own.
pub fn pair<'a>(
    chain: &'a [CertificateDer<'static>],
    issuer: Option<&'a CertificateDer<'static>>,
) -> Option<(&'a CertificateDer<'static>, &'a CertificateDer<'static>)> {
    let own = chain.first()?;
    let issuer = chain.iter().skip(1).chain(issuer).find(|candidate| is_issuer(own, candidate))?;
    Some((own, issuer))
}

/// Reads an answer about a certificate; the reason where it is not one.
pub fn read(
    response: &[u8],
    own: &CertificateDer<'_>,
    issuer: &CertificateDer<'_>,
) -> Result<Answer, &'static str> {
    let answers = singles(response)?.ok_or("OCSP response without a basic response")?;
    let (bytes, rest) =
        sequence(answers).ok_or("OCSP response ignored because it contains no single response")?;
    if !rest.is_empty() {
        return Err("OCSP response ignored because contains multiple single responses");
    }
    let single = single(bytes).ok_or("Unable to parse OCSP response")?;
    let next_update = single.next_update.ok_or("OCSP single response: missing nextupdate")?;
    if !is_about(&single, own, issuer) {
        return Err(OTHER);
    }
    Ok(Answer {
        state: single.state,
        this_update: single.this_update,
        next_update,
        name_hash: single.name_hash.to_vec(),
        key_hash: single.key_hash.to_vec(),
        serial: single.serial.to_vec(),
    })
}

/// The same where it can be stapled now.
pub fn check(
    response: &[u8],
    own: &CertificateDer<'_>,
    issuer: &CertificateDer<'_>,
    now: i64,
) -> Result<Answer, &'static str> {
    let answer = read(response, own, issuer)?;
    match answer {
        Answer { state: State::Unknown, .. } => Err("OCSP single response: certificate status is unknown"),
        Answer { this_update, .. } if this_update > now + SKEW_S => {
            Err("OCSP single response: not yet valid")
        }
        Answer { next_update, .. } if next_update < now - SKEW_S => {
            Err("OCSP single response: no longer valid.")
        }
        answer => Ok(answer),
    }
}

fn is_about(single: &Single<'_>, own: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let (Ok((_, own)), Ok((_, issuer))) = (X509Certificate::from_der(own), X509Certificate::from_der(issuer))
    else {
        return false;
    };
    let algorithm = match single.hash.as_slice() {
        b"1.3.14.3.2.26" => &SHA1_FOR_LEGACY_USE_ONLY,
        b"2.16.840.1.101.3.4.2.1" => &SHA256,
        b"2.16.840.1.101.3.4.2.2" => &SHA384,
        b"2.16.840.1.101.3.4.2.3" => &SHA512,
        _ => return false,
    };
    digest(algorithm, issuer.subject().as_raw()).as_ref() == single.name_hash
        && digest(algorithm, &issuer.public_key().subject_public_key.data).as_ref() == single.key_hash
        && own.raw_serial() == single.serial
}
