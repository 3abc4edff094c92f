//! The runtime API: what of the traffic it shows.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::HTTP;
use crate::support::Origin;
use crate::support::differential::{Run, same};

/// Runs one command and notes the lines of the answer that `shown` keeps.
fn cli(run: &mut Run, command: &str, shown: fn(&str) -> Option<String>) {
    let mut stream = UnixStream::connect(run.proxy.dir().join("sock")).expect("connect");
    stream.write_all(format!("{command}\n").as_bytes()).expect("write");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    let shown: String = text.lines().filter_map(shown).collect::<Vec<_>>().join("\n");
    run.note(command, &shown);
}

/// Without dates, ports of clients, and what only HAProxy's own parser knows.
fn event(line: &str) -> Option<String> {
    if line.starts_with("  H1 ") || line.trim_start().starts_with("buffer starts") || line.trim().is_empty() {
        return None;
    }
    if let Some((_, rest)) = line.split_once("] ") {
        return Some(rest.to_owned());
    }
    if line.contains(", event #") {
        return line.rsplit_once(':').map(|(before, _)| before.to_owned());
    }
    // "len 50, wraps at 16384, error at position 4": how large the buffer is differs.
    match line.split_once(", wraps at ") {
        Some((len, rest)) => Some(format!("{len} {}", rest.split_once(", ").map_or("", |(_, r)| r))),
        None => Some(line.to_owned()),
    }
}

fn broken() -> Vec<(&'static str, Origin)> {
    let answer = b"HTTP/1.1 200 OK\r\nX-A: b\r\nBad Name: x\r\n\r\n".to_vec();
    vec![("s1", Origin::canned(answer))]
}

#[test]
fn invalid_messages_are_kept() {
    let head = HTTP.replace("    nbthread 1\n", "    nbthread 1\n    stats socket {dir}/sock level admin\n");
    let config = format!(
        "{head}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, broken, 3, |run| {
        cli(run, "show errors", event);
        run.ask("fe", "GET / HTTP/1.1\r\nHost: a.test\r\nBad Name: x\\y\tz\r\n\r\n");
        cli(run, "show errors", event);
        let long = "x".repeat(150);
        run.ask("fe", &format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {long}\r\nY\u{1}: y\r\n\r\n"));
        cli(run, "show errors", event);
        run.get("fe", "/", "");
        for command in [
            "show errors",
            "show errors fe",
            "show errors be",
            "show errors be request",
            "show errors be response",
            "show errors nothing",
        ] {
            cli(run, command, event);
        }
    });
}
