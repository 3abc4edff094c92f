//! Mutual TLS between members.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::connection::{Dialed, Dialer, Stream};
use super::guest::{Guest, Wrap};
use crate::tls::{self, Authorities, Certified, Client, Clients, Secure, Server, Servers, Versions};

/// Both sides, made by who knows the cluster's CA: each asks the other for its certificate.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Each side shows this certificate, and asks for one that one of these signed.
    pub fn new(shows: &Certified, signed: &Authorities) -> Result<Tls, tls::Error> {
        let server = Server {
            shows: shows.alone(),
            clients: Clients::Required(signed.clone()),
            versions: Versions::Newest,
            alpn: Vec::new(),
            resumes: true,
        };
        let client = Client {
            servers: Servers::Signed(signed.clone()),
            shows: Some(shows.clone()),
            versions: Versions::Newest,
            alpn: Vec::new(),
            resumes: true,
        };
        Ok(Tls { server: server.config()?, client: client.config()? })
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
        (Arc::new(ToMembers(self.client)), wrap)
    }
}

struct ToMembers(Arc<ClientConfig>);

impl Dialer for ToMembers {
    fn dial<'a>(&'a self, address: &'a str) -> Dialed<'a> {
        Box::pin(async move {
            let secure = Secure::new(self.0.clone(), address).map_err(std::io::Error::other)?;
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(secure.over(stream).await?) as Box<dyn Stream>)
        })
    }
}
