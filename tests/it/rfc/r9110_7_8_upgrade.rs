//! RFC 9110 sections 7.8 and 9.3.6: Upgrade and CONNECT, where bytes stop being HTTP only if both sides agree.

use std::time::Duration;

use super::request::*;
use crate::support::message::{End, Message};
use crate::support::origin::ok;
use crate::support::{Client, Origin, Proxy, Step, program};

const CONFIG: &str = "
defaults
    mode http
    timeout connect 5s
    timeout client 3s
    timeout server 3s
    timeout tunnel 5s
frontend fe
    bind {ip}:{port:fe}
    default_backend be
backend be
    server s1 {origin}
";

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x.test\r\n\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: echo\r\n";

/// An origin that switches protocols where asked to under `/yes` or by CONNECT to `yes.test`.
fn willing() -> Origin {
    let early = |request: &Message| {
        let head = match (request.method(), request.target()) {
            ("CONNECT", "yes.test:80") => "HTTP/1.1 200 Fine\r\n\r\n",
            (_, "/yes") => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
            _ => return None,
        };
        let script = [head, "from the tunnel"].map(|text| Step::Send(text.into()));
        Some(script.into_iter().chain([Step::Sleep(Duration::from_millis(300))]).collect())
    };
    Origin::serve_early(early, |request| {
        let status = if request.method() == "CONNECT" { "405 No" } else { "200 OK" };
        vec![Step::Send(ok("plain").replace("200 OK", status).into())]
    })
}

fn start() -> (Origin, Proxy) {
    let origin = willing();
    let proxy = Proxy::on(CONFIG).with("origin", origin.addr()).start();
    (origin, proxy)
}

/// What the origin saw as requests.
fn seen(origin: &Origin) -> Vec<String> {
    let line = |r: &crate::support::origin::Received| match &r.message {
        Ok(message) => format!("{} {}", message.method(), message.target()),
        Err(broken) => format!("{broken:?}"),
    };
    origin.take().iter().map(line).collect()
}

#[test]
fn an_accepted_upgrade_is_a_tunnel() {
    let (origin, proxy) = start();
    let mut client = Client::connect(proxy.addr("fe"));
    client.send(format!("GET /yes HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\n"));
    let head = client.response().expect("a 101");
    assert_eq!((head.status(), head.field("upgrade")), (101, Some("echo")));
    client.send(SMUGGLED);
    assert_eq!(client.rest(), (b"from the tunnel".to_vec(), End::Closed));
    assert_eq!(seen(&origin), ["GET /yes"]);
}

