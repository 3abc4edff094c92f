//! A client of the HTTP API.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::message::Reader;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Nothing was sent.
    Unreachable,
    /// It may have been done, or be done later.
    Unknown,
}

pub struct Reply {
    pub status: u16,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }
}

/// One keep-alive connection, made when needed.
pub struct Api {
    address: SocketAddr,
    patience: Duration,
    connection: Option<(TcpStream, Reader)>,
}

impl Api {
    pub fn new(address: SocketAddr) -> Api {
        Api { address, patience: Duration::from_secs(10), connection: None }
    }

    pub fn patience(mut self, patience: Duration) -> Api {
        self.patience = patience;
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn get(&mut self, path: &str) -> Result<Reply, Failed> {
        self.call("GET", path, "")
    }

    pub fn put(&mut self, path: &str, body: &str) -> Result<Reply, Failed> {
        self.call("PUT", path, body)
    }

    pub fn call(&mut self, method: &str, path: &str, body: &str) -> Result<Reply, Failed> {
        if self.connection.is_none() {
            self.connection = Some(self.connect().ok_or(Failed::Unreachable)?);
        }
        let (stream, reader) = self.connection.as_mut().ok_or(Failed::Unreachable)?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let sent = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
        let answer = sent.ok().and_then(|()| reader.within(self.patience).response(method).ok());
        match answer {
            Some(answer) => {
                if !answer.keeps_alive() {
                    self.connection = None;
                }
                Ok(Reply { status: answer.status(), body: answer.body_text() })
            }
            None => {
                self.connection = None;
                Err(Failed::Unknown)
            }
        }
    }

    fn connect(&self) -> Option<(TcpStream, Reader)> {
        let stream = TcpStream::connect_timeout(&self.address, self.patience).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_write_timeout(Some(self.patience)).ok()?;
        let reader = Reader::new(stream.try_clone().ok()?);
        Some((stream, reader))
    }
}
