//! Which version of HTTP is spoken with a server, by its words `proto`, `alpn` and `ws`.

use crate::model::{Server, Websockets};

/// What a connection to a server is to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// TCP mode.
    Bytes,
    Requests,
    /// A WebSocket: it begins with a request, which each version of HTTP has in a way of its own.
    WebSocket,
}

/// What is spoken with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    H1,
    H2,
    /// What it chooses with TLS.
    Agreed,
}

/// How a connection to a server begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speech {
    pub version: Version,
    /// The only protocol that is offered with TLS; `None`: those of the server's line.
    pub only: Option<&'static [u8]>,
}

/// The version for what is to be carried.
pub fn speech(server: &Server, carries: Carries) -> Speech {
    let spec = &server.spec;
    let (offers_h2, offers_h1) = server.tls().map_or((false, false), |tls| (tls.offers_h2, tls.offers_h1));
    let usual = match () {
        () if carries == Carries::Bytes => Version::H1,
        () if spec.proto_h2 => Version::H2,
        () if offers_h2 => Version::Agreed,
        () => Version::H1,
    };
    let speaks = |version, only: Option<&'static [u8]>| Speech { version, only: only.filter(|_| offers_h2) };
    match (carries, spec.websockets) {
        (Carries::WebSocket, Websockets::H1) => speaks(Version::H1, Some(b"http/1.1")),
        (Carries::WebSocket, Websockets::H2) => speaks(Version::H2, Some(b"h2")),
        // Of a server that speaks both, not all take WebSockets over HTTP/2.
        (Carries::WebSocket, Websockets::Auto) if usual == Version::Agreed && offers_h1 => {
            speaks(Version::H1, Some(b"http/1.1"))
        }
        _ => speaks(usual, None),
    }
}
