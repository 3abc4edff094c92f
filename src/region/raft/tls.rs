//! Mutual TLS between members.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::link::{Dialed, Dialer, Stream};
use super::server::Wrap;

/// Both sides, made by who knows the cluster's CA: each asks the other for its certificate.
#[derive(Clone)]
pub struct Tls {
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
}

impl Tls {
    pub(super) fn both(self) -> (Arc<dyn Dialer>, Wrap) {
        let acceptor = TlsAcceptor::from(self.server);
        let wrap: Wrap = Arc::new(move |stream| {
            let acceptor = acceptor.clone();
            Box::pin(async move { Ok(Box::new(acceptor.accept(stream).await?) as Box<dyn Stream>) })
        });
        (Arc::new(Secure(TlsConnector::from(self.client))), wrap)
    }
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
