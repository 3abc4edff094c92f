//! An origin that speaks HTTP/2 from the first byte on, and answers every request with so many bytes.

use crate::args::Args;
use crate::frames::{head, kind, literal};
use crate::socket::{self, Got, Set};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PREFACE_LEN: usize = 24;
const FRAME: usize = 16_384;
const LISTENER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    pending: Vec<u8>,
    out: Vec<u8>,
    sent: usize,
    /// Bytes of bodies that the peer takes; those of one stream it always does, as they are few.
    window: i64,
    waiting: Vec<u32>,
    greeted: bool,
}

/// Serves until killed.
pub fn run(args: &Args) -> Result<(), String> {
    let address: SocketAddr =
        args.required("listen")?.parse().map_err(|_| "--listen: no address".to_owned())?;
    let size: usize = args.or("size", 1024)?;
    if size > 65_535 {
        return Err("--size: at most what the first window of a stream takes".to_owned());
    }
    let listener = socket::listen(address).map_err(|error| format!("{address}: {error}"))?;
    let mut set = Set::new()?;
    set.add(&listener, LISTENER, false);
    let mut block = vec![0x88];
    block.extend(literal(b"server", b"origin"));
    block.extend(literal(b"content-length", size.to_string().as_bytes()));
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let (mut next, mut buffer) = (0, vec![0; 1 << 16]);
    println!("ready");
    loop {
        let count = set.wait(Duration::from_secs(10));
        for event in 0..count {
            let (token, _) = set.event(event);
            if token == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    let _ = stream.set_nonblocking(true);
                    set.add(&stream, next, false);
                    connections.insert(next, Connection::new(stream));
                    next += 1;
                }
                continue;
            }
            let Some(connection) = connections.get_mut(&token) else { continue };
            if connection.turn(&mut buffer, &block, size).is_none() {
                connections.remove(&token);
            } else {
                set.change(&connection.stream, token, connection.sent < connection.out.len());
            }
        }
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Connection {
        let mut out = Vec::new();
        head(0, kind::SETTINGS, 0, 0, &mut out);
        Connection {
            stream,
            pending: Vec::new(),
            out,
            sent: 0,
            window: 65_535,
            waiting: Vec::new(),
            greeted: false,
        }
    }

    /// Reads, answers, writes. `None`: the connection is over.
    fn turn(&mut self, buffer: &mut [u8], block: &[u8], size: usize) -> Option<()> {
        loop {
            match socket::receive(&self.stream, buffer) {
                Got::Bytes(n) => self.pending.extend_from_slice(&buffer[..n]),
                Got::Later => break,
                Got::End | Got::Failed(_) => return None,
            }
        }
        if !self.greeted && self.pending.len() >= PREFACE_LEN {
            self.pending.drain(..PREFACE_LEN);
            self.greeted = true;
        }
        let mut at = 0;
        while self.greeted
            && let Some(&[a, b, c, kind, flags, d, e, f, g]) = self.pending.get(at..at + 9)
        {
            let len = u32::from_be_bytes([0, a, b, c]) as usize;
            let Some(payload) = self.pending.get(at + 9..at + 9 + len) else { break };
            let stream = u32::from_be_bytes([d & 0x7f, e, f, g]);
            match kind {
                kind::HEADERS if flags & 1 != 0 => self.waiting.push(stream),
                kind::SETTINGS if flags & 1 == 0 => head(0, kind::SETTINGS, 1, 0, &mut self.out),
                kind::PING if flags & 1 == 0 => {
                    head(8, kind::PING, 1, 0, &mut self.out);
                    self.out.extend_from_slice(payload);
                }
                kind::UPDATE if stream == 0 => {
                    let by = payload.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
                    self.window += i64::from(by & 0x7fff_ffff);
                }
                kind::RST => self.waiting.retain(|one| *one != stream),
                kind::GOAWAY => return None,
                _ => {}
            }
            at += 9 + len;
        }
        self.pending.drain(..at);
        let free = (self.window.max(0) as usize / size.max(1)).min(self.waiting.len());
        for stream in self.waiting.drain(..free) {
            answer(stream, block, size, &mut self.out);
        }
        self.window -= (free * size) as i64;
        while self.sent < self.out.len() {
            match socket::transmit(&self.stream, &self.out[self.sent..]) {
                Ok(0) => return Some(()),
                Ok(n) => self.sent += n,
                Err(_) => return None,
            }
        }
        self.out.clear();
        self.sent = 0;
        Some(())
    }
}

fn answer(stream: u32, block: &[u8], size: usize, out: &mut Vec<u8>) {
    head(block.len(), kind::HEADERS, 4, stream, out);
    out.extend_from_slice(block);
    let mut left = size;
    loop {
        let n = left.min(FRAME);
        left -= n;
        head(n, kind::DATA, u8::from(left == 0), stream, out);
        out.resize(out.len() + n, b'x');
        if left == 0 {
            return;
        }
    }
}
