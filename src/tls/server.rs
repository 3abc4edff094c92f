//! The configuration of the side that is connected to.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};

use super::authority::Authorities;
use super::error::Error;
use super::provider::{Versions, provider};

/// What clients are asked for.
#[derive(Clone, Debug)]
pub enum Clients {
    /// Nothing.
    Any,
    /// A certificate, which they may lack, and which one of these must have signed.
    Optional(Authorities),
    /// A certificate that one of these signed.
    Required(Authorities),
}

/// What a server is to be.
#[derive(Debug)]
pub struct Server {
    pub shows: Arc<dyn ResolvesServerCert>,
    pub clients: Clients,
    pub versions: Versions,
    /// The protocols that are spoken over it; none: none is agreed on.
    pub alpn: Vec<Vec<u8>>,
    /// Whether a client may go on with an earlier session, which is one with what it showed then.
    pub resumes: bool,
}

impl Server {
    pub fn config(self) -> Result<Arc<ServerConfig>, Error> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(self.versions.list())?;
        let (authorities, is_required) = match self.clients {
            Clients::Any => (None, false),
            Clients::Optional(authorities) => (Some(authorities), false),
            Clients::Required(authorities) => (Some(authorities), true),
        };
        let builder = match authorities {
            None => builder.with_no_client_auth(),
            Some(Authorities { roots, crls }) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                    .with_crls(crls)
                    .enforce_revocation_expiration();
                let verifier = if is_required { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let mut server = builder.with_cert_resolver(self.shows);
        server.alpn_protocols = self.alpn;
        if !self.resumes {
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        Ok(Arc::new(server))
    }
}
