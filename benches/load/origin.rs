//! The origin: fixed-size answers over HTTP/1.1 and over plain TCP, on any number of ports, in one thread.
//!
//! `GET /N` is answered by N bytes, `GET /CxN` by C chunks of N bytes; on a TCP port 128 B that begin with N are. The control port answers any
//! request with the counts of every port since the last time it was asked, as JSON.

use crate::args::Args;
use crate::reply::Body;
use crate::socket::{self, Clock, Got, Set};
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

const CHUNK_LEN: usize = 256 * 1024;
const TCP_REQUEST_LEN: usize = 128;
const FIRST_CONNECTION: u64 = 1 << 32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Tcp,
    Control,
}

/// One listening port and what it counted.
struct Port {
    listener: TcpListener,
    kind: Kind,
    accepted: u64,
    requests: u64,
    open: u64,
    open_peak: u64,
    active: u64,
    active_peak: u64,
    malformed: u64,
}

struct Connection {
    stream: TcpStream,
    port: usize,
    pending: Vec<u8>,
    /// Bytes of a request's body that are still to come; its answer waits for them.
    upload: u64,
    answer: Option<Answer>,
    /// Tells a delayed answer whether its connection is still the one it was for.
    generation: u64,
}

/// A response on its way out: a prefix (head and the beginning of the body), then filler.
struct Answer {
    prefix: Rc<[u8]>,
    sent: u64,
    total: u64,
    close: bool,
    watching_room: bool,
}

/// What a request asks for.
struct Wish {
    body: Body,
    close: bool,
    /// Bytes of the request's head.
    used: usize,
    /// Bytes of its body: read and forgotten.
    upload: u64,
}

struct Origin {
    ports: Vec<Port>,
    connections: Vec<Option<Connection>>,
    vacant: Vec<usize>,
    delay_ns: u64,
    delayed: VecDeque<(u64, usize, u64)>,
    generations: u64,
    clock: Clock,
    set: Set,
    /// Heads with up to a chunk of body, by body size and whether the connection closes.
    prefixes: HashMap<(Body, bool), Rc<[u8]>>,
    nothing: Rc<[u8]>,
    filler: Vec<u8>,
    buffer: Vec<u8>,
}

/// Serves until killed.
pub fn run(args: &Args) -> Result<(), String> {
    let mut origin = Origin {
        ports: Vec::new(),
        connections: Vec::new(),
        vacant: Vec::new(),
        delay_ns: args.or::<u64>("delay-us", 0)? * 1000,
        delayed: VecDeque::new(),
        generations: 0,
        clock: Clock::start(),
        set: Set::new()?,
        prefixes: HashMap::new(),
        nothing: Rc::from([]),
        filler: vec![b'x'; CHUNK_LEN],
        buffer: vec![0; 65536],
    };
    for (option, kind) in [("http", Kind::Http), ("tcp", Kind::Tcp), ("control", Kind::Control)] {
        for address in args.list::<SocketAddr>(option)? {
            origin.open_port(address, kind)?;
        }
    }
    println!("ready");
    loop {
        origin.turn();
    }
}

impl Origin {
    fn open_port(&mut self, address: SocketAddr, kind: Kind) -> Result<(), String> {
        let listener = socket::listen(address).map_err(|error| format!("{address}: {error}"))?;
        self.set.add(&listener, self.ports.len() as u64, false);
        self.ports.push(Port {
            listener,
            kind,
            accepted: 0,
            requests: 0,
            open: 0,
            open_peak: 0,
            active: 0,
            active_peak: 0,
            malformed: 0,
        });
        Ok(())
    }

