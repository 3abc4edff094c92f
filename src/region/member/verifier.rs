//! How a node looks at the certificate of one that it cannot know yet.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::token::{Digest, digest_of};
use crate::tls::{Anyone, provider};

/// Believes the authority that a join token names, if the other side shows it.
#[derive(Debug)]
pub(super) struct Pinned {
    authority: Digest,
}

const OTHER: &str = "its CA is not the one that the join token names";

impl Pinned {
    pub(super) fn new(authority: Digest) -> Pinned {
        Pinned { authority }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let other = || Error::General(OTHER.into());
        let named = others.iter().find(|ca| digest_of(ca) == self.authority).ok_or_else(other)?;
        let mut roots = RootCertStore::empty();
        roots.add(named.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|e| Error::General(e.to_string()))?;
        verifier.verify_server_cert(own, &[], name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Anyone.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Anyone.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Anyone.supported_verify_schemes()
    }
}
