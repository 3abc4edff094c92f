//! The same configuration and traffic through a real HAProxy and through the program under test.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use super::message::{Broken, Message};
use super::origin::Origin;
use super::{Client, LogSink, Proxy, normalise, place, program};

/// One of the two passes: a running proxy, its log, and what the traffic saw.
pub struct Run {
    pub proxy: Proxy,
    pub log: LogSink,
    transcript: Vec<String>,
}

/// Runs `traffic` through both programs on the same ports and fails where transcript or log lines differ.
///
/// `{log}` in the configuration is the log's address; each origin stands at `{NAME}`. `logs` is the number of log
/// lines to wait for.
pub fn same(config: &str, origins: fn() -> Vec<(&'static str, Origin)>, logs: usize, traffic: fn(&mut Run)) {
    same_of((config, config), &[], origins, logs, traffic);
}

/// The same for two texts that mean the same: HAProxy's and that of the program under test, which gets `args` too.
pub fn same_of(
    (theirs, config): (&str, &str),
    args: &[&str],
    origins: fn() -> Vec<(&'static str, Origin)>,
    logs: usize,
    traffic: fn(&mut Run),
) {
    let Some(haproxy) = program::haproxy() else {
        return program::skipped("diff", "no HAProxy on this machine (Debian package: haproxy)");
    };
    let mut ports = Vec::new();
    for rest in config.split("{port:").skip(1) {
        let name = rest.split_once('}').map_or("", |(name, _)| name);
        if !ports.iter().any(|(n, _)| n == name) {
            ports.push((name.to_string(), place::free_port()));
        }
    }
    let dead = place::dead();
    let pass = |config: &str, args: &[&str], binary| {
        let log = LogSink::start();
        let builder = args.iter().fold(Proxy::on(config), |builder, arg| builder.arg(arg));
        let mut builder = builder.binary(binary).with("log", log.addr()).with("dead", dead);
        for (name, port) in &ports {
            builder = builder.port(name, *port);
        }
        let origins = origins();
        for (name, origin) in &origins {
            builder = builder.with(name, origin.addr());
        }
        let mut run = Run { proxy: builder.start(), log, transcript: Vec::new() };
        traffic(&mut run);
        let hide = |text: String| {
            origins.iter().fold(text, |text, (name, origin)| {
                text.replace(&origin.addr().to_string(), &format!("<{name}>"))
                    .replace(&format!(":{}", origin.addr().port()), &format!(":<{name}>"))
            })
        };
        for (name, origin) in &origins {
            for received in origin.take() {
                let what = match received.message {
                    Ok(message) => show(&message),
                    Err(broken) => format!("{broken:?}"),
                };
                run.transcript.push(format!("origin {name}: {what}"));
            }
        }
        let lines = run.log.wait(logs).iter().map(|line| hide(normalise::log_line(line))).collect::<Vec<_>>();
        (run.transcript.drain(..).map(hide).collect::<Vec<_>>(), lines)
    };
    let (their_answers, their_log) = pass(theirs, &[], haproxy);
    assert_eq!(their_log.len(), logs, "HAProxy itself wrote other log lines than expected: {their_log:#?}");
    let (ours, our_log) = pass(config, args, program::under_test());
    let mut differences = unequal("exchange", &their_answers, &ours);
    differences.extend(unequal("log line", &their_log, &our_log));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

impl Run {
    pub fn addr(&self, name: &str) -> SocketAddr {
        self.proxy.addr(name)
    }

    /// Sends one request on a connection of its own to the port of this name and notes the whole answer.
    pub fn ask(&mut self, port: &str, request: &str) -> &mut Self {
        let mut client = Client::connect(self.addr(port));
        client.send(request);
        let method = request.split(' ').next().unwrap_or("GET").to_string();
        self.note_response(&mut client, &method, request);
        self.finish(client, request)
    }

    /// Waits until the proxy has closed too, so that counters and the order of log lines are the same each time.
    pub fn finish(&mut self, mut client: Client, label: &str) -> &mut Self {
        match client.half_close().rest() {
            (more, super::message::End::Closed) if more.is_empty() => self,
            (more, end) => {
                self.note(label, &format!("then {end:?} after {:?}", super::message::latin1(&more)))
            }
        }
    }

    /// GET of a path with more header lines (each ended by CRLF).
    pub fn get(&mut self, port: &str, path: &str, more: &str) -> &mut Self {
        self.ask(port, &format!("GET {path} HTTP/1.1\r\nHost: www.example.test\r\n{more}\r\n"))
    }

    /// Reads responses up to a final one and notes them under this label.
    pub fn note_response(&mut self, client: &mut Client, method: &str, label: &str) -> &mut Self {
        loop {
            let response = client.response_to(method);
            self.note(label, &shown(&response));
            let interim = response.as_ref().is_ok_and(|r| matches!(r.status(), 100 | 102..=199));
            if !interim {
                return self;
            }
        }
    }

    /// What the runtime API, at `{dir}/sock`, answers to a command.
    pub fn cli(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.proxy.dir().join("sock")).expect("connect");
        stream.write_all(format!("{command}\n").as_bytes()).expect("write");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("read");
        text
    }

    /// Notes columns of `show stat`, for each line.
    pub fn columns(&mut self, wanted: &[&str]) -> &mut Self {
        let text = self.cli("show stat");
        let mut lines = text.trim_start_matches("# ").lines().filter(|line| !line.is_empty());
        let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            let shown = names.iter().zip(&cells).filter(|(name, _)| wanted.contains(name));
            // A check that is under way says so before what the last one found.
            let shown = shown.map(|(name, cell)| (name, cell.strip_prefix("* ").unwrap_or(cell)));
            let shown: String = shown.map(|(name, cell)| format!("{name}={cell} ")).collect();
            self.note(&format!("{}/{}", cells[0], cells[1]), &shown);
        }
        self
    }

    /// Changes every line of the transcript: for what depends on the moment.
    pub fn each(&mut self, change: impl Fn(&str) -> String) -> &mut Self {
        self.transcript.iter_mut().for_each(|line| *line = change(line));
        self
    }

    /// Adds a line to the transcript.
    pub fn note(&mut self, label: &str, what: &str) -> &mut Self {
        let label = label.lines().next().unwrap_or("");
        self.transcript.push(format!("{label} -> {what}"));
        self
    }
}

fn shown(response: &Result<Message, Broken>) -> String {
    match response {
        Ok(message) => show(message),
        Err(broken) => format!("{broken:?}"),
    }
}

/// A message with the named differences of heads taken out.
pub fn show(message: &Message) -> String {
    let head = normalise::head(&super::message::latin1(&message.raw_head));
    // Where one chunk ends and the next begins depends on buffers and time: only the contents count.
    let body = super::message::latin1(&decoded(message));
    let trailers: String =
        message.trailers.iter().map(|(n, v)| format!("\r\n{}: {v}", n.to_lowercase())).collect();
    format!("{head}{body}{trailers}")
}

/// The body as it was before it was compressed: the one has other tables than the other.
fn decoded(message: &Message) -> Vec<u8> {
    let mut body = Vec::new();
    let raw = &message.body[..];
    let done = match message.field("content-encoding") {
        Some("gzip") => flate2::read::MultiGzDecoder::new(raw).read_to_end(&mut body),
        Some("deflate") if raw.first() == Some(&0x78) => {
            flate2::read::ZlibDecoder::new(raw).read_to_end(&mut body)
        }
        Some("deflate") => flate2::read::DeflateDecoder::new(raw).read_to_end(&mut body),
        _ => return raw.to_vec(),
    };
    match done {
        Ok(_) => [b"(decoded) ", &body[..]].concat(),
        Err(_) => raw.to_vec(),
    }
}

fn unequal(what: &str, theirs: &[String], ours: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for n in 0..theirs.len().max(ours.len()) {
        let (a, b) = (theirs.get(n), ours.get(n));
        if a != b {
            let text = |line: Option<&String>| line.map_or("(none)".to_string(), |l| format!("{l:?}"));
            out.push(format!("{what} {n} differs\n  HAProxy: {}\n  ours:    {}", text(a), text(b)));
        }
    }
    out
}
