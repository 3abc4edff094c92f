//! Rows of requests, and the runner that sends them and looks at what reached the origin.

use std::time::Duration;

use crate::support::message::{Broken, Message, Reader};
use crate::support::origin::{self, Received};
use crate::support::{Client, Origin, Proxy, Step, program};

/// What has to happen to a request.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The proxy answers with this status and closes; nothing complete reaches the origin.
    Refused(u16),
    /// The connection is closed without an answer, and nothing complete reaches the origin.
    Closed,
    /// The origin gets what was sent.
    Exact,
    /// The origin gets these bytes instead; the first word names the normalisation.
    As(&'static str, Vec<u8>),
    /// The RFC leaves the choice.
    Any(Vec<Verdict>),
    /// The origin gets something that it could read in two ways. Only ever right for a `haproxy` column.
    Loose,
}

pub use Verdict::{Any, As, Closed, Exact, Loose, Refused};

/// One row: bytes and what must become of them.
pub struct Row {
    reference: &'static str,
    name: String,
    pub(super) bytes: Vec<u8>,
    expect: Vec<Verdict>,
    haproxy: Option<Vec<Verdict>>,
    half_close: bool,
}

/// A row about one request.
pub fn row(reference: &'static str, name: &str, bytes: impl AsRef<[u8]>, expect: Verdict) -> Row {
    pipeline(reference, name, bytes, vec![expect])
}

/// A row about several requests sent at once, with a verdict for each.
pub fn pipeline(reference: &'static str, name: &str, bytes: impl AsRef<[u8]>, expect: Vec<Verdict>) -> Row {
    Row {
        reference,
        name: name.into(),
        bytes: bytes.as_ref().into(),
        expect,
        haproxy: None,
        half_close: false,
    }
}

impl Row {
    /// What HAProxy 2.6 does instead.
    pub fn haproxy(self, verdict: Verdict) -> Self {
        self.haproxy_each(vec![verdict])
    }

    pub fn haproxy_each(mut self, verdicts: Vec<Verdict>) -> Self {
        self.haproxy = Some(verdicts);
        self
    }

    /// Why the row asks for something else than the letter of the RFC.
    pub fn deviation(mut self, why: &'static str) -> Self {
        self.name = format!("{} (deviation: {why})", self.name);
        self
    }

    /// The client closes its sending side after the bytes.
    pub fn half_close(mut self) -> Self {
        self.half_close = true;
        self
    }
}

/// A header line block that makes a request complete.
pub const HOST: &str = "Host: example.test\r\n";

const CONFIG: &str = "
defaults
    mode http
    timeout connect 5s
    timeout client 2s
    timeout server 2s
    timeout http-request 1s
frontend fe
    bind {ip}:{port:fe}
    default_backend be
backend be
    http-reuse always
    server s1 {origin}
";

const PROBE: &str = "GET /probe HTTP/1.1\r\nHost: probe.test\r\nConnection: close\r\n\r\n";

/// Runs every row in one write, and again byte by byte.
pub fn check(rows: Vec<Row>) {
    let origin = Origin::serve(|request| match request.method() {
        "CONNECT" => vec![Step::Send("HTTP/1.1 405 No\r\nX-Origin: no\r\nContent-Length: 0\r\n\r\n".into())],
        "HEAD" => vec![Step::Send("HTTP/1.1 200 OK\r\nX-Origin: yes\r\nContent-Length: 3\r\n\r\n".into())],
        _ => vec![Step::Send(origin::ok(if request.target() == "/probe" { "probe" } else { "row" }).into())],
    });
    let mut proxy = Proxy::on(CONFIG).with("origin", origin.addr()).start();
    let print = std::env::var_os("ISOBAR_RFC_PRINT").is_some();
    let mut failures = Vec::new();
    for row in &rows {
        let wanted = row.haproxy.as_ref().filter(|_| program::is_haproxy()).unwrap_or(&row.expect);
        for whole in [true, false] {
            if !whole && row.bytes.len() > 600 {
                continue;
            }
            let seen = observe(row, wanted.len(), whole, &proxy, &origin);
            if print && whole {
                println!("{}: {}\n    {seen:?}", row.reference, row.name);
            }
            let how = if whole { "in one write" } else { "byte by byte" };
            if let Err(why) = seen.judge(row, wanted) {
                failures.push(format!("[{}] {} ({how}): {why}", row.reference, row.name));
            }
            assert!(proxy.is_up(), "the proxy ended at row {}:\n{}", row.name, proxy.stderr());
        }
    }
    assert!(failures.is_empty(), "{} of {} rows fail:\n{}", failures.len(), rows.len(), failures.join("\n"));
}

