//! Client and server against each other, and against peers that misbehave.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::tls::testing::Issuer;
use crate::tls::{Client, Clients, Secure, Server, Servers, Versions};

const SOON: Duration = Duration::from_secs(5);
const LIMITS: Limits = Limits {
    connections: 16,
    handshake: Duration::from_millis(100),
    head: Duration::from_millis(300),
    head_bytes: 0,
    patience_ms: 1000,
    drain: SOON,
};

/// Says what it was asked; `/slow` after a while.
async fn echo(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    if path == "/slow" {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let (status, body) = match read(request.into_body(), Bounds { most: 8, drain: 64 << 10 }).await {
        Ok(body) => (StatusCode::OK, body),
        Err(e) => (StatusCode::PAYLOAD_TOO_LARGE, e.to_string().into()),
    };
    let mut answer = Response::new(Full::new([path.as_bytes(), b" ", &body].concat().into()));
    *answer.status_mut() = status;
    answer
}

struct Started {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(limits: Limits) -> Started {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let task = tokio::spawn(serve(vec![Listener::Tcp(listener)], limits, echo, stopped));
    Started { address, stop, task }
}

fn request(path: &str, body: &str) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    Request::builder().method("PUT").uri(path).header("host", "a.test").body(body).expect("a request")
}

async fn open(address: SocketAddr) -> Connection {
    let address = address.to_string();
    Connection::open(Peer::Tcp(&address), None, SOON).await.expect("a connection")
}

async fn ask(connection: &mut Connection, path: &str, body: &str) -> (StatusCode, String) {
    let (head, body) = connection.exchange(request(path, body), 1 << 20).await.expect("an answer");
    (head.status, String::from_utf8_lossy(&body).into_owned())
}

/// What a peer says until it closes.
async fn rest(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = Vec::new();
    timeout(SOON, stream.read_to_end(&mut text)).await.expect("an end")?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn a_connection_is_used_again_and_bodies_have_bounds() {
    let server = start(LIMITS).await;
    let mut connection = open(server.address).await;
    assert_eq!(connection.own, Some(server.address.ip()));
    for _ in 0..3 {
        assert_eq!(ask(&mut connection, "/a", "body").await, (StatusCode::OK, "/a body".into()));
        connection.ready().await.expect("again");
    }
    let told = ask(&mut connection, "/a", &"x".repeat(1000)).await;
    assert_eq!(told, (StatusCode::PAYLOAD_TOO_LARGE, "/a length limit exceeded".into()));
    connection.ready().await.expect("what was too large was read");
    let large = connection.exchange(request("/long", "body"), 4).await.expect_err("too large");
    assert_eq!(large.to_string(), "length limit exceeded");
    let mut connection = open(server.address).await;
    let answer = connection.ask(request("/long", "body")).await.expect("an answer");
    assert_eq!(beginning(answer.into_body(), 3).await, b"/lo");
    assert!(connection.is_open());
}

#[tokio::test]
async fn a_socket_of_unix_is_served_and_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s");
    let listener = Listener::Unix(UnixListener::bind(&path).expect("a socket"));
    assert_eq!(listener.local_addr(), None);
    tokio::spawn(serve(vec![listener], LIMITS, echo, std::future::pending()));
    let mut connection = Connection::open(Peer::Unix(&path), None, SOON).await.expect("a connection");
    assert_eq!(ask(&mut connection, "/u", "1").await.1, "/u 1");
    let absent = <Connection>::open(Peer::Unix(&dir.path().join("none")), None, SOON).await;
    assert!(matches!(absent, Err(ConnectError::Io(e)) if e.kind() == io::ErrorKind::NotFound));
}

fn acceptor(issuer: &Issuer) -> TlsAcceptor {
    let shows = issuer.certified(&["127.0.0.1"]).alone();
    let server =
        Server { shows, clients: Clients::Any, versions: Versions::Both, alpn: Vec::new(), resumes: true };
    server.config().expect("a server").into()
}

fn secure(issuer: &Issuer, address: &str) -> Secure {
    let servers = Servers::Signed(issuer.authorities());
    let client = Client { servers, shows: None, versions: Versions::Both, alpn: Vec::new(), resumes: true };
    Secure::new(client.config().expect("a client"), address).expect("a name")
}

#[tokio::test]
async fn tls_is_spoken_and_its_handshake_has_its_time() {
    let (ours, theirs) = (Issuer::new(), Issuer::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let listener = Listener::Tls(listener, acceptor(&ours));
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(serve(vec![listener], LIMITS, echo, std::future::pending()));
    let peer = Peer::Tcp(&address);
    let mut connection =
        Connection::open(peer, Some(&secure(&ours, &address)), SOON).await.expect("a connection");
    assert_eq!(ask(&mut connection, "/t", "1").await.1, "/t 1");
    let strange = <Connection>::open(peer, Some(&secure(&theirs, &address)), SOON).await;
    assert!(matches!(strange, Err(ConnectError::Handshake(_))));
    // Who says nothing is not waited for.
    let mut silent = TcpStream::connect(&address).await.expect("a connection");
    assert_eq!(rest(&mut silent).await.unwrap_or_default(), "");
    // Nor is a server that says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let secure = secure(&ours, &address);
    let slow = <Connection>::open(Peer::Tcp(&address), Some(&secure), Duration::from_millis(50)).await;
    assert!(matches!(slow, Err(ConnectError::SlowHandshake)));
}

#[tokio::test]
async fn who_is_silent_or_says_too_much_is_not_kept() {
    let server = start(LIMITS).await;
    let mut silent = TcpStream::connect(server.address).await.expect("a connection");
    silent.write_all(b"GET / HTTP/1.1\r\nhost: a").await.expect("sent");
    let told = rest(&mut silent).await.unwrap_or_default();
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 408"), "{told}");
    let mut talks = TcpStream::connect(server.address).await.expect("a connection");
    let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(16 << 10));
    talks.write_all(head.as_bytes()).await.expect("sent");
    let mut told = [0; 12];
    talks.read_exact(&mut told).await.expect("an answer");
    assert_eq!(&told, b"HTTP/1.1 431");
}

#[tokio::test]
async fn no_more_connections_are_served_at_a_time_than_there_may_be() {
    let limits = Limits { connections: 1, head: SOON, ..LIMITS };
    let server = start(limits).await;
    let mut first = open(server.address).await;
    assert_eq!(ask(&mut first, "/1", "").await.1, "/1 ");
    let mut second = open(server.address).await;
    let mut waits = Box::pin(ask(&mut second, "/2", ""));
    assert!(timeout(Duration::from_millis(150), waits.as_mut()).await.is_err(), "there is one already");
    drop(first);
    assert_eq!(timeout(SOON, waits).await.expect("its turn").1, "/2 ");
}

#[tokio::test]
async fn a_server_that_stops_answers_what_was_asked() {
    let server = start(Limits { head: SOON, ..LIMITS }).await;
    let (mut idle, mut busy) = (open(server.address).await, open(server.address).await);
    assert_eq!(ask(&mut idle, "/", "").await.1, "/ ");
    let answered = tokio::spawn(async move { ask(&mut busy, "/slow", "1").await.1 });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(()).expect("it serves");
    assert_eq!(answered.await.expect("an answer"), "/slow 1");
    timeout(SOON, server.task).await.expect("it ends").expect("well");
    assert!(idle.ready().await.is_err() && !idle.is_open());
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_ever() {
    let server = start(Limits { drain: Duration::from_millis(50), ..LIMITS }).await;
    let mut busy = open(server.address).await;
    let answered = tokio::spawn(async move { busy.ask(request("/slow", "")).await.map(drop) });
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.send(()).expect("it serves");
    timeout(Duration::from_millis(200), server.task).await.expect("it ends").expect("well");
    assert!(answered.await.expect("an outcome").is_err());
}

/// The end that a server sees of a connection over which nothing is answered.
async fn end_of(ending: Ending) -> io::Result<usize> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (saw, mut seen) = mpsc::channel(1);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut block = [0; 4096];
        let _ = stream.read(&mut block).await.expect("a request");
        let _ = saw.send(stream.read(&mut block).await).await;
    });
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_zero_linger().expect("set");
    let mut connection = Connection::over(stream, ending).await.expect("a connection");
    let asked = timeout(Duration::from_millis(50), connection.ask(request("/", ""))).await;
    assert!(asked.is_err(), "nobody answers");
    drop(connection);
    timeout(SOON, seen.recv()).await.expect("an end").expect("seen")
}

#[tokio::test]
async fn nothing_is_left_of_a_connection_that_is_cut() {
    let cut = end_of(Ending::Cut).await;
    assert_eq!(cut.expect_err("a reset").kind(), io::ErrorKind::ConnectionReset);
}
