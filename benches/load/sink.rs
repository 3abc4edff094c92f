//! A syslog reader: drains a unix datagram socket and says how many messages came.

use crate::args::Args;
use std::io::{BufRead, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Binds `--path`, drains it, and answers each line on stdin with the count so far and the last message's length.
pub fn run(args: &Args) -> Result<(), String> {
    let path = args.required("path")?;
    let _ = std::fs::remove_file(path);
    let socket = UnixDatagram::bind(path).map_err(|error| format!("{path}: {error}"))?;
    let count = Arc::new(AtomicU64::new(0));
    let last_len = Arc::new(AtomicU64::new(0));
    let (counter, length) = (Arc::clone(&count), Arc::clone(&last_len));
    std::thread::spawn(move || {
        let mut buffer = vec![0u8; 65536];
        while let Ok(len) = socket.recv(&mut buffer) {
            counter.fetch_add(1, Ordering::Relaxed);
            length.store(len as u64, Ordering::Relaxed);
        }
    });
    println!("ready");
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        if line.is_err() {
            break;
        }
        let (messages, bytes) = (count.load(Ordering::Relaxed), last_len.load(Ordering::Relaxed));
        let _ = writeln!(out, "{{\"messages\":{messages},\"last_len\":{bytes}}}");
        let _ = out.flush();
    }
    Ok(())
}
