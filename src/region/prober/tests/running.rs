//! The runner against real servers on loopback, over a map without Raft.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::region::map::*;
use crate::region::prober::{Prober, Settings};
use crate::region::testing::{node, registration, status};
use crate::region::{Direct, Seat};
use crate::tls::testing::Issuer;
use crate::tls::{Clients, Server, Versions};

use Health::{Critical, Passing, Warning};

fn fast() -> Settings {
    Settings { script_checks: true, reap_interval_ms: 20, ..Settings::default() }
}

fn every(interval_ms: u64, probe: Probe) -> Definition {
    Definition { probe, interval_ms, timeout_ms: 2000, ..Definition::default() }
}

/// Registers a critical check `id` of the node `n`.
async fn register(seat: &Seat, id: &str, definition: Definition) {
    let mut check = crate::region::testing::check("n", id, "", Critical);
    check.definition = Some(definition.into());
    let registration = Registration { node: node("n", "eu"), checks: vec![check], ..Registration::default() };
    seat.propose(Command::Register(Box::new(registration))).await.expect("registered");
}

/// Waits until check `id` of `n` is so; its output then.
async fn until(seat: &Seat, id: &str, wanted: Health) -> String {
    let found = || seat.map().check("n", id).filter(|c| c.status == wanted).map(|c| c.output.to_string());
    eventually(&format!("{id} {wanted:?}"), || async { found() }).await
}

async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    for _ in 0..1000 {
        if let Some(value) = look().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {what}");
}

/// Answers every request with what `answer` says then, and closes.
async fn origin(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut block = [0; 4096];
                while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                    match stream.read(&mut block).await {
                        Ok(n @ 1..) => request.extend_from_slice(&block[..n]),
                        _ => return,
                    }
                }
                let text = answer(&String::from_utf8_lossy(&request));
                let _ = stream.write_all(text.as_bytes()).await;
            });
        }
    });
    port
}

