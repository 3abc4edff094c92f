//! TLS of checks: the system's authorities, or none where a check says so.

use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::region::tls::{Anyone, provider};

/// Where distributions keep the authorities; `SSL_CERT_FILE` comes first.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

static ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let named = std::env::var("SSL_CERT_FILE").ok();
    let bundles = named.as_deref().into_iter().chain(BUNDLES);
    let mut roots = RootCertStore::empty();
    if let Some(file) = bundles.map(Path::new).find(|path| path.is_file())
        && let Ok(list) = CertificateDer::pem_file_iter(file)
    {
        roots.add_parsable_certificates(list.flatten());
    }
    Arc::new(roots)
});

/// Those that the system believes.
pub fn system_roots() -> Arc<RootCertStore> {
    ROOTS.clone()
}

/// Shakes hands over a connection. `alpn`: the protocols offered.
pub(super) async fn connect(
    stream: TcpStream,
    host: &str,
    alpn: &[&[u8]],
    skip_verify: bool,
) -> io::Result<TlsStream<TcpStream>> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let mut config = if skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone)).with_no_client_auth()
    } else {
        builder.with_root_certificates(ROOTS.clone()).with_no_client_auth()
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a host name"))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
