//! TLS to the API of a node: whom to believe, and what to show.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::region::prober::system_roots;
use crate::region::raft::roots_of;

/// How to speak TLS to a node.
pub(crate) struct Secure {
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// Files that say so; each may be a variable's.
#[derive(Default)]
pub(crate) struct Files {
    /// Who may have signed the node's certificate; without it the system's authorities.
    pub ca: Option<String>,
    /// A chain, shown to a node that asks for it.
    pub crt: Option<String>,
    /// Its key; without it in the same file.
    pub key: Option<String>,
}

impl Secure {
    /// `address`: `host:port`.
    pub(crate) fn new(address: &str, files: &Files) -> Result<Secure, String> {
        let read = |path: &String| {
            std::fs::read(Path::new(path)).map_err(|e| format!("{path}: {}", crate::lang::load::reason(&e)))
        };
        let roots = match &files.ca {
            Some(path) => Arc::new(roots_of(&read(path)?).map_err(|e| format!("{path}: {e}"))?),
            None => system_roots(),
        };
        let provider = crate::region::tls::provider();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots);
        let mut client = match &files.crt {
            Some(path) => {
                let wrong = |e: rustls::pki_types::pem::Error| format!("{path}: {e}");
                let text = read(path)?;
                let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
                let key = match &files.key {
                    Some(key) => PrivateKeyDer::from_pem_slice(&read(key)?),
                    None => PrivateKeyDer::from_pem_slice(&text),
                };
                builder
                    .with_client_auth_cert(chain.map_err(wrong)?, key.map_err(wrong)?)
                    .map_err(|e| format!("{path}: {e}"))?
            }
            None => builder.with_no_client_auth(),
        };
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Secure { client: Arc::new(client), name: name_of(address)? })
    }

    /// The same to another node.
    pub(crate) fn to(&self, address: &str) -> Result<Secure, String> {
        Ok(Secure { client: self.client.clone(), name: name_of(address)? })
    }

    pub(crate) async fn over(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsConnector::from(self.client.clone()).connect(self.name.clone(), stream).await
    }
}

/// The name that a node's certificate is for.
fn name_of(address: &str) -> Result<ServerName<'static>, String> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(host).map_err(|_| format!("{address}: not a host name"))
}