/// What a row's bytes led to.
#[derive(Debug)]
struct Seen {
    /// Responses in order, or how the reading ended.
    answers: Vec<Result<Message, Broken>>,
    /// What came after the last answer that was waited for, if the connection had to end.
    forwarded: Vec<Received>,
    /// The answer to a good request that follows on the same connection, or on a new one.
    probe: Result<Message, Broken>,
}

fn observe(row: &Row, count: usize, whole: bool, proxy: &Proxy, origin: &Origin) -> Seen {
    const WAIT: Duration = Duration::from_secs(4);
    origin.take();
    let mut client = Client::connect(proxy.addr("fe"));
    if whole {
        client.send(&row.bytes);
    } else {
        for byte in &row.bytes {
            client.send([*byte]);
        }
    }
    if row.half_close {
        client.half_close();
    }
    let mut answers: Vec<Result<Message, Broken>> = Vec::new();
    let mut open = !row.half_close;
    while answers.len() < count && open | answers.is_empty() {
        let method = if row.bytes.starts_with(b"HEAD") { "HEAD" } else { "GET" };
        let answer = client.reader.within(WAIT).response(method);
        open = open && answer.as_ref().is_ok_and(|a| a.keeps_alive());
        let over = answer.is_err();
        answers.push(answer);
        if over {
            break;
        }
    }
    if answers.last().is_some_and(|a| a.as_ref().is_ok_and(|a| a.field("x-origin").is_none())) {
        // The proxy's own answer: the connection must end, with nothing more on it.
        answers.push(match client.reader.within(WAIT).rest() {
            (more, crate::support::message::End::Closed) if more.is_empty() => Err(Broken::Closed),
            (more, _) => Err(Broken::Silent(more)),
        });
        open = false;
    }
    if !open {
        client = Client::connect(proxy.addr("fe"));
    }
    client.send(PROBE);
    let probe = client.reader.within(WAIT).response("GET");
    Seen { answers, forwarded: origin.take(), probe }
}

impl Seen {
    fn judge(&self, row: &Row, wanted: &[Verdict]) -> Result<(), String> {
        let mut sent = Reader::of(&row.bytes);
        // A request that was refused in its body may have reached the origin in part; it does not look complete.
        let whole = |r: &&Received| !matches!(r.message, Err(Broken::Cut(_) | Broken::Closed));
        let mut forwarded = self.forwarded.iter().filter(whole);
        let mut answers = self.answers.iter();
        let mut refused = false;
        for verdict in wanted {
            let choices =
                if let Any(choices) = verdict { choices.as_slice() } else { std::slice::from_ref(verdict) };
            let answer = answers.next();
            let before = forwarded.clone();
            let mut whys = Vec::new();
            let ok = choices.iter().any(|choice| {
                forwarded = before.clone();
                match self.is(choice, answer, &mut forwarded, &mut sent) {
                    Ok(()) => {
                        refused |= matches!(choice, Refused(_) | Closed);
                        true
                    }
                    Err(why) => {
                        whys.push(why);
                        false
                    }
                }
            });
            if !ok {
                return Err(format!("{}; answers {}", whys.join("; "), brief(&self.answers)));
            }
        }
        let closed = answers.next();
        if refused && !matches!(closed, None | Some(Err(Broken::Closed))) {
            return Err(format!("the connection did not end after the refusal: {closed:?}"));
        }
        let loose = wanted.iter().any(|v| match v {
            Any(choices) => choices.iter().any(|c| matches!(c, Loose)),
            one => matches!(one, Loose),
        });
        match (&self.probe, forwarded.next(), forwarded.next()) {
            (Ok(probe), Some(Received { message: Ok(last), .. }), None)
                if probe.body == b"probe" && last.target() == "/probe" =>
            {
                Ok(())
            }
            _ if loose => Ok(()),
            (probe, last, more) => Err(format!(
                "a good request that follows fares badly: {probe:?}, the origin got {last:?} {more:?}"
            )),
        }
    }

