//! WebSockets of clients that speak HTTP/1, over HTTP/2 to the server (RFC 8441 section 5): the handshake's answer is
//! ours to make.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::http::{FieldKind, Head};
use crate::tls::info::sha1;

/// What `Sec-WebSocket-Accept` has to say to a request (RFC 6455 section 4.2.2).
pub fn accept(req: &Head) -> String {
    let key = req.field(b"sec-websocket-key").unwrap_or_default();
    STANDARD.encode(sha1(&[key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat()))
}

/// The server's success in the words of HTTP/1. What else it said goes on.
pub fn opened(res: &Head, accept: &str) -> Vec<u8> {
    let mut head =
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n".to_vec();
    let own = [(&b"sec-websocket-accept"[..], accept.as_bytes())];
    let theirs = res.fields().filter(|(name, _)| {
        !matches!(FieldKind::of(name), FieldKind::ContentLength | FieldKind::TransferEncoding)
            && !name.eq_ignore_ascii_case(b"sec-websocket-accept")
    });
    for (name, value) in own.into_iter().chain(theirs) {
        for part in [name, b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 section 1.3.
    #[test]
    fn the_example_of_the_standard() {
        let mut req = Head::default();
        req.add(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&req), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
