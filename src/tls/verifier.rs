//! Checks of the other side's certificate, with the errors that a configuration ignores and the names that HAProxy accepts.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::legacy;
use super::provider::{Anyone, provider};
use super::trust::{Found, Mismatch, Trust, Verdict, code, found, leave_verdict};
use super::words::Ignored;

/// Looks at what clients show.
pub struct ClientVerifier {
    inner: Option<Arc<dyn ClientCertVerifier>>,
    links: Vec<CertificateDer<'static>>,
    pinned: Vec<CertificateDer<'static>>,
    crls: Vec<CertificateRevocationListDer<'static>>,
    /// Lists of a kind that webpki does not read: then all are looked into here.
    has_legacy_lists: bool,
    hints: Vec<DistinguishedName>,
    is_required: bool,
    own: Ignored,
    ca: Ignored,
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientVerifier({} authorities)", self.hints.len())
    }
}

/// What a chain was found to be.
struct Judged {
    verdict: Verdict,
    /// What ends the handshake.
    fatal: Option<Found>,
}

impl Judged {
    /// Counts an error, unless an earlier one was the end.
    fn take(&mut self, (error, depth): Found, own: &Ignored, ca: &Ignored) {
        if self.fatal.is_some() {
            return;
        }
        let verdict = &mut self.verdict;
        verdict.last = error;
        let ignored = if depth == 0 {
            if verdict.own == 0 {
                verdict.own = error;
            }
            own.has(error)
        } else {
            if verdict.ca == 0 {
                (verdict.ca, verdict.ca_depth) = (error, depth);
            }
            ca.has(error)
        };
        if !ignored {
            self.fatal = Some((error, depth));
        }
    }
}

impl ClientVerifier {
    /// `hints`: the names of authorities that clients are told.
    pub fn new(
        trust: &Trust,
        hints: Vec<DistinguishedName>,
        is_required: bool,
        own: Ignored,
        ca: Ignored,
    ) -> Result<ClientVerifier, String> {
        let has_legacy_lists = trust.crls.iter().any(legacy::is_legacy_list);
        let inner: Option<Arc<dyn ClientCertVerifier>> = if trust.roots.is_empty() {
            None
        } else {
            let crls = trust.crls.iter().filter(|_| !has_legacy_lists).cloned();
            let builder = WebPkiClientVerifier::builder_with_provider(trust.roots.clone(), provider())
                .with_crls(crls)
                .enforce_revocation_expiration();
            Some(builder.build().map_err(|e| e.to_string())?)
        };
        let (links, pinned, crls) = (trust.links.clone(), trust.pinned.clone(), trust.crls.clone());
        Ok(ClientVerifier { inner, links, pinned, crls, has_legacy_lists, hints, is_required, own, ca })
    }

    /// Counts the errors of a chain that webpki does not read, or of lists.
    fn take_all(&self, judged: &mut Judged, errors: Vec<Found>) {
        for error in errors {
            judged.take(error, &self.own, &self.ca);
        }
    }

    fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Judged {
        let mut judged = Judged { verdict: Verdict::default(), fatal: None };
        let Some((own, others)) = chain.split_first() else { return judged };
        if is_own_root(&self.pinned, own) {
            if let Some(error) = out_of_time(own, now) {
                judged.take((error, 0), &self.own, &self.ca);
            }
            return judged;
        }
        if legacy::is_version_1(own) {
            let path = legacy::Path::build(own, others, &self.pinned);
            self.take_all(&mut judged, path.errors(&self.crls, now));
            return judged;
        }
        let links: Vec<CertificateDer<'_>> = others.iter().chain(&self.links).cloned().collect();
        let mut at = now;
        // Each round finds one error; where it is about time, the next looks at another moment for what else there is.
        for _ in 0..4 {
            let error = match &self.inner {
                Some(inner) => inner.verify_client_cert(own, &links, at).err(),
                None => Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
            };
            let Some(error) = error else {
                if self.has_legacy_lists {
                    let path = legacy::Path::build(own, others, &self.pinned);
                    self.take_all(&mut judged, path.revocations(&self.crls, now));
                }
                return judged;
            };
            let (code, depth) = found(&error, chain, at);
            judged.take((code, depth), &self.own, &self.ca);
            if judged.fatal.is_some() {
                return judged;
            }
            match code {
                code::EXPIRED | code::NOT_YET_VALID => {
                    let Some(other) = other_moment(chain, depth, code) else { return judged };
                    at = other;
                }
                // Nobody vouches for it; what it says of itself still counts.
                code::NO_ISSUER | code::OWN_SELF_SIGNED | code::SELF_SIGNED => {
                    if !self.crls.is_empty() {
                        judged.take((code::UNABLE_TO_GET_CRL, 0), &self.own, &self.ca);
                    }
                    if code == code::NO_ISSUER {
                        judged.take((code::UNVERIFIED, 0), &self.own, &self.ca);
                    }
                    if let Some(error) = out_of_time(own, now) {
                        judged.take((error, 0), &self.own, &self.ca);
                    }
                    return judged;
                }
                _ => return judged,
            }
        }
        // More kinds of errors than are told apart.
        judged.fatal = judged.fatal.or(Some((code::UNSPECIFIED, 0)));
        judged
    }
}

