//! Who is at the other end of a connection that was accepted.

use std::pin::Pin;
use std::sync::Arc;

use super::connection::Stream;

/// SHA-256 of a public key.
pub type KeyDigest = [u8; 32];

/// Who is at the other end, and so what may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Whoever gets here: the network is trusted, or certificates from elsewhere say who gets here.
    Trusted,
    /// A member, by a certificate of the cluster's authority with its id, and for that key.
    Member(u64, KeyDigest),
    /// One of those who are to form the first cluster.
    Founder,
    /// One that has shown nothing yet.
    Stranger,
}

impl Guest {
    /// Which member it is known to be.
    pub fn member(self) -> Option<u64> {
        match self {
            Guest::Member(id, _) => Some(id),
            _ => None,
        }
    }
}

pub type Accepted = Pin<Box<dyn Future<Output = std::io::Result<(Box<dyn Stream>, Guest)>> + Send>>;

/// How a connection that was accepted becomes a stream of frames: as it is, or with TLS.
pub type Wrap = Arc<dyn Fn(tokio::net::TcpStream) -> Accepted + Send + Sync>;
