//! TLS of checks: the system's authorities, or none where a check says so.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::tls::{Anyone, Authorities, Client, Secure, Servers, Versions};

/// Shakes hands over a connection. `alpn`: the protocols offered.
pub(super) async fn connect(
    stream: TcpStream,
    host: &str,
    alpn: &[&[u8]],
    skip_verify: bool,
) -> io::Result<TlsStream<TcpStream>> {
    let servers = match skip_verify {
        true => Servers::Verified(Arc::new(Anyone)),
        false => Servers::Signed(Authorities::system()),
    };
    let client = Client {
        servers,
        shows: None,
        versions: Versions::Both,
        alpn: alpn.iter().map(|name| name.to_vec()).collect(),
        resumes: true,
    };
    let client = client.config().map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a host name"))?;
    Secure::named(client, name).over(stream).await
}
