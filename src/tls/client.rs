//! The configuration of the side that connects, and its handshake over a connection.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::authority::Authorities;
use super::certificate::Certified;
use super::error::Error;
use super::pem::Pem;
use super::provider::{Versions, provider};

/// Which servers are believed.
#[derive(Clone, Debug)]
pub enum Servers {
    /// Those with a certificate for their name that one of these signed.
    Signed(Authorities),
    /// Those that this one believes.
    Verified(Arc<dyn ServerCertVerifier>),
}

/// What a client is to be.
#[derive(Debug)]
pub struct Client {
    pub servers: Servers,
    /// To servers that ask for a certificate.
    pub shows: Option<Certified>,
    pub versions: Versions,
    /// The protocols that are offered.
    pub alpn: Vec<Vec<u8>>,
    /// Whether it goes on with an earlier session, which is one with what was shown then.
    pub resumes: bool,
}

impl Client {
    pub fn config(self) -> Result<Arc<ClientConfig>, Error> {
        let builder =
            ClientConfig::builder_with_provider(provider()).with_protocol_versions(self.versions.list())?;
        let builder = match self.servers {
            Servers::Verified(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
            // A system may have no authorities; then no server is believed.
            Servers::Signed(Authorities { roots, crls }) if crls.is_empty() => {
                builder.with_root_certificates(roots)
            }
            Servers::Signed(Authorities { roots, crls }) => {
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
                    .with_crls(crls)
                    .enforce_revocation_expiration();
                builder.with_webpki_verifier(verifier.build()?)
            }
        };
        let mut client = match self.shows {
            Some(certified) => builder.with_client_cert_resolver(certified.alone()),
            None => builder.with_no_client_auth(),
        };
        client.alpn_protocols = self.alpn;
        if !self.resumes {
            client.resumption = Resumption::disabled();
        }
        Ok(Arc::new(client))
    }
}

/// Files that say how to speak TLS to an API; each may be a variable's.
#[derive(Default)]
pub struct Files {
    /// Who may have signed the node's certificate; without it the system's authorities.
    pub ca: Option<String>,
    /// A chain, shown to a node that asks for it.
    pub crt: Option<String>,
    /// Its key; without it in the same file.
    pub key: Option<String>,
}

impl Files {
    /// Blocks on the disk.
    pub fn client(&self) -> Result<Arc<ClientConfig>, Error> {
        let open = |path: &String| Pem::open(Path::new(path));
        let authorities = match &self.ca {
            Some(path) => Authorities::of(&open(path)?)?,
            None => Authorities::system(),
        };
        let shows = match &self.crt {
            Some(path) => {
                let crt = open(path)?;
                let key = self.key.as_ref().map(open).transpose()?;
                Some(Certified::of(&crt, key.as_ref().unwrap_or(&crt))?)
            }
            None => None,
        };
        Client {
            servers: Servers::Signed(authorities),
            shows,
            versions: Versions::Both,
            alpn: vec![b"http/1.1".to_vec()],
            resumes: true,
        }
        .config()
    }
}

/// How TLS is spoken to one server.
#[derive(Clone)]
pub struct Secure {
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Secure {
    /// `address`: `host:port`; its certificate must be for the host.
    pub fn new(client: Arc<ClientConfig>, address: &str) -> Result<Secure, Error> {
        let name = ServerName::try_from(host_of(address).to_owned());
        let name = name.map_err(|_| Error::Name(address.to_owned()))?;
        Ok(Secure::named(client, name))
    }

    /// Its certificate must be for a name, wherever it is.
    pub fn named(client: Arc<ClientConfig>, name: ServerName<'static>) -> Secure {
        Secure { client, name }
    }

    /// The same to another server.
    pub fn to(&self, address: &str) -> Result<Secure, Error> {
        Secure::new(self.client.clone(), address)
    }

    /// Shakes hands over a connection.
    pub async fn over<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsConnector::from(self.client.clone()).connect(self.name.clone(), stream).await
    }
}

/// The host of `host:port`, without brackets.
pub fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
