//! A connection of the web client: a socket, and TLS on it where asked for.

use crate::socket::{self, Got};
use isobar::tls::Anyone;
use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use socket2::Socket;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

const SESSIONS: usize = 4096;

/// TLS 1.3 with X25519, which every proxy has: they are to do the same work. The algorithms are the fastest there are
/// here: who asks is not to be what all wait for.
pub fn config(alpn: &[u8], resumes: bool) -> Arc<ClientConfig> {
    let mut provider = CryptoProvider::clone(&isobar::tls::provider());
    provider.kx_groups = vec![kx_group::X25519];
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3 is there")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone));
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption =
        if resumes { Resumption::in_memory_sessions(SESSIONS) } else { Resumption::disabled() };
    Arc::new(config)
}

/// One connection.
pub struct Wire {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    /// What is to be sent.
    out: Vec<u8>,
    sent: usize,
    shaking: bool,
    ended: bool,
}

impl Wire {
    pub fn open(target: SocketAddr, config: Option<Arc<ClientConfig>>) -> Result<Wire, String> {
        let socket = socket::connect(target).map_err(|error| format!("connect: {error}"))?;
        let tls = match config {
            None => None,
            Some(config) => {
                let name = ServerName::try_from("bench.test").map_err(|error| error.to_string())?;
                let mut tls = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
                tls.set_buffer_limit(None);
                Some(Box::new(tls))
            }
        };
        let shaking = tls.is_some();
        Ok(Wire { socket, tls, out: Vec::new(), sent: 0, shaking, ended: false })
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Where to put what is to be sent.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// There is something to send that the kernel did not take.
    pub fn wants_room(&self) -> bool {
        self.sent < self.out.len() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Once: hands were shaken; whether a session was resumed.
    pub fn shook_hands(&mut self) -> Option<bool> {
        let tls = self.tls.as_ref().filter(|tls| self.shaking && !tls.is_handshaking())?;
        self.shaking = false;
        Some(tls.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    pub fn flush(&mut self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("send: {}", error.kind());
        if let Some(tls) = &mut self.tls {
            if !self.out.is_empty() {
                tls.writer().write_all(&self.out).map_err(failed)?;
                self.out.clear();
            }
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(error) if is_later(&error) => break,
                    Err(error) => return Err(failed(error)),
                }
            }
            return Ok(());
        }
        while self.sent < self.out.len() {
            match socket::transmit(&self.socket, &self.out[self.sent..]) {
                Ok(0) => return Ok(()),
                Ok(n) => self.sent += n,
                Err(nix::errno::Errno::ENOTCONN) => return Ok(()),
                Err(errno) => return Err(format!("send: {errno}")),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// What was received; 0: nothing now. The end of the connection is an error.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        let Some(tls) = &mut self.tls else {
            return match socket::receive(&self.socket, buffer) {
                Got::Bytes(n) => Ok(n),
                Got::Later | Got::Failed(nix::errno::Errno::ENOTCONN) => Ok(0),
                Got::End => Err("closed".to_owned()),
                Got::Failed(errno) => Err(format!("receive: {errno}")),
            };
        };
        loop {
            match tls.reader().read(buffer) {
                Ok(0) => return Err("closed".to_owned()),
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(format!("receive: {}", error.kind())),
            }
            if self.ended {
                return Err("closed".to_owned());
            }
            match tls.read_tls(&mut self.socket) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if is_later(&error) => return Ok(0),
                Err(error) => return Err(format!("receive: {}", error.kind())),
            }
            tls.process_new_packets().map_err(|error| error.to_string())?;
        }
    }
}

fn is_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}
