//! `Wire`: the client's end of a connection, with TLS or without.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::tls::{Anyone, Client, Servers, Versions};

/// A client's end. It never blocks.
pub struct Wire {
    stream: UnixStream,
    tls: Option<ClientConnection>,
    /// What is to be sent.
    waiting: Vec<u8>,
    pub got: Vec<u8>,
    /// The other side has ended it.
    pub has_ended: bool,
    /// What went wrong with TLS.
    pub fault: Option<String>,
}

fn is_pending(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// The client of TLS that asks for a name and takes every certificate.
fn client(name: &str) -> Result<ClientConnection, String> {
    let client = Client {
        servers: Servers::Verified(Arc::new(Anyone)),
        shows: None,
        versions: Versions::Both,
        alpn: vec![b"http/1.1".to_vec()],
        resumes: false,
    };
    let config = client.config().map_err(|e| e.to_string())?;
    let name = ServerName::try_from(name.to_owned()).map_err(|_| format!("'{name}' is no name for TLS"))?;
    ClientConnection::new(config, name).map_err(|e| e.to_string())
}

/// The first message of a TLS client that asks for this name.
pub fn hello(name: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    client(name)?.write_tls(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

impl Wire {
    /// `first` goes before TLS begins, `name` is who is asked for.
    pub fn new(stream: UnixStream, first: Vec<u8>, name: Option<&str>) -> Result<Wire, String> {
        let mut wire =
            Wire { stream, tls: None, waiting: first, got: Vec::new(), has_ended: false, fault: None };
        if let Some(name) = name {
            let mut tls = client(name)?;
            tls.set_buffer_limit(None);
            wire.tls = Some(tls);
        }
        Ok(wire)
    }

    /// Sends bytes as soon as they are taken.
    pub fn send(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            // It keeps what cannot be sent yet, without a limit.
            Some(tls) => drop(tls.writer().write_all(bytes)),
            None => self.waiting.extend_from_slice(bytes),
        }
    }

    /// Moves what can be moved. Whether anything was.
    pub fn turn(&mut self) -> bool {
        let wrote = self.write();
        let read = self.read();
        wrote | read
    }

    fn write(&mut self) -> bool {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() && tls.write_tls(&mut self.waiting).is_ok_and(|n| n > 0) {}
        }
        let mut moved = false;
        while !self.waiting.is_empty() {
            match self.stream.write(&self.waiting) {
                Ok(n) if n > 0 => {
                    self.waiting.drain(..n);
                    moved = true;
                }
                Err(e) if is_pending(&e) => break,
                _ => {
                    self.waiting.clear();
                    break;
                }
            }
        }
        moved
    }

    fn read(&mut self) -> bool {
        let mut room = [0; 16384];
        let mut moved = false;
        while !self.has_ended {
            match self.stream.read(&mut room) {
                Ok(n) if n > 0 => {
                    moved = true;
                    self.take(&room[..n]);
                }
                Err(e) if is_pending(&e) => break,
                _ => {
                    moved = true;
                    self.has_ended = true;
                }
            }
        }
        moved
    }

    fn take(&mut self, mut bytes: &[u8]) {
        let Some(tls) = &mut self.tls else { return self.got.extend_from_slice(bytes) };
        while !bytes.is_empty() {
            if tls.read_tls(&mut bytes).is_err() {
                return;
            }
            match tls.process_new_packets() {
                // The end of the bytes so far is no error.
                Ok(_) => drop(tls.reader().read_to_end(&mut self.got)),
                Err(e) => {
                    self.fault = Some(e.to_string());
                    return;
                }
            }
        }
    }
}
