//! Echo servers on both sides: whatever fields and body a request has, its answer has them too.

use bytes::Bytes;
use isobar::base::Buf;
use isobar::http::h2::{Connection, Event, Options, Role};
use isobar::http::{BodyLen, H1Options, Head, Parse};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Requests over one connection, each with fields that repeat, that change and that are long.
const REQUESTS: usize = 200;

/// A number that looks random, and is the same in every run.
fn number(n: usize, most: usize) -> usize {
    (n.wrapping_mul(2_654_435_761) >> 7) % most
}

/// The fields of the nth request.
fn fields(n: usize) -> Vec<(String, String)> {
    let text = |n: usize, len: usize| (0..len).map(|i| char::from(33 + number(n + i, 94) as u8)).collect();
    let mut fields = vec![
        ("user-agent".to_owned(), "a test of both".to_owned()),
        ("accept".to_owned(), "*/*".to_owned()),
        ("x-number".to_owned(), n.to_string()),
        (format!("x-name-{}", number(n, 7)), text(number(n, 3), 30)),
    ];
    for i in 0..number(n, 9) {
        fields.push((format!("x-{i}"), text(n + i, number(n + i, 400))));
    }
    fields
}

/// The body of the nth request: nothing, little, or more than any window.
fn body(n: usize) -> Vec<u8> {
    let len = [0, 1, 100, 20_000, 300_000][number(n, 5)];
    (0..len).map(|i| (i * 7 + n) as u8).collect()
}

/// Moves bytes between a machine and a connection until `done`.
async fn pump(
    machine: &mut Connection,
    io: &mut DuplexStream,
    mut turn: impl FnMut(&mut Connection, &[u8]) -> bool,
) {
    let mut room = vec![0; 40_000];
    let mut n = 0;
    loop {
        let done = turn(machine, &room[..n]);
        while !machine.output().is_empty() {
            io.write_all(machine.output()).await.expect("the peer reads");
            machine.advance(machine.output().len());
            turn(machine, b"");
        }
        if done {
            return;
        }
        n = io.read(&mut room).await.expect("the peer writes");
        if n == 0 {
            return;
        }
    }
}

/// A message under way.
#[derive(Default)]
struct Echo {
    stream: u32,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    sent: usize,
    trailer: Vec<u8>,
    whole: bool,
}

impl Echo {
    /// Sends what there is room for. True: all of it.
    fn go_on(&mut self, machine: &mut Connection) -> bool {
        if !self.whole {
            return false;
        }
        let rest = &self.body[self.sent..];
        self.sent += machine.send_data(self.stream, rest, false).expect("live");
        if self.sent < self.body.len() {
            return false;
        }
        let trailers = [(&b"x-trailer"[..], &self.trailer[..])].into_iter();
        machine.send_trailers(self.stream, trailers).expect("live");
        true
    }
}

/// Our server: a turn of it.
fn serve(machine: &mut Connection, bytes: &[u8], echoes: &mut Vec<Echo>) {
    let mut head = Head::default();
    let mut at = 0;
    while let Some(event) = machine.receive(0, bytes, &mut at, &mut head) {
        match event {
            Event::Head { stream, end } => {
                let fields = head.fields().filter(|(n, _)| n.starts_with(b"x-") || *n == b"user-agent");
                let fields = fields.map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
                echoes.push(Echo { stream, fields, whole: end, ..Echo::default() });
            }
            Event::Data { stream, range, end } => {
                machine.consumed(stream, range.len());
                let echo = echoes.iter_mut().find(|e| e.stream == stream).expect("a head first");
                echo.body.extend_from_slice(&bytes[range]);
                echo.whole = end;
            }
            Event::Trailers { stream } => {
                let echo = echoes.iter_mut().find(|e| e.stream == stream).expect("a head first");
                echo.trailer = head.field(b"x-trailer").expect("the trailer").to_vec();
                echo.whole = true;
            }
            Event::GoAway { .. } => {}
            other => panic!("{other:?}"),
        }
        for echo in echoes.iter_mut().filter(|e| e.whole && !e.fields.is_empty()) {
            let mut answer = Head::default();
            answer.begin_response(200, b"", BodyLen::Chunked);
            for (name, value) in std::mem::take(&mut echo.fields) {
                answer.put(&name, &value);
            }
            machine.respond(echo.stream, &answer, false).expect("live");
        }
    }
    machine.released(|_| {});
    echoes.retain_mut(|echo| !echo.go_on(machine));
}

fn checked(list: &http::HeaderMap, n: usize) {
    for (name, value) in fields(n).iter().filter(|(n, _)| n.starts_with("x-") || n == "user-agent") {
        assert_eq!(list.get(name).map(|v| v.as_bytes()), Some(value.as_bytes()), "{name} of {n}");
    }
}

async fn read_all(mut stream: h2::RecvStream) -> (Vec<u8>, Option<http::HeaderMap>) {
    let mut all = Vec::new();
    while let Some(part) = stream.data().await {
        let part = part.expect("data");
        let _ = stream.flow_control().release_capacity(part.len());
        all.extend_from_slice(&part);
    }
    (all, stream.trailers().await.expect("trailers"))
}

