//! Blocking queries that wait on one connection each, and how long it takes until the last is answered once what they
//! wait for has changed.

use crate::args::Args;
use crate::reply;
use crate::socket::{Clock, Got, Set, receive};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Until everything that was sent is parked.
const SETTLE: Duration = Duration::from_secs(2);
/// For all answers.
const PATIENCE_NS: u64 = 10_000_000_000;
/// The token of the connection that makes the change.
const CHANGER: u64 = u64::MAX;

struct Parked {
    stream: TcpStream,
    /// What came of an answer that is not whole.
    partial: Vec<u8>,
    answered: bool,
}

/// Parks `--conns` queries for `--path` at the nodes of `--target` in turn, makes the change at the first of them by `--put` of `--body`, in which `{round}` is the round's
/// number (what equals what stands there is no change, and nobody is told of it), and reads all answers; as often as
/// `--rounds` says. Prints a line of JSON with the milliseconds of each round.
pub fn run(args: &Args) -> Result<(), String> {
    let targets: Vec<String> = args.list("target")?;
    let first = targets.first().ok_or("--target is needed")?;
    let (path, put, body) = (args.required("path")?, args.required("put")?, args.required("body")?);
    let (count, rounds): (usize, u64) = (args.or("conns", 5_000)?, args.or("rounds", 5)?);
    let mut changer = open(first)?;
    let mut index = first_index(&mut changer, path)?;
    let mut parked = Vec::with_capacity(count);
    for target in targets.iter().cycle().take(count) {
        let stream = open(target)?;
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        parked.push(Parked { stream, partial: Vec::new(), answered: false });
    }
    changer.set_nonblocking(true).map_err(|error| error.to_string())?;
    let mut set = Set::new()?;
    set.add(&changer, CHANGER, false);
    (0..).zip(&parked).for_each(|(token, one)| set.add(&one.stream, token, false));
    let mut told = Vec::new();
    for round in 0..rounds {
        let query = format!("GET {path}?index={index}&wait=9m HTTP/1.1\r\nHost: bench.test\r\n\r\n");
        for one in &mut parked {
            one.answered = false;
            one.stream.write_all(query.as_bytes()).map_err(|error| format!("send: {error}"))?;
        }
        std::thread::sleep(SETTLE);
        early(&mut set, &changer, &parked)?;
        let body = body.replace("{round}", &round.to_string());
        let change =
            format!("PUT {put} HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let clock = Clock::start();
        changer.write_all(change.as_bytes()).map_err(|error| format!("send: {error}"))?;
        let seen = gather(&mut set, &changer, &mut parked, clock)?;
        // Whoever still waits would be answered by the next change, and spoil what is measured then.
        if seen.answers_ns.len() < count {
            return Err(format!(
                "round {round}: {} of {count} were told of the change",
                seen.answers_ns.len()
            ));
        }
        index = index.max(seen.index);
        told.push(seen.told());
    }
    println!("{}", json!({ "conns": count, "rounds": told }));
    Ok(())
}

/// An error that says what came, if anything was answered before anything had changed.
fn early(set: &mut Set, changer: &TcpStream, parked: &[Parked]) -> Result<(), String> {
    if set.wait(Duration::ZERO) == 0 {
        return Ok(());
    }
    let (token, _) = set.event(0);
    let stream = parked.get(token as usize).map_or(changer, |one| &one.stream);
    let mut buffer = [0; 1024];
    let said = match receive(stream, &mut buffer) {
        Got::Bytes(count) => String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()).into_owned(),
        Got::End => "its connection was closed".to_owned(),
        Got::Later => "nothing came after all".to_owned(),
        Got::Failed(errno) => errno.to_string(),
    };
    Err(format!("something was answered before anything had changed: {said}"))
}

fn open(target: &str) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(target).map_err(|error| format!("{target}: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// What the map says of the path now.
fn first_index(stream: &mut TcpStream, path: &str) -> Result<u64, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench.test\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| format!("send: {error}"))?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 65_536]);
    loop {
        let read = stream.read(&mut chunk).map_err(|error| format!("receive: {error}"))?;
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
        match answer(&bytes)? {
            Some(index) => return Ok(index),
            None if read == 0 => return Err("closed".to_owned()),
            None => {}
        }
    }
}

/// The index in an answer, once it is whole; 0 when it has none.
fn answer(bytes: &[u8]) -> Result<Option<u64>, String> {
    let head = match reply::head(bytes) {
        Err(reply::NoHead::Partial) => return Ok(None),
        Err(reply::NoHead::Malformed) => return Err("a malformed answer".to_owned()),
        Ok(head) => head,
    };
    let body_len = head.body_len.ok_or("an answer of unknown length")?;
    if head.status != 200 {
        return Err(format!("status {}: {}", head.status, String::from_utf8_lossy(bytes)));
    }
    if ((bytes.len() - head.head_len) as u64) < body_len {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes[..head.head_len]).to_ascii_lowercase();
    let index = text.lines().find_map(|line| line.strip_prefix("x-consul-index:")?.trim().parse().ok());
    Ok(Some(index.unwrap_or(0)))
}

#[derive(Default)]
struct Seen {
    index: u64,
    put_ns: u64,
    /// When each was answered, in order.
    answers_ns: Vec<u64>,
}

impl Seen {
    fn told(&self) -> Value {
        let ms = |ns: Option<&u64>| ns.map(|ns| *ns as f64 / 1e6);
        let all = &self.answers_ns;
        json!({
            "answered": all.len(), "put_ms": self.put_ns as f64 / 1e6, "first_ms": ms(all.first()),
            "median_ms": ms(all.get(all.len() / 2)), "last_ms": ms(all.last()),
        })
    }
}

/// Reads until everybody is answered, the change included.
fn gather(set: &mut Set, changer: &TcpStream, parked: &mut [Parked], clock: Clock) -> Result<Seen, String> {
    let (mut seen, mut buffer) = (Seen::default(), vec![0; 262_144]);
    while (seen.answers_ns.len() < parked.len() || seen.put_ns == 0) && clock.now_ns() < PATIENCE_NS {
        for event in 0..set.wait(Duration::from_millis(10)) {
            let (token, _) = set.event(event);
            if token == CHANGER {
                if !matches!(receive(changer, &mut buffer), Got::Bytes(_)) {
                    return Err("the change was not answered".to_owned());
                }
                seen.put_ns = clock.now_ns();
                continue;
            }
            let Some(one) = parked.get_mut(token as usize) else { continue };
            let bytes = match receive(&one.stream, &mut buffer) {
                Got::Bytes(count) => buffer.get(..count).unwrap_or_default(),
                Got::Later => continue,
                Got::End | Got::Failed(_) => return Err("a parked connection was closed".to_owned()),
            };
            // Most come whole.
            let whole = if one.partial.is_empty() {
                answer(bytes)?
            } else {
                one.partial.extend_from_slice(bytes);
                answer(&one.partial)?
            };
            match whole {
                Some(index) if !one.answered => {
                    one.answered = true;
                    one.partial.clear();
                    seen.index = seen.index.max(index);
                    seen.answers_ns.push(clock.now_ns());
                }
                Some(_) => return Err("an answer that nobody asked for".to_owned()),
                None if one.partial.is_empty() => one.partial = bytes.to_vec(),
                None => {}
            }
        }
    }
    Ok(seen)
}
