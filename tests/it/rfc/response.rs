//! Rows of responses, and the runner that has an origin send them and looks at what reached the client.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::message::{Broken, Message, Reader};
use crate::support::origin::{self, play};
use crate::support::{Client, Origin, Proxy, Step, program};

use super::request::same_message;

/// What the client has to get.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// What the origin sent (1xx before the final response included).
    Exact,
    /// These bytes instead; the first word names the normalisation.
    As(&'static str, Vec<u8>),
    /// The proxy's own answer with this status.
    Gateway(u16),
    /// The start of it, and then an end that shows it is incomplete.
    Cut,
    /// The RFC leaves the choice.
    Any(Vec<Verdict>),
    /// Something that the client could read in two ways. Only ever right for a `haproxy` column.
    Loose,
}

pub use Verdict::{Any, As, Cut, Exact, Gateway, Loose};

pub struct Row {
    reference: &'static str,
    name: String,
    request: String,
    script: Vec<Step>,
    pub(super) bytes: Vec<u8>,
    expect: Verdict,
    haproxy: Option<Verdict>,
}

/// An origin that answers `GET /row` with these bytes and keeps the connection open.
pub fn row(reference: &'static str, name: &str, bytes: impl AsRef<[u8]>, expect: Verdict) -> Row {
    let bytes = bytes.as_ref().to_vec();
    let script = vec![Step::Send(bytes.clone())];
    let request = "GET /row HTTP/1.1\r\nHost: example.test\r\n\r\n".into();
    Row { reference, name: name.into(), request, script, bytes, expect, haproxy: None }
}

impl Row {
    pub fn haproxy(mut self, verdict: Verdict) -> Self {
        self.haproxy = Some(verdict);
        self
    }

    /// The origin closes after the bytes.
    pub fn close(mut self) -> Self {
        self.script.push(Step::Close);
        self
    }

    /// The origin sends more a little later, unasked.
    pub fn later(mut self, more: &str) -> Self {
        self.script.extend([Step::Sleep(Duration::from_millis(30)), Step::Send(more.into())]);
        self
    }

    pub fn method(mut self, method: &str) -> Self {
        self.request = self.request.replace("GET", method);
        self
    }

    pub fn version_10(mut self) -> Self {
        self.request = self.request.replace("HTTP/1.1", "HTTP/1.0");
        self
    }
}

const CONFIG: &str = "
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 1s
frontend fe
    bind {ip}:{port:fe}
    default_backend be
backend be
    http-reuse always
    server s1 {origin}
";

pub fn check(rows: Vec<Row>) {
    let script: Arc<Mutex<Vec<Step>>> = Arc::default();
    let current = script.clone();
    let origin = Origin::raw(move |stream, _| serve(&stream, &current));
    let mut proxy = Proxy::on(CONFIG).with("origin", origin.addr()).start();
    let print = std::env::var_os("ISOBAR_RFC_PRINT").is_some();
    let mut failures = Vec::new();
    for row in &rows {
        let wanted = row.haproxy.as_ref().filter(|_| program::is_haproxy()).unwrap_or(&row.expect);
        script.lock().unwrap().clone_from(&row.script);
        let (answers, probes) = observe(row, &proxy);
        if print {
            println!("{}: {}\n    {answers:?}", row.reference, row.name);
        }
        let choices =
            if let Any(choices) = wanted { choices.as_slice() } else { std::slice::from_ref(wanted) };
        let whys: Vec<String> = choices.iter().filter_map(|c| judge(row, c, &answers).err()).collect();
        if whys.len() == choices.len() {
            failures.push(format!("[{}] {}: {}; got {answers:?}", row.reference, row.name, whys.join("; ")));
        }
        // Whatever happened, the next requests, on other connections, get their own answer and nothing else.
        for probe in probes {
            if !probe.as_ref().is_ok_and(|p| p.status() == 200 && p.body == b"probe") {
                failures
                    .push(format!("[{}] {}: poisoned a later exchange: {probe:?}", row.reference, row.name));
            }
        }
        assert!(proxy.is_up(), "the proxy ended at row {}:\n{}", row.name, proxy.stderr());
    }
    assert!(failures.is_empty(), "{} of {} rows fail:\n{}", failures.len(), rows.len(), failures.join("\n"));
}