fn reply(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn http(url: String, header: BTreeMap<Name, Vec<Name>>) -> Probe {
    let (method, body) = ("".into(), "".into());
    Probe::Http { url: url.into(), method, header, body, skip_verify: false, no_redirects: false }
}

#[tokio::test]
async fn http_follows_the_status() {
    let code = Arc::new(AtomicU16::new(200));
    let shown = code.clone();
    let port = origin(move |request| {
        assert!(request.starts_with("GET /health?x=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains("x-probe: 7\r\n"), "{request}");
        reply(shown.load(Ordering::SeqCst), &"o".repeat(9000))
    })
    .await;
    let seat = Direct::seat("n", "eu");
    let prober = Prober::start(seat.clone(), fast());
    let header = BTreeMap::from([("x-probe".into(), vec!["7".into()])]);
    register(&seat, "web", every(100, http(format!("http://127.0.0.1:{port}/health?x=1"), header))).await;
    let output = until(&seat, "web", Passing).await;
    assert!(output.starts_with(&format!("HTTP GET http://127.0.0.1:{port}/health?x=1: 200 OK Output: ooo")));
    assert!(output.len() <= 4096, "{}", output.len());
    code.store(429, Ordering::SeqCst);
    until(&seat, "web", Warning).await;
    code.store(503, Ordering::SeqCst);
    assert!(until(&seat, "web", Critical).await.contains("503"));
    // What stays as it is costs no index.
    let index = seat.map().index();
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert_eq!((seat.map().index(), prober.len()), (index, 1));
}

#[tokio::test]
async fn redirects_are_followed_unless_told_otherwise() {
    let port = origin(|request| match request.split(' ').nth(1) {
        Some("/old/a") => {
            "HTTP/1.1 302 X\r\nlocation: b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into()
        }
        Some("/old/b") => reply(200, "here"),
        _ => "HTTP/1.1 301 X\r\nlocation: /round\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into(),
    })
    .await;
    let seat = Direct::seat("n", "eu");
    let _agent = Prober::start(seat.clone(), fast());
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    register(&seat, "follow", every(100, http(url("/old/a"), BTreeMap::new()))).await;
    register(&seat, "round", every(100, http(url("/round"), BTreeMap::new()))).await;
    let Probe::Http { url: u, method, header, body, skip_verify, .. } = http(url("/old/a"), BTreeMap::new())
    else {
        unreachable!()
    };
    let stay = Probe::Http { url: u, method, header, body, skip_verify, no_redirects: true };
    register(&seat, "stay", every(100, stay)).await;
    assert!(until(&seat, "follow", Passing).await.ends_with("Output: here"));
    let output = |id: &'static str, text: &'static str| {
        let seat = seat.clone();
        async move {
            eventually(text, || async {
                seat.map().check("n", id).filter(|c| c.output.contains(text)).map(|_| ())
            })
            .await
        }
    };
    output("round", "stopped after 10 redirects").await;
    output("stay", "302").await;
}

#[tokio::test]
async fn tcp_and_udp_tell_who_listens() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: Name = tcp.local_addr().expect("an address").to_string().into();
    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let datagrams: Name = udp.local_addr().expect("an address").to_string().into();
    let seat = Direct::seat("n", "eu");
    let _agent = Prober::start(seat.clone(), fast());
    register(&seat, "tcp", every(100, Probe::Tcp { address: address.clone(), tls: false })).await;
    let definition = Definition { timeout_ms: 100, ..every(100, Probe::Udp { address: datagrams }) };
    register(&seat, "udp", definition).await;
    assert_eq!(until(&seat, "tcp", Passing).await, format!("TCP connect {address}: Success"));
    until(&seat, "udp", Passing).await;
    drop((tcp, udp));
    assert!(until(&seat, "tcp", Critical).await.contains("refused"));
    assert!(until(&seat, "udp", Critical).await.contains("refused"));
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out() {
    let mute = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = mute.local_addr().expect("an address").port();
    let seat = Direct::seat("n", "eu");
    let _agent = Prober::start(seat.clone(), fast());
    let definition = every(100, http(format!("http://127.0.0.1:{port}/"), BTreeMap::new()));
    register(&seat, "mute", Definition { timeout_ms: 150, ..definition }).await;
    let output = eventually("a timeout", || async {
        seat.map().check("n", "mute").map(|c| c.output.to_string()).filter(|o| !o.is_empty())
    })
    .await;
    assert_eq!(output, "Timed out after 150 ms");
}

#[tokio::test]
async fn a_ttl_lasts_as_long_as_somebody_reports() {
    let seat = Direct::seat("n", "eu");
    let prober = Prober::start(seat.clone(), fast());
    register(&seat, "ttl", Definition { probe: Probe::Ttl { ms: 300 }, ..Definition::default() }).await;
    seat.propose(status("n", "ttl", Passing)).await.expect("told");
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        prober.heard("ttl");
        assert_eq!(seat.map().check("n", "ttl").map(|c| c.status), Some(Passing));
    }
    assert!(until(&seat, "ttl", Critical).await.starts_with("TTL expired"));
    // A late report brings it back, and the time to live runs again.
    prober.heard("ttl");
    seat.propose(status("n", "ttl", Warning)).await.expect("told");
    until(&seat, "ttl", Critical).await;
    prober.heard("nobody");
}

#[tokio::test]
async fn programs_run_only_where_they_may() {
    let seat = Direct::seat("n", "eu");
    let prober = Prober::start(seat.clone(), fast());
    let script = |line: &str| Probe::Script { args: ["/bin/sh", "-c", line].map(Into::into).into() };
    register(&seat, "fine", every(100, script("echo well; exit 0"))).await;
    register(&seat, "soso", every(100, script("echo so-so >&2; exit 1"))).await;
    register(&seat, "flood", every(100, script("yes | head -c 200000"))).await;
    let slow = Definition { timeout_ms: 100, ..every(100, script("echo begun; sleep 30; echo done")) };
    register(&seat, "slow", slow).await;
    assert_eq!(until(&seat, "fine", Passing).await, "well\n");
    assert_eq!(until(&seat, "soso", Warning).await, "so-so\n");
    assert_eq!(until(&seat, "flood", Passing).await.len(), 4096);
    let output = eventually("a timeout", || async {
        seat.map().check("n", "slow").map(|c| c.output.to_string()).filter(|o| !o.is_empty())
    })
    .await;
    assert_eq!(output, "Timed out after 100 ms: begun\n");
    drop(prober);
    let wary = Direct::seat("n", "eu");
    let _agent = Prober::start(wary.clone(), Settings { script_checks: false, ..fast() });
    register(&wary, "gated", every(100, script("touch /tmp/never"))).await;
    let output = eventually("an answer", || async {
        wary.map().check("n", "gated").map(|c| c.output.to_string()).filter(|o| !o.is_empty())
    })
    .await;
    assert_eq!(output, "Programs are not run on this node (script-checks).");
}

#[tokio::test]
async fn an_alias_follows_another_node() {
    let seat = Direct::seat("n", "eu");
    let _agent = Prober::start(seat.clone(), fast());
    seat.propose(registration(("far", "us"), "web", "web1", 80, Passing)).await.expect("registered");
    let probe = Probe::Alias { node: "far".into(), service_id: "web1".into() };
    register(&seat, "alias", Definition { probe, ..Definition::default() }).await;
    until(&seat, "alias", Passing).await;
    seat.propose(status("far", "web1", Critical)).await.expect("told");
    until(&seat, "alias", Critical).await;
    seat.propose(status("far", "web1", Passing)).await.expect("told");
    until(&seat, "alias", Passing).await;
}

#[tokio::test]
async fn tasks_follow_the_map() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let port = origin(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        reply(200, "")
    })
    .await;
    let seat = Direct::seat("n", "eu");
    let prober = Prober::start(seat.clone(), fast());
    let probe = http(format!("http://127.0.0.1:{port}/"), BTreeMap::new());
    register(&seat, "a", every(60_000, probe.clone())).await;
    until(&seat, "a", Passing).await;
    assert_eq!((prober.len(), count.load(Ordering::SeqCst)), (1, 1), "at once, not after an interval");
    // Registered again, critical at first: checked again at once.
    register(&seat, "a", every(60_000, probe.clone())).await;
    until(&seat, "a", Passing).await;
    assert_eq!(count.load(Ordering::SeqCst), 2);
    // Run in another way: started anew.
    register(&seat, "a", every(100, probe)).await;
    eventually("more runs", || async { (count.load(Ordering::SeqCst) > 4).then_some(()) }).await;
    let gone = Deregistration { node: "n".into(), service_id: None, check_id: Some("a".into()) };
    seat.propose(Command::Deregister(gone)).await.expect("gone");
    eventually("the end of the task", || async { prober.is_empty().then_some(()) }).await;
    let index = seat.map().index();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(seat.map().index(), index);
}