    fn turn(&mut self) {
        let wait = match self.delayed.front() {
            Some((due, _, _)) => Duration::from_nanos(due.saturating_sub(self.clock.now_ns())),
            None => Duration::from_secs(10),
        };
        let count = self.set.wait(wait);
        for event in 0..count {
            let (token, room) = self.set.event(event);
            if token < FIRST_CONNECTION {
                self.accept(token as usize);
                continue;
            }
            let index = (token - FIRST_CONNECTION) as usize;
            if room && self.connections.get(index).is_some_and(|slot| slot.as_ref().is_some_and(writing)) {
                self.flush(index);
            } else {
                self.read(index);
            }
        }
        while let Some((due, index, generation)) = self.delayed.front().copied()
            && due <= self.clock.now_ns()
        {
            self.delayed.pop_front();
            if self.connections[index].as_ref().is_some_and(|connection| connection.generation == generation)
            {
                self.flush(index);
            }
        }
    }

    fn accept(&mut self, port_index: usize) {
        let port = &mut self.ports[port_index];
        let Ok((stream, _)) = port.listener.accept() else { return };
        port.accepted += 1;
        port.open += 1;
        port.open_peak = port.open_peak.max(port.open);
        self.generations += 1;
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.set.add(&stream, FIRST_CONNECTION + index as u64, false);
        let generation = self.generations;
        self.connections[index] = Some(Connection {
            stream,
            port: port_index,
            pending: Vec::new(),
            upload: 0,
            answer: None,
            generation,
        });
        self.read(index);
    }

    fn close(&mut self, index: usize) {
        let Some(connection) = self.connections[index].take() else { return };
        let port = &mut self.ports[connection.port];
        port.open -= 1;
        if connection.answer.is_some() {
            port.active -= 1;
        }
        self.vacant.push(index);
    }

    fn read(&mut self, index: usize) {
        let Some(Some(connection)) = self.connections.get_mut(index) else { return };
        let count = match socket::receive(&connection.stream, &mut self.buffer) {
            Got::Bytes(count) => count,
            Got::Later => return,
            Got::End | Got::Failed(_) => return self.close(index),
        };
        if connection.upload > 0 {
            if count as u64 > connection.upload {
                return self.close(index);
            }
            connection.upload -= count as u64;
            if connection.upload == 0 {
                self.flush(index);
            }
            return;
        }
        let port = &mut self.ports[connection.port];
        connection.pending.extend_from_slice(&self.buffer[..count]);
        let wish = if port.kind == Kind::Tcp {
            tcp_wish(&connection.pending)
        } else {
            http_wish(&connection.pending)
        };
        match wish {
            Ok(None) => return,
            Ok(Some(wish)) if wish.fits(connection.pending.len()) && connection.answer.is_none() => {
                connection.upload = wish.upload - (connection.pending.len() - wish.used) as u64;
                connection.pending.clear();
                let body_len = wish.body.wire_len();
                let (prefix, body_in_prefix) = match port.kind {
                    Kind::Tcp => (Rc::clone(&self.nothing), 0),
                    _ => {
                        let key = (wish.body, wish.close);
                        let cached = self.prefixes.entry(key).or_insert_with(|| http_prefix(&wish));
                        let whole = wish.body.chunks > 0;
                        (Rc::clone(cached), if whole { body_len } else { body_len.min(CHUNK_LEN as u64) })
                    }
                };
                let total = prefix.len() as u64 + body_len - body_in_prefix;
                connection.answer =
                    Some(Answer { prefix, sent: 0, total, close: wish.close, watching_room: false });
            }
            _ => {
                port.malformed += 1;
                return self.close(index);
            }
        }
        port.requests += 1;
        port.active += 1;
        port.active_peak = port.active_peak.max(port.active);
        let generation = connection.generation;
        if port.kind == Kind::Control {
            self.report(index);
        } else if connection.upload > 0 {
            return;
        } else if self.delay_ns > 0 {
            self.delayed.push_back((self.clock.now_ns() + self.delay_ns, index, generation));
            return;
        }
        self.flush(index);
    }