fn serve(stream: &TcpStream, script: &Mutex<Vec<Step>>) {
    let Ok(half) = stream.try_clone() else { return };
    let mut reader = Reader::new(half);
    while let Ok(request) = reader.within(Duration::from_secs(30)).request() {
        let steps = match request.target() {
            "/probe" => vec![Step::Send(origin::ok("probe").into())],
            _ => script.lock().unwrap().clone(),
        };
        if !play(stream, steps) {
            return;
        }
    }
}

type Answers = Vec<Result<Message, Broken>>;

fn observe(row: &Row, proxy: &Proxy) -> (Answers, Answers) {
    const WAIT: Duration = Duration::from_secs(4);
    let mut client = Client::connect(proxy.addr("fe"));
    client.send(&row.request);
    let method = row.request.split(' ').next().unwrap_or("GET");
    let mut answers: Answers = Vec::new();
    while answers.last().is_none_or(|a| a.as_ref().is_ok_and(|a| matches!(a.status(), 100 | 102..=199))) {
        answers.push(client.reader.within(WAIT).response(method));
        if answers.len() > 5000 {
            break;
        }
    }
    // Bytes that the origin sends late must find no reader; give them the time to arrive.
    if row.script.iter().any(|s| matches!(s, Step::Sleep(_))) {
        std::thread::sleep(Duration::from_millis(80));
    }
    let probe = |client: &mut Client| {
        client.send("GET /probe HTTP/1.1\r\nHost: probe.test\r\n\r\n");
        client.reader.within(WAIT).response("GET")
    };
    let alive =
        answers.last().is_some_and(|a| a.as_ref().is_ok_and(|a| a.keeps_alive() && delimited(a, method)));
    let alive = alive && row.request.contains("HTTP/1.1") && method != "CONNECT";
    let mut other = Client::connect(proxy.addr("fe"));
    let mut probes = Vec::new();
    if alive {
        probes.push(probe(&mut client));
    }
    probes.extend([probe(&mut other), probe(&mut other)]);
    (answers, probes)
}

/// Whether the end of a response can be seen without the end of the connection.
fn delimited(response: &Message, method: &str) -> bool {
    let lengthy = response.field("content-length").is_some() || response.field("transfer-encoding").is_some();
    lengthy || method == "HEAD" || matches!(response.status(), 204 | 304)
}

fn judge(row: &Row, verdict: &Verdict, answers: &Answers) -> Result<(), String> {
    let method = row.request.split(' ').next().unwrap_or("GET");
    let same = |bytes: &[u8], any_case: bool| {
        let mut sent = Reader::of(bytes);
        for got in answers {
            let wanted = sent.response(method).expect("a row that is Exact or As(..) is well-formed");
            match got {
                Ok(got) => same_message(&wanted, got, any_case)?,
                Err(broken) => return Err(format!("wanted {:?}, the client got {broken:?}", wanted.start)),
            }
        }
        if sent.ahead.is_empty() {
            Ok(())
        } else {
            Err("the client got fewer messages than were sent".into())
        }
    };
    let last = answers.last();
    match verdict {
        Exact => same(&row.bytes, program::is_haproxy()),
        As(what, bytes) => same(bytes, true).map_err(|why| format!("{what}: {why}")),
        Gateway(status) => match last {
            Some(Ok(got)) if got.status() == *status && got.field("x-row").is_none() => Ok(()),
            _ => Err(format!("wanted a {status} of the proxy's own")),
        },
        Cut => match last {
            Some(Err(Broken::Cut(_) | Broken::Closed)) => Ok(()),
            _ => Err("wanted an incomplete response and a close".into()),
        },
        Loose => match last {
            Some(Err(Broken::Ambiguous(..))) => Ok(()),
            _ => Err("not forwarded loosely".into()),
        },
        Any(_) => Err("Any within Any".into()),
    }
}