#[tokio::test]
async fn critical_services_are_deregistered_in_time() {
    let seat = Direct::seat("n", "eu");
    let _agent = Prober::start(seat.clone(), fast());
    seat.propose(registration(("n", "eu"), "web", "web1", 80, Passing)).await.expect("registered");
    let mut check = crate::region::testing::check("n", "web1", "web1", Passing);
    let probe = Probe::Ttl { ms: 100 };
    check.definition = Some(Definition { probe, deregister_after_ms: 200, ..Definition::default() }.into());
    let again = Registration { node: node("n", "eu"), checks: vec![check], ..Registration::default() };
    seat.propose(Command::Register(Box::new(again))).await.expect("registered");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(seat.map().instance("n", "web1").is_some(), "not before its time");
    eventually("the reaper", || async { seat.map().instance("n", "web1").is_none().then_some(()) }).await;
    assert!(seat.map().node("n").is_some());
}

/// A server of gRPC's health protocol that serves `good` and does not serve anything else.
async fn health_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.expect("a handshake");
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                    let mut body = request.into_body();
                    let message = body.data().await.expect("a message").expect("a message");
                    let status = if message.ends_with(b"good") || message.len() == 5 { 1 } else { 2 };
                    let head = http::Response::builder().header("content-type", "application/grpc");
                    let mut out = respond.send_response(head.body(()).expect("a head"), false).expect("sent");
                    let data = bytes::Bytes::from(vec![0, 0, 0, 0, 2, 8, status]);
                    out.send_data(data, false).expect("sent");
                    let mut trailers = http::HeaderMap::new();
                    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
                    out.send_trailers(trailers).expect("sent");
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn grpc_asks_for_a_service() {
    let port = health_server().await;
    let seat = Direct::seat("n", "eu");
    let _agent = Prober::start(seat.clone(), fast());
    let probe = |path: &str| Probe::Grpc {
        address: format!("127.0.0.1:{port}{path}").into(),
        tls: false,
        skip_verify: false,
    };
    register(&seat, "whole", every(100, probe(""))).await;
    register(&seat, "good", every(100, probe("/good"))).await;
    register(&seat, "bad", every(100, probe("/bad"))).await;
    until(&seat, "whole", Passing).await;
    assert_eq!(until(&seat, "good", Passing).await, format!("gRPC check 127.0.0.1:{port}/good: success"));
    let output = eventually("an answer", || async {
        seat.map().check("n", "bad").map(|c| c.output.to_string()).filter(|o| !o.is_empty())
    })
    .await;
    assert_eq!(output, format!("gRPC check 127.0.0.1:{port}/bad: NOT_SERVING"));
}

#[tokio::test]
async fn tls_wants_a_certificate_that_somebody_vouches_for() {
    let server = Server {
        shows: Issuer::new().certified(&["127.0.0.1"]).alone(),
        clients: Clients::Any,
        versions: Versions::Both,
        alpn: Vec::new(),
        resumes: true,
    };
    let acceptor = tokio_rustls::TlsAcceptor::from(server.config().expect("a configuration"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut block = [0; 4096];
                let _ = stream.read(&mut block).await;
                let _ = stream.write_all(reply(200, "safe").as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let seat = Direct::seat("n", "eu");
    let _agent = Prober::start(seat.clone(), fast());
    let probe = |skip_verify| Probe::Http {
        url: format!("https://127.0.0.1:{port}/").into(),
        method: "".into(),
        header: BTreeMap::new(),
        body: "".into(),
        skip_verify,
        no_redirects: false,
    };
    register(&seat, "lax", every(100, probe(true))).await;
    register(&seat, "strict", every(100, probe(false))).await;
    assert!(until(&seat, "lax", Passing).await.ends_with("Output: safe"));
    let output = eventually("an answer", || async {
        seat.map().check("n", "strict").map(|c| c.output.to_string()).filter(|o| !o.is_empty())
    })
    .await;
    assert!(output.contains("certificate"), "{output}");
}
