//! A served API, and a client that shows everything it got.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use isobar::catalog::{Api, Process, Settings, serve};
use isobar::conn::http::Listener;
use isobar::region::Direct;
use isobar::region::map::{Check, Command, Health, NODE_LIVENESS, Node, Registration};
use serde_json::Value;

/// Remembers which checks it heard of.
#[derive(Default)]
pub struct Recorder {
    pub heard: Mutex<Vec<String>>,
}

impl Process for Recorder {
    fn heard(&self, check: &str) {
        self.heard.lock().expect("no panic").push(check.to_owned());
    }

    fn reload(&self) -> Result<(), String> {
        Err("the file is wrong".into())
    }

    fn leave(&self) -> Result<(), String> {
        Ok(())
    }
}

pub struct Served {
    pub address: SocketAddr,
    pub api: Arc<Api>,
    pub agent: Arc<Recorder>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn index(&self) -> u64 {
        self.headers["x-consul-index"].parse().expect("a number")
    }
}

pub fn settings() -> Settings {
    Settings { node_name: "lb1".into(), address: "10.1.0.2".into(), ..Settings::default() }
}

impl Served {
    pub fn start() -> Served {
        Served::with(settings())
    }

    pub fn with(settings: Settings) -> Served {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let agent = Arc::new(Recorder::default());
        let (address, api) = runtime.block_on(async {
            let seat = Direct::seat(&settings.node_name, "");
            let node = Node {
                name: settings.node_name.clone(),
                address: settings.address.clone(),
                ..Node::default()
            };
            let alive = Check { id: NODE_LIVENESS.into(), status: Health::Passing, ..Check::default() };
            let what = Registration { node, checks: vec![alive], ..Registration::default() };
            seat.propose(Command::Register(Box::new(what))).await.expect("registered");
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let api = Api::new(seat, settings, agent.clone());
            tokio::spawn(serve(vec![Listener::Tcp(listener)], api.clone()));
            (address, api)
        });
        // The node makes its own entry first, so that a test sees no change but its own.
        while api.seat.map().service("consul").is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Served { address, api, agent, _runtime: runtime }
    }

    /// A connection with a request on it, whose answer nobody has read yet.
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(body).expect("sent");
        stream
    }

    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Response {
        receive(self.send(method, path, headers, body))
    }

    pub fn get(&self, path: &str) -> Response {
        self.ask("GET", path, "", b"")
    }

    pub fn put(&self, path: &str, body: &str) -> Response {
        self.ask("PUT", path, "", body.as_bytes())
    }

    /// Puts what must succeed.
    pub fn ok(&self, path: &str, body: &str) {
        let answer = self.put(path, body);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
}

pub fn receive(mut stream: TcpStream) -> Response {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
    let chunked = head.contains("transfer-encoding: chunked");
    let joined = if chunked { unchunked(body) } else { None };
    let body = joined.as_deref().unwrap_or(body);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a header");
        (name.to_lowercase(), value.to_owned())
    };
    Response { status, headers: lines.map(pair).collect(), body: body.to_owned() }
}

/// The text of a body in chunks; `None` of one that is no text.
fn unchunked(mut body: &str) -> Option<String> {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).ok()?;
        text.push_str(rest.get(..size)?);
        body = rest.get(size + 2..)?;
    }
    Some(text)
}
