//! Connections that are opened once, used when told, and otherwise held idle.

use crate::args::Args;
use crate::reply;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Opens `--conns` connections with one request on each, then obeys stdin: `request [PATH]` sends one more on
/// every connection, one after another; each command and the opening print one line of JSON.
pub fn run(args: &Args) -> Result<(), String> {
    let target = args.required("target")?.to_owned();
    let path = args.text("path").unwrap_or("/128").to_owned();
    let count: usize = args.or("conns", 100)?;
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = TcpStream::connect(&target).map_err(|error| format!("{target}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|error| error.to_string())?;
        held.push(Some(stream));
    }
    println!("{}", request_all(&mut held, &path));
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let mut words = line.split_whitespace();
        match words.next() {
            Some("request") => println!("{}", request_all(&mut held, words.next().unwrap_or(&path))),
            _ => return Err(format!("unknown command '{line}'")),
        }
    }
    Ok(())
}

/// One request on every connection that is still open.
fn request_all(held: &mut [Option<TcpStream>], path: &str) -> Value {
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench.test\r\n\r\n");
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for place in held.iter_mut() {
        let outcome = match place {
            None => "was closed".to_owned(),
            Some(stream) => match exchange(stream, request.as_bytes()) {
                Ok(outcome) => outcome,
                Err(error) => {
                    *place = None;
                    error
                }
            },
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    let open = held.iter().flatten().count();
    json!({ "open": open, "outcomes": outcomes })
}

/// Sends a request and reads its whole response; the outcome is its status.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<String, String> {
    stream.write_all(request).map_err(|error| format!("send: {error}"))?;
    let mut bytes = Vec::with_capacity(4096);
    let mut chunk = [0u8; 16384];
    loop {
        let count = stream.read(&mut chunk).map_err(|error| format!("receive: {error}"))?;
        if count == 0 {
            return Err("closed".to_owned());
        }
        bytes.extend_from_slice(&chunk[..count]);
        match reply::head(&bytes) {
            Ok(head) if (bytes.len() - head.head_len) as u64 >= head.body_len.unwrap_or(u64::MAX) => {
                return Ok(head.status.to_string());
            }
            Ok(_) | Err(reply::NoHead::Partial) => {}
            Err(reply::NoHead::Malformed) => return Err("malformed response".to_owned()),
        }
    }
}