/// Bytes behind a request to upgrade are HTTP when the server does not switch.
#[test]
fn a_refused_upgrade_stays_http() {
    let (origin, proxy) = start();
    let mut client = Client::connect(proxy.addr("fe"));
    client.send(format!("GET /no HTTP/1.1\r\nHost: x\r\n{UPGRADE}\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(client.response().map(|r| r.body), Ok(b"plain".to_vec()));
    assert_eq!(client.response().map(|r| r.body), Ok(b"plain".to_vec()));
    assert_eq!(seen(&origin), ["GET /no", "GET /next"]);
}

/// A request with a body may ask for an upgrade; the body stays a body.
#[test]
fn an_upgrade_with_a_body() {
    let (origin, proxy) = start();
    let mut client = Client::connect(proxy.addr("fe"));
    let body = "GET /b HTTP/1.1\r\nHost: x\r\n\r\n";
    let head = format!("POST /no HTTP/1.1\r\nHost: x\r\n{UPGRADE}Content-Length: {}\r\n\r\n", body.len());
    client.send(head + body);
    let answer = client.response().expect("an answer");
    assert!(matches!(answer.status(), 200 | 400 | 413 | 422), "{answer:?}");
    let requests = seen(&origin);
    assert!(requests.is_empty() || requests == ["POST /no"], "{requests:?}");
}

#[test]
fn an_accepted_connect_is_a_tunnel() {
    let (origin, proxy) = start();
    let mut client = Client::connect(proxy.addr("fe"));
    client.send("CONNECT yes.test:80 HTTP/1.1\r\nHost: yes.test:80\r\n\r\n");
    assert_eq!(client.response_to("CONNECT").map(|r| r.status()), Ok(200));
    client.send(SMUGGLED);
    assert_eq!(client.rest(), (b"from the tunnel".to_vec(), End::Closed));
    assert_eq!(seen(&origin), ["CONNECT yes.test:80"]);
}

/// What follows a CONNECT that is refused reaches nobody as a request before the refusal is known.
#[test]
fn a_refused_connect_is_no_tunnel() {
    for framing in ["", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"] {
        if program::is_haproxy() && !framing.is_empty() {
            // HAProxy 2.6 passes the length on, and an origin waits for a body that CONNECT does not have.
            continue;
        }
        let (origin, proxy) = start();
        let mut client = Client::connect(proxy.addr("fe"));
        client.send(format!("CONNECT no.test:80 HTTP/1.1\r\nHost: no.test:80\r\n{framing}\r\n"));
        let answer = client.response();
        assert!(answer.as_ref().is_ok_and(|a| matches!(a.status(), 400 | 405)), "{answer:?}");
        // A second client finds everything in order.
        assert_eq!(Client::connect(proxy.addr("fe")).ask(SMUGGLED).body, b"plain");
        let requests = seen(&origin);
        assert!(
            requests == ["CONNECT no.test:80", "GET /smuggled"] || requests == ["GET /smuggled"],
            "with {framing:?}: {requests:?}"
        );
    }
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let with = |fields: &str| format!("GET /row HTTP/1.1\r\n{HOST}{fields}\r\n");
    let plain = || As("Upgrade dropped", with("").into());
    vec![
        row("9113 3.1", "an upgrade to h2c is not passed on", with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
            Any(vec![Refused(400), plain(), As("Upgrade dropped, settings kept", with("HTTP2-Settings: AAMAAABkAAQAAP__\r\n").into())])).haproxy(Exact),
        row("9110 7.8", "h2c among others", with("Connection: Upgrade\r\nUpgrade: h2c, echo\r\n"),
            Any(vec![plain(), As("h2c dropped", with("Upgrade: echo\r\n").into()), As("h2c dropped", with("Upgrade:  echo\r\n").into())])).haproxy(Exact),
        row("9110 7.8", "an upgrade in HTTP/1.0", with("Connection: Upgrade\r\nUpgrade: echo\r\n").replace("HTTP/1.1", "HTTP/1.0"),
            Any(vec![plain(), As("Upgrade dropped", with("").replace("HTTP/1.1", "HTTP/1.0").into()), Refused(400)])).haproxy(Any(vec![Exact, As("sent as 1.1", with("Upgrade: echo\r\n").into())])),
        row("9110 7.8", "Connection: upgrade without Upgrade", with("Connection: upgrade\r\n"), plain()),
        row("9110 9.3.6", "CONNECT whose Host differs", "CONNECT a.test:80 HTTP/1.1\r\nHost: b.test:80\r\n\r\n", Refused(400)),
        row("9110 9.3.6", "CONNECT with an absolute target", "CONNECT http://a.test:80/ HTTP/1.1\r\nHost: a.test:80\r\n\r\n", Refused(400)).haproxy(As("Host without its default port", "CONNECT http://a.test:80/ HTTP/1.1\r\nHost: a.test\r\n\r\n".into())),
        row("9110 9.3.6", "CONNECT to a port that is none", "CONNECT a.test:http HTTP/1.1\r\nHost: a.test:http\r\n\r\n", Refused(400)).haproxy(Any(vec![Exact, Refused(400)])),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    rows()
}

#[test]
fn upgrade_fields() {
    check(rows());
}
