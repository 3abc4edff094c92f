//! Plays a request: the client's bytes go in, a server that answers everything is found, and time passes when nothing
//! else happens.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crate::config::Config;
use crate::os::process;
use crate::proxy::Rehearsal;
use crate::rt::Rt;
use crate::rules::witness;

use super::asked::Request;
use super::course::Course;
use super::entrance::{Entrance, Url};
use super::message::Message;
use super::wire::{Wire, hello};

/// How every server answers.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// The port that the client comes from.
const CLIENT_PORT: u16 = 40_000;
/// How long an answer is waited for, in time that passes at once.
const PATIENCE_MS: u64 = 300_000;
/// Most steps of a request.
const STEPS: usize = 100_000;

/// The far end of a connection to a server.
struct Far {
    stream: Option<UnixStream>,
    got: Vec<u8>,
    has_answered: bool,
}

impl Far {
    fn read(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let mut room = [0; 16384];
        let mut moved = false;
        loop {
            match stream.read(&mut room) {
                Ok(n) if n > 0 => self.got.extend_from_slice(&room[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return moved,
                _ => {
                    self.stream = None;
                    return true;
                }
            }
            moved = true;
        }
    }

    /// Answers a request; what is none is taken, and the connection ends.
    fn answer(&mut self) -> bool {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.has_answered && !self.got.is_empty()) else {
            return false;
        };
        self.has_answered = true;
        if Message::of(&self.got).is_none() || stream.write(ANSWER).is_err() {
            self.stream = None;
        }
        true
    }
}

/// A PROXY header, the name of a hello, and what follows.
type Words = (Vec<u8>, Option<String>, Vec<u8>);

/// What the client says first: a PROXY header where one is expected, then its request or its hello.
fn words(config: &Config, entrance: &Entrance, request: &Request) -> Result<Words, String> {
    let line = entrance.line(config);
    let (from, to) = ends(entrance, request);
    let preface = match line {
        Some(line) if line.accept_proxy => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port()).into_bytes()
        }
        _ => Vec::new(),
    };
    let url = Url::of(&request.url);
    let name = || request.sni.as_deref().or(url.map(|url| url.host())).unwrap_or("localhost").to_owned();
    let is_tls = line.is_some_and(|line| line.tls.is_on);
    let speaks_tls = request.sni.is_some() || url.is_some_and(|url| url.is_https);
    if !is_tls && speaks_tls && !entrance.is_http(config) {
        return Ok((preface, None, hello(&name())?));
    }
    Ok((preface, is_tls.then(name), head(request, url)))
}

/// The request as bytes.
fn head(request: &Request, url: Option<Url<'_>>) -> Vec<u8> {
    let target = url.map_or(request.url.as_str(), |url| url.path);
    let target = if target.starts_with('?') { format!("/{target}") } else { target.to_owned() };
    let mut text = format!("{} {target} HTTP/1.1\r\n", request.method);
    let has = |name: &str| {
        let names = request.fields.iter().filter_map(|field| field.split_once(':'));
        names.map(|(n, _)| n).any(|n| n.trim().eq_ignore_ascii_case(name))
    };
    if !has("host") {
        text += &format!("Host: {}\r\n", url.map_or("localhost", |url| url.authority));
    }
    request.fields.iter().for_each(|field| text += &format!("{field}\r\n"));
    if !request.body.is_empty() && !has("content-length") && !has("transfer-encoding") {
        text += &format!("Content-Length: {}\r\n", request.body.len());
    }
    text += "\r\n";
    text += &request.body;
    text.into_bytes()
}

fn ends(entrance: &Entrance, request: &Request) -> (SocketAddr, SocketAddr) {
    let from = SocketAddr::new(request.from, CLIENT_PORT);
    let to = match (from, entrance.to) {
        // A listener of all addresses has one of the client's family.
        (SocketAddr::V6(_), SocketAddr::V4(to)) => {
            SocketAddr::new(to.ip().to_ipv6_mapped().into(), to.port())
        }
        (_, to) => to,
    };
    (from, to)
}

/// What becomes of a request. The error is a sentence.
pub fn play(rt: &'static Rt, config: &Arc<Config>, request: &Request) -> Result<Course, String> {
    let entrance = Entrance::find(config, request)?;
    let (first, name, said) = words(config, &entrance, request)?;
    let (from, to) = ends(&entrance, request);
    let failed = |e: std::io::Error| format!("the rehearsal failed: {e}");
    witness::ask();
    witness::take();
    let rehearsal = Rehearsal::on(rt, config.clone(), process::hostname());
    let frontend = entrance.proxy(config).name.to_string();
    let client = rehearsal.client((entrance.front, entrance.bind), from, to).map_err(failed)?;
    let client = client.ok_or_else(|| format!("frontend '{frontend}' takes no connection"))?;
    let mut wire = Wire::new(client, first, name.as_deref())?;
    wire.send(&said);
    let mut course = Course {
        entrance,
        frontend,
        events: Vec::new(),
        at_server: None,
        answer: Vec::new(),
        has_ended: false,
        waited_ms: 0,
        fault: None,
    };
    let mut fars: Vec<Far> = Vec::new();
    for _ in 0..STEPS {
        if !rt.rest().map_err(failed)? {
            return Err("the worker does not come to rest".to_owned());
        }
        let mut moved = wire.turn();
        let opened = rehearsal.opened().into_iter();
        fars.extend(opened.map(|stream| Far { stream: Some(stream), got: Vec::new(), has_answered: false }));
        fars.iter_mut().for_each(|far| moved |= far.read());
        if moved || fars.iter_mut().any(Far::answer) {
            continue;
        }
        if wire.has_ended || Message::answer(&wire.got).is_some() || course.waited_ms >= PATIENCE_MS {
            break;
        }
        let step = 50 + course.waited_ms / 2;
        course.waited_ms += step;
        if !rt.pass(step).map_err(failed)? {
            return Err("the worker does not come to rest".to_owned());
        }
    }
    course.has_ended = wire.has_ended;
    (course.answer, course.fault) = (std::mem::take(&mut wire.got), wire.fault.take());
    drop(wire);
    course.at_server = fars.iter().rev().map(|far| &far.got).find(|got| !got.is_empty()).cloned();
    drop(fars);
    rt.pass(1).map_err(failed)?;
    course.events = witness::take();
    Ok(course)
}