/// Whether a certificate signed itself, and a file of authorities has it: nobody else has to vouch for it.
fn is_own_root(pinned: &[CertificateDer<'_>], own: &CertificateDer<'_>) -> bool {
    pinned.iter().any(|pinned| pinned == own)
        && X509Certificate::from_der(own).is_ok_and(|(_, of)| of.subject().as_raw() == of.issuer().as_raw())
}

/// A moment at which the certificate at a place in a chain holds.
fn other_moment(chain: &[CertificateDer<'_>], depth: u32, code: u32) -> Option<UnixTime> {
    let der = chain.get(usize::try_from(depth).ok()?)?;
    let (_, of) = X509Certificate::from_der(der).ok()?;
    let validity = of.validity();
    let moment = if code == code::EXPIRED { validity.not_after } else { validity.not_before };
    let seconds = u64::try_from(moment.timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
}

fn out_of_time(own: &CertificateDer<'_>, now: UnixTime) -> Option<u32> {
    let (_, of) = X509Certificate::from_der(own).ok()?;
    let now = i64::try_from(now.as_secs()).ok()?;
    let validity = of.validity();
    match () {
        () if now > validity.not_after.timestamp() => Some(code::EXPIRED),
        () if now < validity.not_before.timestamp() => Some(code::NOT_YET_VALID),
        () => None,
    }
}

/// The error for which rustls sends OpenSSL's alert.
fn refused(error: u32) -> Error {
    Error::InvalidCertificate(match error {
        code::EXPIRED | code::CRL_EXPIRED => CertificateError::Expired,
        code::REVOKED => CertificateError::Revoked,
        code::PURPOSE => CertificateError::InvalidPurpose,
        code::SIGNATURE => CertificateError::BadSignature,
        code::NO_ISSUER | code::OWN_SELF_SIGNED | code::SELF_SIGNED | code::UNVERIFIED => {
            CertificateError::UnknownIssuer
        }
        code::UNABLE_TO_GET_CRL => CertificateError::UnknownRevocationStatus,
        // 42: not valid yet among others.
        _ => CertificateError::BadEncoding,
    })
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        let Judged { mut verdict, fatal } = self.judge(&chain, now);
        verdict.is_accepted = fatal.is_none();
        leave_verdict(verdict);
        match fatal {
            None => Ok(ClientCertVerified::assertion()),
            Some((error, _)) => Err(refused(error)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature12(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature13(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Anyone.supported_verify_schemes()
    }
}

/// What a handshake of TLS 1.2 signed, also with the key of a certificate that webpki does not read.
fn signature12(
    message: &[u8],
    cert: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if !legacy::is_version_1(cert) {
        return Anyone.verify_tls12_signature(message, cert, signed);
    }
    match legacy::is_signed(message, cert, signed) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
    }
}

/// The same of TLS 1.3.
fn signature13(
    message: &[u8],
    cert: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if !legacy::is_version_1(cert) {
        return Anyone.verify_tls13_signature(message, cert, signed);
    }
    let key = legacy::key(cert).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    verify_tls13_signature_with_raw_key(message, &key, signed, &provider().signature_verification_algorithms)
}

/// Takes what a server shows, whatever it is (`verify none`).
#[derive(Debug)]
pub struct Unchecked;

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature12(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature13(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Anyone.supported_verify_schemes()
    }
}

/// Looks at what a server shows. The name that it must be for is the one that was sent (`sni`), else `verifyhost`, else any.
pub struct ServerVerifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    links: Vec<CertificateDer<'static>>,
    pinned: Vec<CertificateDer<'static>>,
    /// Lists that webpki does not read, and all others where there is such a one.
    lists: Vec<CertificateRevocationListDer<'static>>,
    host: Option<Box<str>>,
}

impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerVerifier({:?})", self.host)
    }
}

impl ServerVerifier {
    pub fn new(
        trust: &Trust,
        host: Option<&str>,
        provider: Arc<CryptoProvider>,
    ) -> Result<ServerVerifier, String> {
        let has_legacy_lists = trust.crls.iter().any(legacy::is_legacy_list);
        let inner = if trust.roots.is_empty() {
            None
        } else {
            let crls = trust.crls.iter().filter(|_| !has_legacy_lists).cloned();
            let builder = WebPkiServerVerifier::builder_with_provider(trust.roots.clone(), provider)
                .with_crls(crls)
                .enforce_revocation_expiration();
            Some(builder.build().map_err(|e| e.to_string())?)
        };
        let (links, pinned) = (trust.links.clone(), trust.pinned.clone());
        let lists = if has_legacy_lists { trust.crls.clone() } else { Vec::new() };
        Ok(ServerVerifier { inner, links, pinned, lists, host: host.map(Into::into) })
    }

    fn chain_error(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Found> {
        let is_own_root = self.pinned.iter().any(|pinned| pinned == own)
            && X509Certificate::from_der(own)
                .is_ok_and(|(_, of)| of.subject().as_raw() == of.issuer().as_raw());
        if is_own_root {
            return out_of_time(own, now).map(|error| (error, 0));
        }
        let links: Vec<CertificateDer<'_>> = others.iter().chain(&self.links).cloned().collect();
        let error = match &self.inner {
            Some(inner) => inner.verify_server_cert(own, &links, name, &[], now).err(),
            None => Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        let chain: Vec<_> = std::iter::once(own).chain(others).cloned().collect();
        // Names are looked at last, and by our own rules.
        let error = error.map(|error| found(&error, &chain, now)).filter(|(error, _)| *error != code::HOST);
        error.or_else(|| {
            if self.lists.is_empty() {
                return None;
            }
            let path = legacy::Path::build(own, others, &self.pinned);
            path.revocations(&self.lists, now).first().copied()
        })
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut verdict = Verdict::default();
        if let Some((error, depth)) = self.chain_error(own, others, name, now) {
            verdict.last = error;
            if depth == 0 {
                verdict.own = error;
            } else {
                (verdict.ca, verdict.ca_depth) = (error, depth);
            }
            leave_verdict(verdict);
            return Err(refused(error));
        }
        let sent = match name {
            ServerName::DnsName(name) => Some(name.as_ref()),
            _ => None,
        };
        let wanted = sent.or(self.host.as_deref());
        if let Some(wanted) = wanted
            && !is_for(own, wanted)
        {
            verdict.mismatch = Some(if sent.is_some() { Mismatch::Name } else { Mismatch::Host });
            leave_verdict(verdict);
            return Err(Error::InvalidCertificate(CertificateError::NotValidForName));
        }
        verdict.is_accepted = true;
        leave_verdict(verdict);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature12(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature13(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Anyone.supported_verify_schemes()
    }
}

/// Whether a certificate is for a host: one of its DNS names or common names.
fn is_for(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(pattern) => is_match(pattern, host),
        _ => false,
    };
    let mut common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    alternative.iter().flat_map(|names| &names.value.general_names).any(dns)
        || common.any(|pattern| is_match(pattern, host))
}

/// One asterisk in the first label stands for any text without a dot (RFC 6125 section 6.4.3).
fn is_match(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    let (Some((label, rest)), Some((host_label, host_rest))) =
        (pattern.split_once('.'), host.split_once('.'))
    else {
        return false;
    };
    let Some((before, after)) = label.split_once('*').filter(|(_, after)| !after.contains('*')) else {
        return false;
    };
    rest == host_rest
        && host_label.len() + 1 >= label.len()
        && host_label.starts_with(before)
        && host_label.ends_with(after)
}