async fn ask(mut sender: h2::client::SendRequest<Bytes>, n: usize) {
    let mut request = http::Request::builder().method("POST").uri(format!("http://h/{n}"));
    for (name, value) in fields(n) {
        request = request.header(name, value);
    }
    let request = request.body(()).expect("a request");
    let (answer, mut stream) = sender.send_request(request, false).expect("sent");
    stream.send_data(Bytes::from(body(n)), false).expect("sent");
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-trailer", n.to_string().parse().expect("a value"));
    stream.send_trailers(trailers).expect("sent");
    let answer = answer.await.expect("an answer");
    assert_eq!(answer.status(), 200);
    checked(answer.headers(), n);
    let (received, trailers) = read_all(answer.into_body()).await;
    assert!(received == body(n), "another body of {n}: {} bytes", received.len());
    assert_eq!(
        trailers.expect("trailers").get("x-trailer").map(|v| v.as_bytes()),
        Some(n.to_string().as_bytes())
    );
}

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let limit = std::time::Duration::from_secs(60);
    local.block_on(&runtime, async { tokio::time::timeout(limit, future).await.expect("it ends") });
}

#[test]
fn its_client_and_our_server() {
    run(async {
        let (theirs, mut ours) = tokio::io::duplex(100_000);
        let server = tokio::task::spawn_local(async move {
            let mut machine = Connection::new(Options::default());
            let mut echoes = Vec::new();
            pump(&mut machine, &mut ours, |machine, bytes| {
                serve(machine, bytes, &mut echoes);
                false
            })
            .await;
        });
        let (sender, connection) = h2::client::handshake(theirs).await.expect("a connection");
        let connection = tokio::task::spawn_local(connection);
        for first in (0..REQUESTS).step_by(20) {
            let sender = sender.clone().ready().await.expect("room");
            let all: Vec<_> =
                (first..first + 20).map(|n| tokio::task::spawn_local(ask(sender.clone(), n))).collect();
            for one in all {
                one.await.expect("an echo");
            }
        }
        drop(sender);
        connection.await.expect("no panic").expect("a good end");
        server.await.expect("no panic");
    });
}

async fn echo(request: http::Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let mut answer = http::Response::builder().status(200);
    for (name, value) in request.headers() {
        answer = answer.header(name, value);
    }
    let (received, trailers) = read_all(request.into_body()).await;
    let mut stream = respond.send_response(answer.body(()).expect("an answer"), false).expect("sent");
    stream.send_data(Bytes::from(received), false).expect("sent");
    stream.send_trailers(trailers.unwrap_or_default()).expect("sent");
}

/// Our client: answers as they come in.
#[derive(Default)]
struct Asked {
    sending: Vec<Echo>,
    bodies: std::collections::HashMap<u32, Vec<u8>>,
    next: usize,
    done: usize,
}

impl Asked {
    fn turn(&mut self, machine: &mut Connection, bytes: &[u8]) -> bool {
        let mut head = Head::default();
        let mut at = 0;
        while let Some(event) = machine.receive(0, bytes, &mut at, &mut head) {
            match event {
                Event::Head { stream, .. } => {
                    let n = (stream as usize - 1) / 2;
                    for (name, value) in fields(n).iter().filter(|(n, _)| n.starts_with("x-")) {
                        assert_eq!(head.field(name.as_bytes()), Some(value.as_bytes()), "{name} of {n}");
                    }
                    self.bodies.insert(stream, Vec::new());
                }
                Event::Data { stream, range, .. } => {
                    machine.consumed(stream, range.len());
                    self.bodies.entry(stream).or_default().extend_from_slice(&bytes[range]);
                }
                Event::Trailers { stream } => {
                    let n = (stream as usize - 1) / 2;
                    assert_eq!(head.field(b"x-trailer"), Some(n.to_string().as_bytes()));
                    assert!(self.bodies.remove(&stream) == Some(body(n)), "another body of {n}");
                    self.done += 1;
                }
                Event::GoAway { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        while self.next < REQUESTS && machine.streams() < 20 && machine.has_room() {
            self.sending.push(request(machine, self.next));
            self.next += 1;
        }
        machine.released(|_| {});
        self.sending.retain_mut(|echo| !echo.go_on(machine));
        self.done == REQUESTS
    }
}

fn request(machine: &mut Connection, n: usize) -> Echo {
    let mut text = format!("POST /{n} HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n");
    for (name, value) in fields(n) {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    let mut head = Head::with(Buf::take(text.len()));
    head.buf.push(text.as_bytes());
    assert_eq!(head.parse_request(&H1Options::default()), Parse::Done, "{text}");
    let stream = machine.request(&head, b"http", false).expect("room");
    Echo { stream, body: body(n), trailer: n.to_string().into_bytes(), whole: true, ..Echo::default() }
}

#[test]
fn our_client_and_its_server() {
    run(async {
        let (theirs, mut ours) = tokio::io::duplex(100_000);
        let server = tokio::task::spawn_local(async move {
            let mut connection = h2::server::handshake(theirs).await.expect("a connection");
            while let Some(accepted) = connection.accept().await {
                let (request, respond) = accepted.expect("a request");
                tokio::task::spawn_local(echo(request, respond));
            }
        });
        let mut machine = Connection::new(Options { role: Role::Client, ..Options::default() });
        let mut asked = Asked::default();
        pump(&mut machine, &mut ours, |machine, bytes| asked.turn(machine, bytes)).await;
        assert_eq!(asked.done, REQUESTS);
        drop(ours);
        server.await.expect("no panic");
    });
}
