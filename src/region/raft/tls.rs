//! Mutual TLS between members.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::connection::{Dialed, Dialer, Stream};
use super::guest::{Guest, Wrap};
use crate::region::tls::provider;

/// Both sides, made by who knows the cluster's CA: each asks the other for its certificate.
#[derive(Clone)]
pub struct Tls {
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("no certificate in it")]
    Empty,
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error("{0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

impl Tls {
    /// From a PEM file with a chain and its key, and one with the CAs that may have signed the other side's. Each side
    /// shows its certificate and asks for the other's.
    pub fn from_pem(crt: &[u8], ca: &[u8]) -> Result<Tls, TlsError> {
        let chain = CertificateDer::pem_slice_iter(crt).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(crt)?;
        if chain.is_empty() {
            return Err(TlsError::Empty);
        }
        let (roots, provider) = (Arc::new(roots_of(ca)?), provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        Ok(Tls { server: Arc::new(server), client: Arc::new(client) })
    }

    /// One side alone: what listens for clients of an API. From a PEM file with a chain and its key, and if clients
    /// may show certificates one with the CAs that may have signed these; `required`: they must.
    pub fn listener(crt: &[u8], ca: Option<&[u8]>, required: bool) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = CertificateDer::pem_slice_iter(crt).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(crt)?;
        if chain.is_empty() {
            return Err(TlsError::Empty);
        }
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let mut server = match ca {
            Some(ca) => {
                let roots = Arc::new(roots_of(ca)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build()?).with_single_cert(chain, key)?
            }
            None => builder.with_no_client_auth().with_single_cert(chain, key)?,
        };
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }

    pub(super) fn both(self) -> (Arc<dyn Dialer>, Wrap) {
        let acceptor = TlsAcceptor::from(self.server);
        let wrap: Wrap = Arc::new(move |stream| {
            let acceptor = acceptor.clone();
            Box::pin(async move {
                let stream: Box<dyn Stream> = Box::new(acceptor.accept(stream).await?);
                Ok((stream, Guest::Trusted))
            })
        });
        (Arc::new(Secure(TlsConnector::from(self.client))), wrap)
    }
}

/// The CAs of a PEM file.
pub fn roots_of(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem) {
        roots.add(root?)?;
    }
    if roots.is_empty() { Err(TlsError::Empty) } else { Ok(roots) }
}

struct Secure(TlsConnector);

impl Dialer for Secure {
    fn dial<'a>(&'a self, address: &'a str) -> Dialed<'a> {
        Box::pin(async move {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(self.0.connect(name, stream).await?) as Box<dyn Stream>)
        })
    }
}
