//! Timeouts and aborts, told by status and termination flags (`cR`, `sH`, `CD`...).

use std::time::Duration;

use crate::support::differential::{Run, same};
use crate::support::message::Message;
use crate::support::{Client, Origin, Step, origin};

const CONFIG: &str = "
global
    nbthread 1
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout connect 1s
    timeout client 2s
    timeout server 2s
    timeout http-request 1s
    timeout http-keep-alive 700ms
frontend fe
    bind {ip}:{port:fe}
    default_backend be
frontend quiet
    bind {ip}:{port:quiet}
    option dontlognull
    option http-ignore-probes
    default_backend be
backend be
    retries 0
    server s1 {s1}
";

fn moody() -> Vec<(&'static str, Origin)> {
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nsome";
    let early = move |request: &Message| match request.target() {
        "/hang" => Some(vec![Step::Hang]),
        "/half" => Some(vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-".into()), Step::Hang]),
        "/body" => Some(vec![Step::Send(length.into()), Step::Hang]),
        "/flow" => {
            Some(vec![Step::Send(length.into()), Step::Drip(vec![b'x'; 400], Duration::from_millis(10))])
        }
        "/die" => Some(vec![Step::Close]),
        "/diehead" => Some(vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-".into()), Step::Close]),
        "/diebody" => {
            Some(vec![Step::Send(length.into()), Step::Sleep(Duration::from_millis(100)), Step::Close])
        }
        "/garbage" => Some(vec![Step::Send(b"not http at all\r\n\r\n".into()), Step::Hang]),
        "/drip" => Some(vec![Step::Drip(origin::ok("slow").into(), Duration::from_millis(2))]),
        _ => None,
    };
    vec![("s1", Origin::serve_early(early, |_| vec![Step::Send(origin::ok("fine").into())]))]
}

/// What is left on the connection, told without its end's exact time.
fn to_the_end(run: &mut Run, client: &mut Client, label: &str) {
    let (bytes, end) = client.rest();
    let text = crate::support::normalise::head(&String::from_utf8_lossy(&bytes));
    run.note(label, &format!("{text} {end:?}"));
}

#[test]
fn server_side() {
    same(CONFIG, moody, 8, |run| {
        for path in ["/hang", "/half", "/body", "/die", "/diehead", "/diebody", "/garbage", "/drip"] {
            let mut client = Client::connect(run.addr("fe"));
            client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
            to_the_end(run, &mut client, path);
        }
    });
}

#[test]
fn client_is_slow() {
    same(CONFIG, moody, 3, |run| {
        for (label, bytes) in
            [("no byte", ""), ("half a head", "GET / HTTP/1.1\r\nHos"), ("half a request line", "GE")]
        {
            let mut client = Client::connect(run.addr("fe"));
            client.send(bytes);
            to_the_end(run, &mut client, label);
        }
    });
}

/// Answers before the request is whole, and waits for no more of it.
fn hasty() -> Vec<(&'static str, Origin)> {
    let early = |request: &Message| {
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome";
        match request.target() {
            "/flow" => {
                Some(vec![Step::Send(length.into()), Step::Drip(vec![b'x'; 900], Duration::from_millis(1))])
            }
            "/204" => Some(vec![Step::Send(b"HTTP/1.1 204 No Content\r\n\r\n".into()), Step::Hang]),
            _ => Some(vec![Step::Send(origin::ok("done").into()), Step::Hang]),
        }
    };
    vec![("s1", Origin::serve_early(early, |_| Vec::new()))]
}

/// A request that breaks off while its response is under way ends that too, and the line says whose fault it was.
#[test]
fn uploads_that_break_off() {
    same(CONFIG, hasty, 7, |run| {
        let length = "Content-Length: 50\r\n\r\nhalf";
        let chunked = "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
        for (path, framing, more, is_half) in [
            ("/flow", length, "", true),
            ("/flow", chunked, "", true),
            ("/flow", chunked, "zz\r\n", false),
            ("/204", length, "", true),
            ("/done", length, "", true),
            ("/done", chunked, "zz\r\n", false),
            ("/done", length, "", false),
        ] {
            let mut client = Client::connect(run.addr("fe"));
            client.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\n{framing}"));
            std::thread::sleep(Duration::from_millis(150));
            client.send(more);
            if is_half {
                client.half_close();
            }
            let (bytes, end) = client.rest();
            let status = String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned();
            run.note(path, &format!("{status} {end:?}, whole: {}", bytes.len() >= 1000));
        }
    });
}

#[test]
fn client_goes_away() {
    same(CONFIG, moody, 3, |run| {
        let addr = run.addr("fe");
        let pause = || std::thread::sleep(Duration::from_millis(150));
        let mut client = Client::connect(addr);
        client.send("GET / HTTP/1.1\r\nHos");
        drop(client);
        pause();
        for is_reset in [false, true] {
            let mut client = Client::connect(addr);
            // With data under way: where there is none, HAProxy notices only at the server's timeout.
            client.send("GET /flow HTTP/1.1\r\nHost: x\r\n\r\n");
            pause();
            if is_reset {
                client.reset()
            } else {
                drop(client)
            }
            pause();
        }
    });
}

#[test]
fn idle_connections() {
    same(CONFIG, moody, 2, |run| {
        let mut client = Client::connect(run.addr("fe"));
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        run.note_response(&mut client, "GET", "one request");
        to_the_end(run, &mut client, "then nothing");
        let mut client = Client::connect(run.addr("quiet"));
        to_the_end(run, &mut client, "a probe");
        drop(Client::connect(run.addr("quiet")));
        run.get("quiet", "/", "");
    });
}
