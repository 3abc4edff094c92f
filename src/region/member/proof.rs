//! How two nodes show each other that they know the secret of a cluster's first nodes, over TLS that knows nobody.
//!
//! Each sends an HMAC-SHA256, under the secret, of its side and of material exported from the TLS session (RFC 8446,
//! section 7.5). Whoever stands between has two sessions with different material, so that what it passes on is wrong.

use std::io;

use aws_lc_rs::hmac;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const LABEL: &[u8] = b"EXPORTER-isobar-founding";
const MATERIAL: usize = 32;
const PROOF: usize = 32;

pub type Material = [u8; MATERIAL];

/// What the first nodes share.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl Secret {
    pub fn new(text: &str) -> Secret {
        Secret(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    fn of(self, material: &Material) -> [u8; MATERIAL + 1] {
        let mut out = [0; MATERIAL + 1];
        out[0] = match self {
            Side::Client => b'C',
            Side::Server => b'S',
        };
        out[1..].copy_from_slice(material);
        out
    }
}

/// What both sides of a session have in common, and nobody else.
pub fn material(
    export: impl FnOnce(&mut Material, &[u8]) -> Result<(), rustls::Error>,
) -> io::Result<Material> {
    let mut out = [0; MATERIAL];
    export(&mut out, LABEL).map_err(io::Error::other)?;
    Ok(out)
}

/// Shows the other side that one knows the secret, and looks whether it does. The server says nothing before the client
/// has.
pub async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    secret: &Secret,
    material: &Material,
    side: Side,
) -> io::Result<()> {
    match side {
        Side::Client => {
            send(stream, secret, side.of(material)).await?;
            expect(stream, secret, Side::Server.of(material)).await
        }
        Side::Server => {
            expect(stream, secret, Side::Client.of(material)).await?;
            send(stream, secret, side.of(material)).await
        }
    }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), secret: &Secret, what: [u8; 33]) -> io::Result<()> {
    stream.write_all(hmac::sign(&secret.0, &what).as_ref()).await?;
    stream.flush().await
}

async fn expect(stream: &mut (impl AsyncRead + Unpin), secret: &Secret, what: [u8; 33]) -> io::Result<()> {
    let mut proof = [0; PROOF];
    stream.read_exact(&mut proof).await?;
    let wrong =
        |_| io::Error::new(io::ErrorKind::PermissionDenied, "the 'join-token' of the two nodes differs");
    hmac::verify(&secret.0, &what, &proof).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn meet(one: (&str, u8), other: (&str, u8)) -> (io::Result<()>, io::Result<()>) {
        let (mut a, mut b) = tokio::io::duplex(256);
        let client = async {
            let done = exchange(&mut a, &Secret::new(one.0), &[one.1; 32], Side::Client).await;
            drop(a);
            done
        };
        let server = async {
            let done = exchange(&mut b, &Secret::new(other.0), &[other.1; 32], Side::Server).await;
            drop(b);
            done
        };
        tokio::join!(client, server)
    }

    #[tokio::test]
    async fn only_who_knows_the_secret_in_the_same_session_gets_through() {
        let (client, server) = meet(("secret", 1), ("secret", 1)).await;
        assert!(client.is_ok() && server.is_ok());
        let (client, server) = meet(("guess", 1), ("secret", 1)).await;
        assert!(client.is_err() && server.is_err());
        // As when somebody in the middle passes it on.
        let (client, server) = meet(("secret", 1), ("secret", 2)).await;
        assert!(client.is_err() && server.is_err());
    }

    #[tokio::test]
    async fn what_one_side_said_is_no_proof_of_the_other() {
        let (mut a, mut b) = tokio::io::duplex(256);
        let secret = Secret::new("secret");
        let server = exchange(&mut b, &secret, &[1; 32], Side::Client);
        let mirror = async {
            let mut said = [0; PROOF];
            a.read_exact(&mut said).await?;
            a.write_all(&said).await
        };
        let (server, mirror) = tokio::join!(server, mirror);
        assert!(mirror.is_ok() && server.is_err());
    }
}
