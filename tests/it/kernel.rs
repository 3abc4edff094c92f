//! What the kernel is asked for: how many may wait at a listener, and how connections end.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use crate::support::client::get;
use crate::support::{Proxy, program};

const HTTP: &str = "
global
    maxconn 700
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
";

/// The longest queue of connections that wait at a listener, as `ss` tells it.
fn queue(addr: SocketAddr) -> u32 {
    let filter = format!("src {addr}");
    let output = Command::new("ss").args(["-Hlnt", &filter]).output().expect("ss runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().nth(2).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{addr}: {text:?}"))
}

/// As many may wait as may be connected, unless `backlog` says otherwise; as HAProxy 2.6.
#[test]
fn as_many_wait_at_a_listener_as_may_be_connected() {
    if !program::installed("ss") {
        return program::skipped("backlog", "ss is not installed");
    }
    for (bind, front, waiting) in [
        ("", "", 700),
        ("", "maxconn 50", 50),
        ("", "maxconn 50\n    backlog 60", 60),
        ("backlog 70", "backlog 60", 70),
    ] {
        let config = format!("{HTTP}frontend web\n    bind {{ip}}:{{port:web}} {bind}\n    {front}\n");
        let proxy = Proxy::on(&config).start();
        assert_eq!(queue(proxy.addr("web")), waiting, "bind {bind:?}, {front:?}");
    }
}

/// A connection to a server that nobody keeps is not left to wait for its farewell: it would hold a port for a minute.
#[test]
fn an_idle_connection_that_nobody_keeps_ends_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = listener.local_addr().expect("its address");
    let config = format!(
        "{HTTP}listen web\n    bind {{ip}}:{{port:web}}\n    http-reuse always\n    server s1 {server} pool-max-conn 0\n"
    );
    let proxy = Proxy::on(&config).start();
    let origin = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit");
        let mut room = [0; 4096];
        let asked = stream.read(&mut room).expect("a request");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("an answer");
        (asked > 0).then(|| stream.read(&mut room).map_err(|e| e.kind()))
    });
    assert_eq!(get(proxy.addr("web"), "/").body_text(), "ok");
    assert_eq!(origin.join().expect("the origin"), Some(Err(ErrorKind::ConnectionReset)));
}
