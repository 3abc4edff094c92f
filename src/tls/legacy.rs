//! What webpki does not read: certificates of X.509 version 1, which have no extensions, and lists of revocations of version
//! 1 or signed with SHA-1. A chain that begins with such a certificate is built and checked here, as OpenSSL does, and
//! lists of that kind are looked into here. What is not understood is refused.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use x509_parser::der_parser::asn1_rs::{Any, Class};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::ocsp::{element, sequence};
use super::provider::provider;
use super::trust::{Found, code};

/// Certificates of a chain at most, as OpenSSL's default has it for what stands between both ends.
const DEPTH: usize = 100;
/// Signatures that are checked while a chain is built.
const SIGNATURES: usize = 100;
/// `sha1WithRSAEncryption` (RFC 3279 section 2.2.1), with its parameters.
const SHA1_RSA: [u8; 13] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0];

/// Whether a certificate is of version 1.
pub fn is_version_1(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, of)| of.version().0 == 0)
}

/// Whether webpki cannot go by a list.
pub fn is_legacy_list(list: &CertificateRevocationListDer<'_>) -> bool {
    let Ok((_, read)) = CertificateRevocationList::from_der(list) else { return false };
    let is_version_1 = read.version().is_none_or(|version| version.0 == 0);
    is_version_1 || Signed::of(list).is_some_and(|of| of.algorithm == SHA1_RSA)
}

/// A certificate or list as it was signed.
struct Signed<'a> {
    message: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn of(der: &'a [u8]) -> Option<Signed<'a>> {
        let (whole, _) = sequence(der)?;
        let (rest, _) = Any::from_der(whole).ok()?;
        let message = whole.get(..whole.len() - rest.len())?;
        let (algorithm, rest) = sequence(rest)?;
        let (bits, _) = element(rest, Class::Universal, 3)?;
        let (unused, signature) = bits.split_first()?;
        (*unused == 0).then_some(Signed { message, algorithm, signature })
    }

    fn is_by(&self, key: &SubjectPublicKeyInfo<'_>, takes_sha1: bool) -> bool {
        let bits = &key.subject_public_key.data;
        if self.algorithm == SHA1_RSA {
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, bits);
            return takes_sha1 && key.verify(self.message, self.signature).is_ok();
        }
        let Some(of_key) = algorithm_of(key) else { return false };
        let algorithms = provider().signature_verification_algorithms.all;
        algorithms.iter().any(|algorithm| {
            algorithm.signature_alg_id().as_ref() == self.algorithm
                && algorithm.public_key_alg_id().as_ref() == of_key
                && algorithm.verify_signature(bits, self.message, self.signature).is_ok()
        })
    }
}

fn algorithm_of<'a>(key: &SubjectPublicKeyInfo<'a>) -> Option<&'a [u8]> {
    Some(sequence(sequence(key.raw)?.0)?.0)
}

/// Whether what a handshake signed is by the key of a certificate, whichever version that has.
pub fn is_signed(message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let key = certificate.public_key();
    let Some(of_key) = algorithm_of(key) else { return false };
    let all = provider().signature_verification_algorithms.mapping;
    let of_scheme = |(scheme, _): &&(SignatureScheme, _)| *scheme == signed.scheme;
    let algorithms = all.iter().find(of_scheme).map(|(_, algorithms)| *algorithms).unwrap_or_default();
    algorithms.iter().any(|algorithm| {
        algorithm.public_key_alg_id().as_ref() == of_key
            && algorithm.verify_signature(&key.subject_public_key.data, message, signed.signature()).is_ok()
    })
}

/// The key of a certificate.
pub fn key(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.public_key().raw.to_vec().into())
}

fn is_self_issued(of: &X509Certificate<'_>) -> bool {
    of.subject().as_raw() == of.issuer().as_raw()
}

/// A chain from a certificate up to one that signed itself, as far as it could be built.
pub struct Path<'a> {
    chain: Vec<X509Certificate<'a>>,
    /// Why it is not whole.
    gap: Option<Found>,
}

