//! One client that uploads as fast as it is let, request after request on one connection.

use crate::args::Args;
use crate::reply;
use crate::socket::Clock;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PIECE_LEN: usize = 256 * 1024;

/// POSTs `--bytes` at a time to `--target` until `--duration` is over, and prints how many bytes were taken.
pub fn run(args: &Args) -> Result<(), String> {
    let target = args.required("target")?;
    let bytes: u64 = args.or("bytes", 1 << 28)?;
    let seconds: f64 = args.or("duration", 1.0)?;
    let clock = Clock::start();
    let is_over = || clock.now_ns() as f64 >= seconds * 1e9;
    let mut stream = TcpStream::connect(target).map_err(|error| format!("{target}: {error}"))?;
    let patience = Some(Duration::from_secs(10));
    stream.set_write_timeout(patience).map_err(|error| error.to_string())?;
    stream.set_read_timeout(patience).map_err(|error| error.to_string())?;
    let head = format!("POST /128 HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {bytes}\r\n\r\n");
    let piece = vec![b'x'; PIECE_LEN];
    let (mut taken, mut uploads) = (0, 0);
    while !is_over() {
        stream.write_all(head.as_bytes()).map_err(|error| format!("send: {error}"))?;
        let mut left = bytes;
        while left > 0 && !is_over() {
            let next = &piece[..left.min(PIECE_LEN as u64) as usize];
            let count = stream.write(next).map_err(|error| format!("send: {error}"))?;
            taken += count as u64;
            left -= count as u64;
        }
        if left == 0 {
            answered(&mut stream)?;
            uploads += 1;
        }
    }
    println!("{}", json!({ "bytes": taken, "uploads": uploads, "seconds": clock.now_ns() as f64 / 1e9 }));
    Ok(())
}

/// Reads the whole answer to an upload.
fn answered(stream: &mut TcpStream) -> Result<(), String> {
    let mut bytes = Vec::new();
    let mut room = [0; 4096];
    loop {
        let count = stream.read(&mut room).map_err(|error| format!("receive: {error}"))?;
        if count == 0 {
            return Err("closed before the response".to_owned());
        }
        bytes.extend_from_slice(&room[..count]);
        match reply::head(&bytes) {
            Ok(head) if head.status != 200 => return Err(format!("status {}", head.status)),
            Ok(head) if (bytes.len() - head.head_len) as u64 >= head.body_len.unwrap_or(u64::MAX) => {
                return Ok(());
            }
            Ok(_) | Err(reply::NoHead::Partial) => {}
            Err(reply::NoHead::Malformed) => return Err("malformed response".to_owned()),
        }
    }
}