    fn is<'a>(
        &self,
        verdict: &Verdict,
        answer: Option<&Result<Message, Broken>>,
        forwarded: &mut (impl Iterator<Item = &'a Received> + Clone),
        sent: &mut Reader,
    ) -> Result<(), String> {
        match verdict {
            Refused(status) => match answer {
                Some(Ok(message)) if message.field("x-origin").is_some() => {
                    Err("forwarded, not refused".into())
                }
                Some(Ok(message)) if message.status() == *status => Ok(()),
                _ => Err(format!("wanted a {status}")),
            },
            Closed => match answer {
                Some(Err(Broken::Closed)) => Ok(()),
                _ => Err("wanted a close without an answer".into()),
            },
            Exact => {
                let wanted = sent.request().expect("a row that is Exact is well-formed");
                same_request(&wanted, forwarded.next(), program::is_haproxy())
            }
            As(what, bytes) => {
                let wanted = Reader::of(bytes).request().expect("a row that is As(..) is well-formed");
                same_request(&wanted, forwarded.next(), true).map_err(|why| format!("{what}: {why}"))
            }
            Loose => match forwarded.next() {
                Some(Received { message: Err(Broken::Ambiguous(..)), .. }) => Ok(()),
                other => Err(format!("not forwarded loosely: {other:?}")),
            },
            Any(_) => Err("Any within Any".into()),
        }
    }
}

fn same_request(wanted: &Message, got: Option<&Received>, any_case: bool) -> Result<(), String> {
    let got = match got {
        Some(Received { message: Ok(message), .. }) => message,
        other => return Err(format!("wanted it forwarded, the origin got {other:?}")),
    };
    same_message(wanted, got, any_case)
}

/// Connection is hop-by-hop (RFC 9110 section 7.6.1): the proxy says what holds on its own connections.
///
/// HAProxy writes names in lower case, Isobar leaves them as they came, but for a field that it had to change.
pub fn same_message(wanted: &Message, got: &Message, any_case: bool) -> Result<(), String> {
    let lines = |fields: &[(String, String)]| -> Vec<String> {
        let kept = fields.iter().filter(|(n, _)| !n.eq_ignore_ascii_case("connection"));
        let name = |n: &String| if any_case { n.to_lowercase() } else { n.clone() };
        kept.map(|(n, v)| format!("{}: {v}", name(n))).collect()
    };
    let part = |what: &str, a: String, b: String| {
        if a == b { Ok(()) } else { Err(format!("{what}: wanted {a}, the other side got {b}")) }
    };
    part("start line", wanted.start.clone(), got.start.clone())?;
    part("fields", format!("{:?}", lines(&wanted.fields)), format!("{:?}", lines(&got.fields)))?;
    part("body", wanted.body_text(), got.body_text())?;
    part("trailers", format!("{:?}", lines(&wanted.trailers)), format!("{:?}", lines(&got.trailers)))
}

fn brief(answers: &[Result<Message, Broken>]) -> String {
    let one = |a: &Result<Message, Broken>| match a {
        Ok(m) if m.field("x-origin").is_some() => format!("{} (origin)", m.status()),
        Ok(m) => m.status().to_string(),
        Err(broken) => format!("{broken:?}"),
    };
    answers.iter().map(one).collect::<Vec<_>>().join(", ")
}