impl<'a> Path<'a> {
    /// `others`: what came with it. `trusted`: the certificates of the files of authorities.
    pub fn build(
        own: &'a CertificateDer<'_>,
        others: &'a [CertificateDer<'_>],
        trusted: &'a [CertificateDer<'static>],
    ) -> Path<'a> {
        let parse = |der: &'a [u8]| X509Certificate::from_der(der).ok().map(|(_, of)| of);
        let Some(own) = parse(own) else {
            return Path { chain: Vec::new(), gap: Some((code::UNSPECIFIED, 0)) };
        };
        let trusted: Vec<_> = trusted.iter().filter_map(|der| parse(der)).collect();
        let others: Vec<_> = others.iter().filter_map(|der| parse(der)).collect();
        let is_trusted = |of: &X509Certificate<'_>| trusted.iter().any(|own| own.as_raw() == of.as_raw());
        let mut path = Path { chain: vec![own], gap: None };
        let mut checked = 0;
        while let Some(last) = path.chain.last() {
            let depth = u32::try_from(path.chain.len() - 1).unwrap_or(u32::MAX);
            if is_self_issued(last) && is_trusted(last) {
                break;
            }
            let Some(signed) = Signed::of(last.as_raw()) else {
                path.gap = Some((code::SIGNATURE, depth));
                break;
            };
            let signs = |of: &&X509Certificate<'a>| {
                let is_named = of.subject().as_raw() == last.issuer().as_raw()
                    && !path.chain.iter().any(|link| link.as_raw() == of.as_raw());
                checked += usize::from(is_named);
                is_named && checked <= SIGNATURES && signed.is_by(of.public_key(), false)
            };
            match trusted.iter().chain(&others).find(signs) {
                Some(next) if path.chain.len() <= DEPTH => path.chain.push(next.clone()),
                Some(_) => path.gap = Some((code::TOO_LONG, depth)),
                None if !is_self_issued(last) => path.gap = Some((code::NO_ISSUER, depth)),
                None if depth == 0 => path.gap = Some((code::OWN_SELF_SIGNED, 0)),
                None => path.gap = Some((code::SELF_SIGNED, depth)),
            }
            if path.gap.is_some() {
                break;
            }
        }
        path
    }

    /// All that is wrong with a client's chain but for revocations, in OpenSSL's order.
    pub fn errors(&self, lists: &[CertificateRevocationListDer<'_>], now: UnixTime) -> Vec<Found> {
        let mut errors: Vec<Found> = self.gap.into_iter().collect();
        let above = self.chain.iter().enumerate().skip(1);
        errors.extend(above.filter_map(|(depth, of)| {
            let is_last = depth + 1 == self.chain.len();
            Some((authority_error(of, depth, is_last)?, u32::try_from(depth).ok()?))
        }));
        errors.extend(self.revocations(lists, now));
        if let Some((code::NO_ISSUER, 0)) = self.gap {
            errors.push((code::UNVERIFIED, 0));
        }
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        for (depth, of) in self.chain.iter().enumerate().rev() {
            let depth = u32::try_from(depth).unwrap_or(u32::MAX);
            if of.validity().not_before.timestamp() > seconds {
                errors.push((code::NOT_YET_VALID, depth));
            }
            if of.validity().not_after.timestamp() < seconds {
                errors.push((code::EXPIRED, depth));
            }
        }
        errors
    }

    /// What lists say of the chain, whose every certificate they must know; nothing where there are none.
    pub fn revocations(&self, lists: &[CertificateRevocationListDer<'_>], now: UnixTime) -> Vec<Found> {
        if lists.is_empty() {
            return Vec::new();
        }
        if let Some(gap) = self.gap {
            return vec![(code::UNABLE_TO_GET_CRL, gap.1)];
        }
        let of = |(depth, of): (usize, &X509Certificate<'_>)| {
            let issuer = self.chain.get(depth + 1).unwrap_or(of);
            Some((revocation(of, issuer, lists, now)?, u32::try_from(depth).ok()?))
        };
        self.chain.iter().enumerate().filter_map(of).collect()
    }
}

/// Why a certificate may not sign another one of a client's chain.
fn authority_error(of: &X509Certificate<'_>, depth: usize, is_last: bool) -> Option<u32> {
    if of.version().0 == 0 {
        return (!is_last || !is_self_issued(of)).then_some(code::INVALID_CA);
    }
    let mut is_authority = false;
    for extension in of.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                is_authority = constraints.ca;
                let between = u32::try_from(depth - 1).unwrap_or(u32::MAX);
                if constraints.path_len_constraint.is_some_and(|most| between > most) {
                    return Some(code::PATH_LENGTH);
                }
            }
            ParsedExtension::KeyUsage(usage) if !usage.key_cert_sign() => return Some(code::INVALID_CA),
            ParsedExtension::ExtendedKeyUsage(usage) if !usage.any && !usage.client_auth => {
                return Some(code::PURPOSE);
            }
            ParsedExtension::KeyUsage(_)
            | ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::SubjectAlternativeName(_) => {}
            ParsedExtension::NameConstraints(_) => return Some(code::UNHANDLED_EXTENSION),
            _ if extension.critical => return Some(code::UNHANDLED_EXTENSION),
            _ => {}
        }
    }
    (!is_authority).then_some(code::INVALID_CA)
}

/// What the newest list of who issued a certificate says of it.
fn revocation(
    of: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
    lists: &[CertificateRevocationListDer<'_>],
    now: UnixTime,
) -> Option<u32> {
    let read = lists.iter().filter_map(|der| Some((der, CertificateRevocationList::from_der(der).ok()?.1)));
    let by_issuer = read.filter(|(_, list)| list.issuer().as_raw() == of.issuer().as_raw());
    let newest = by_issuer.max_by_key(|(_, list)| list.last_update().timestamp());
    let Some((der, list)) = newest else { return Some(code::UNABLE_TO_GET_CRL) };
    let may_sign = issuer.key_usage().ok().flatten().is_none_or(|usage| usage.value.crl_sign());
    if !may_sign || !Signed::of(der).is_some_and(|signed| signed.is_by(issuer.public_key(), true)) {
        return Some(code::CRL_SIGNATURE);
    }
    if list.extensions().iter().any(|extension| extension.critical) {
        return Some(code::UNHANDLED_CRL_EXTENSION);
    }
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if list.last_update().timestamp() > seconds {
        return Some(code::CRL_NOT_YET_VALID);
    }
    if list.next_update().is_some_and(|next| next.timestamp() < seconds) {
        return Some(code::CRL_EXPIRED);
    }
    let is_revoked = list.iter_revoked_certificates().any(|one| one.raw_serial() == of.raw_serial());
    is_revoked.then_some(code::REVOKED)
}