    /// Writes as much of the answer as fits.
    fn flush(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else { return };
        let Some(answer) = &mut connection.answer else { return };
        while answer.sent < answer.total {
            let prefix_len = answer.prefix.len() as u64;
            let bytes = if answer.sent < prefix_len {
                &answer.prefix[answer.sent as usize..]
            } else {
                let left = (answer.total - answer.sent).min(CHUNK_LEN as u64);
                &self.filler[..left as usize]
            };
            match socket::transmit(&connection.stream, bytes) {
                Ok(0) => {
                    if !answer.watching_room {
                        answer.watching_room = true;
                        self.set.change(&connection.stream, FIRST_CONNECTION + index as u64, true);
                    }
                    return;
                }
                Ok(sent) => answer.sent += sent as u64,
                Err(_) => return self.close(index),
            }
        }
        if answer.watching_room {
            self.set.change(&connection.stream, FIRST_CONNECTION + index as u64, false);
        }
        if answer.close {
            return self.close(index);
        }
        connection.answer = None;
        self.ports[connection.port].active -= 1;
    }

    /// Fills a control answer with the counts and starts new peaks.
    fn report(&mut self, index: usize) {
        let ports: Vec<_> =
            self.ports.iter().filter(|port| port.kind != Kind::Control).map(Port::counts).collect();
        for port in &mut self.ports {
            port.open_peak = port.open;
            port.active_peak = port.active;
        }
        let body = json!(ports).to_string();
        let Some(connection) = &mut self.connections[index] else { return };
        let prefix = [http_head(Some(body.len() as u64), true), body.into_bytes()].concat();
        let total = prefix.len() as u64;
        connection.answer =
            Some(Answer { prefix: Rc::from(prefix), sent: 0, total, close: true, watching_room: false });
    }
}

impl Port {
    fn counts(&self) -> serde_json::Value {
        json!({
            "port": self.listener.local_addr().map_or(0, |address| address.port()),
            "accepted": self.accepted,
            "requests": self.requests,
            "open": self.open,
            "open_peak": self.open_peak,
            "active": self.active,
            "active_peak": self.active_peak,
            "malformed": self.malformed,
        })
    }
}

impl Wish {
    /// Whether so many bytes are no more than this request.
    fn fits(&self, bytes: usize) -> bool {
        bytes >= self.used && (bytes - self.used) as u64 <= self.upload
    }
}

fn writing(connection: &Connection) -> bool {
    connection.answer.as_ref().is_some_and(|answer| answer.watching_room)
}

/// The request at the start of some bytes; `None` while it is incomplete.
type Parsed = Result<Option<Wish>, ()>;

fn http_wish(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let used = match request.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(()),
    };
    let body = Body::of_path(request.path.unwrap_or("/")).unwrap_or(Body { chunks: 0, size: 128 });
    let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let upload = match length {
        Some(header) => std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok()).ok_or(())?,
        None => 0,
    };
    let close = request.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close")
    });
    Ok(Some(Wish { body, close, used, upload }))
}

fn tcp_wish(bytes: &[u8]) -> Parsed {
    let Some(request) = bytes.get(..TCP_REQUEST_LEN) else { return Ok(None) };
    let size = std::str::from_utf8(request).ok().and_then(|text| text.trim().parse().ok()).ok_or(())?;
    Ok(Some(Wish { body: Body { chunks: 0, size }, close: false, used: TCP_REQUEST_LEN, upload: 0 }))
}

/// The head of a body of this length; `None`: chunked.
fn http_head(len: Option<u64>, close: bool) -> Vec<u8> {
    let connection = if close { "Connection: close\r\n" } else { "" };
    let framing = match len {
        Some(len) => format!("Content-Length: {len}"),
        None => "Transfer-Encoding: chunked".to_owned(),
    };
    let text = format!(
        "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\n{framing}\r\n{connection}\r\n"
    );
    text.into_bytes()
}

/// The head, and the beginning of the body; all of it when it is chunked.
fn http_prefix(wish: &Wish) -> Rc<[u8]> {
    let body = wish.body;
    if body.chunks > 0 {
        return Rc::from([http_head(None, wish.close), body.chunked()].concat());
    }
    let mut prefix = http_head(Some(body.size), wish.close);
    prefix.resize(prefix.len() + body.size.min(CHUNK_LEN as u64) as usize, b'x');
    Rc::from(prefix)
}
