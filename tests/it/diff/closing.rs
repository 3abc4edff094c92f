//! How connections and listeners end: `option nolinger`, `disable frontend`.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{HTTP, one};
use crate::support::differential::{Run, same};
use crate::support::{Origin, Proxy, place, program};

/// What a client finds when it writes to a connection that the proxy has ended.
fn after_the_end(run: &mut Run, port: &str) {
    let mut stream = TcpStream::connect(run.addr(port)).expect("connect");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("write");
    let mut text = String::new();
    let read = stream.read_to_string(&mut text).map_err(|e| e.kind());
    std::thread::sleep(Duration::from_millis(100));
    let written = stream.write(b"x").map_err(|e| e.kind());
    let answer = text.lines().next().unwrap_or_default();
    run.note(port, &format!("{answer} {:?} {written:?}", read.map(|_| "end")));
}

#[test]
fn clients_are_reset() {
    let config = format!(
        "{HTTP}
frontend plain
    bind {{ip}}:{{port:plain}}
    default_backend be
frontend hard
    bind {{ip}}:{{port:hard}}
    option nolinger
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, one, 2, |run| {
        after_the_end(run, "plain");
        after_the_end(run, "hard");
    });
}

/// How a server's connection ends when the proxy has no use for it any more.
fn end_at_the_server(binary: std::path::PathBuf, options: &str) -> String {
    let server = TcpListener::bind((place::address(), 0)).expect("a port");
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    option http-server-close
{options}
    server s1 {{s1}}
",
        HTTP.replace("    log {log} local0\n", "")
    );
    let proxy = Proxy::on(&config).binary(binary).with("s1", server.local_addr().expect("bound")).start();
    let mut client = TcpStream::connect(proxy.addr("fe")).expect("connect");
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("write");
    let (mut stream, _) = server.accept().expect("accept");
    let mut room = [0; 4096];
    let received = stream.read(&mut room).expect("the request");
    assert!(received > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("write");
    let _ = client.read_to_end(&mut Vec::new());
    stream.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
    match stream.read(&mut room) {
        Ok(0) => "end".into(),
        Err(e) if e.kind() == ErrorKind::ConnectionReset => "reset".into(),
        other => format!("{other:?}"),
    }
}

#[test]
fn servers_are_reset() {
    let Some(haproxy) = program::haproxy() else {
        return program::skipped("diff", "no HAProxy on this machine (Debian package: haproxy)");
    };
    let option = "    option nolinger\n";
    assert_eq!(end_at_the_server(haproxy, option), "reset", "HAProxy");
    assert_eq!(end_at_the_server(program::under_test(), option), "reset");
    // HAProxy resets here too.
    assert_eq!(end_at_the_server(program::under_test(), ""), "end");
}

fn connects(run: &mut Run, label: &str) {
    let kinds: Vec<_> =
        (0..3).map(|_| TcpStream::connect(run.addr("fe")).map(|_| ()).map_err(|e| e.kind())).collect();
    run.note(label, &format!("{kinds:?}"));
}

#[test]
fn a_disabled_frontend_refuses() {
    let head = HTTP.replace("    nbthread 1\n", "    nbthread 2\n    stats socket {dir}/sock level admin\n");
    let config = format!(
        "{head}
frontend fe
    bind {{ip}}:{{port:fe}}
    option dontlognull
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    let origins: fn() -> Vec<(&'static str, Origin)> = one;
    same(&config, origins, 7, |run| {
        run.get("fe", "/before", "");
        for _ in 0..2 {
            let said = run.cli("disable frontend fe");
            run.note("disable", said.trim());
            connects(run, "disabled");
        }
        run.columns(&["status"]);
        for _ in 0..2 {
            let said = run.cli("enable frontend fe");
            run.note("enable", said.trim());
            connects(run, "enabled");
        }
        run.columns(&["status"]);
        run.get("fe", "/after", "");
        run.cli("disable frontend fe");
        run.cli("enable frontend fe");
        run.get("fe", "/at-once", "");
    });
}
