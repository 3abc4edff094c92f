//! A fake environment, transactions made of text, and one-line parsers.

use std::cell::Cell;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::base::Nanos;
use crate::base::buf::Buf;
use crate::base::clock::SEC;
use crate::filter::cache::{self, Cache, Caches};
use crate::http::{H1Options, Method, Parse};
use crate::lang::lexer::{Place, split};
use crate::lang::{Diagnostics, FileId, Line, Section, Span, Word};
use crate::model::applet::{Applet, AppletReply, AppletRequest};
use crate::model::{Caps, ProxyLive};
use crate::os::connection::TcpInfo;
use crate::rules::*;
use crate::stick::{Spec, Table, TableRefs, Tables};

pub struct FakeEnv {
    pub live: ProxyLive,
    pub pages: ErrorPages,
    pub server: Option<&'static str>,
    /// What packets to the client are to say.
    pub told: Cell<Option<Packets>>,
}

impl Default for FakeEnv {
    fn default() -> Self {
        FakeEnv {
            live: ProxyLive::new(1),
            pages: ErrorPages::default(),
            server: Some("s1"),
            told: Cell::default(),
        }
    }
}

impl Env for FakeEnv {
    fn frontend_name(&self) -> &str {
        "fe"
    }
    fn backend_name(&self) -> &str {
        "be"
    }
    fn server_name(&self) -> Option<&str> {
        self.server
    }
    fn listener_name(&self) -> &str {
        "lst"
    }
    fn ids(&self) -> (u32, u32, u32, u32) {
        (2, 3, 1, 5)
    }
    fn proxy(&self, name: &str) -> Option<&ProxyLive> {
        matches!(name, "" | "fe" | "be").then_some(&self.live)
    }
    fn usable_servers(&self, backend: &str) -> Option<u32> {
        matches!(backend, "" | "be").then_some(2)
    }
    fn server(&self, backend: &str, server: &str) -> Option<ServerState> {
        (matches!(backend, "" | "be") && server == "s1").then_some(ServerState {
            is_up: true,
            sessions: 7,
            queued: 2,
            free: Some(3),
            initial_weight: 10,
            user_weight: 20,
            weight: 30,
            sess_rate: 4,
        })
    }
    fn room(&self, backend: &str, with_queues: bool) -> Option<i64> {
        matches!(backend, "" | "be").then_some(if with_queues { 12 } else { 5 })
    }
    fn has_frontend(&self, name: &str) -> bool {
        name == "fe"
    }
    fn default_backend(&self) -> Option<&str> {
        Some("be")
    }
    fn listener_connections(&self) -> u32 {
        6
    }
    fn is_stopping(&self) -> bool {
        true
    }
    fn file(&self, id: FileId) -> Option<&str> {
        (id.0 == 0).then_some("test.cfg")
    }
    fn client_tcp(&self) -> Option<TcpInfo> {
        Some(TcpInfo {
            rtt_us: 2500,
            rttvar_us: 1500,
            unacked: 1,
            sacked: 2,
            lost: 3,
            retrans: 4,
            fackets: 5,
            reordering: 6,
        })
    }
    fn server_tcp(&self) -> Option<TcpInfo> {
        Some(TcpInfo { rtt_us: 4500, rttvar_us: 3500, ..TcpInfo::default() })
    }
    fn saved_syn(&self) -> Option<Vec<u8>> {
        Some(SYN.to_vec())
    }
    fn server_is_reused(&self) -> Option<bool> {
        Some(true)
    }
    fn tell_client(&self, packets: Packets) {
        self.told.set(Some(packets));
    }
    fn is_local(&self, address: IpAddr) -> bool {
        address == IpAddr::from([127, 0, 0, 1])
    }
    fn frontend_tarpit_ms(&self) -> u64 {
        1234
    }
    fn now_ns(&self) -> Nanos {
        11 * SEC
    }
    fn date_us(&self) -> u64 {
        1_714_117_271_774_123
    }
    fn hostname(&self) -> &str {
        "box"
    }
    fn pid(&self) -> u32 {
        4242
    }
    fn random(&self) -> u64 {
        0x0123_4567_89ab_cdef
    }
    fn connections(&self) -> u32 {
        9
    }
    fn error_page(&self, status: u16, txn: &Txn) -> Option<Reply> {
        Some(self.pages.page(status)?.render_page(Ctx { txn, env: self }))
    }
}

/// A packet that begins a connection, with Ethernet and a VLAN.
pub const SYN: &[u8] = b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x81\x00\x00\x07\x08\x00\
    \x45\x10\x00\x3c\x1c\x46\x40\x00\x3f\x06\xb1\xe6\x0a\x01\x02\x03\xc0\xa8\x00\xc7\
    \x9d\x34\x00\x50\x01\x02\x03\x04\x00\x00\x00\x00\xa0\x02\xfa\xf0\x00\x00\x00\x00\
    \x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x00\x01\x00\x00\x00\x00\x00\x01\x03\x03\x07";

pub const REQUEST: &str = "GET /img/logo.png?a=1&b=two%20words&a=3 HTTP/1.1\r\n\
    Host: www.Example.com:8080\r\n\
    User-Agent: curl/8.0 (a, b)\r\n\
    X-Forwarded-For: 10.0.0.1, 192.168.7.9\r\n\
    X-Forwarded-For: 172.16.1.1\r\n\
    Cookie: id=42; lang=fr\r\n\
    Cookie: id=43\r\n\
    Authorization: Basic dXNlcjpwYTpzcw==\r\n\
    Content-Length: 11\r\n\r\nq=x&r=%20y&";

pub const RESPONSE: &str =
    "HTTP/1.1 404 Not Here\r\nServer: s/1\r\nSet-Cookie: SID=abc; path=/\r\nVary: a, b\r\n\r\n";

/// A transaction with this request (head and body) and optionally a response.
pub fn txn(request: &str, response: Option<&str>) -> Txn {
    let mut txn = Txn::default();
    let fill = |text: &str| {
        let mut buf = Buf::take(16384);
        buf.push(text.as_bytes());
        buf
    };
    txn.req.buf = fill(request);
    assert_eq!(txn.req.parse_request(&H1Options::default()), Parse::Done);
    txn.has_req = true;
    txn.body_awaited = true;
    txn.uri_line = request.lines().next().unwrap_or_default().as_bytes().to_vec();
    if let Some(response) = response {
        txn.res.buf = fill(response);
        assert_eq!(txn.res.parse_response(Method::Get, &H1Options::default()), Parse::Done);
        txn.status = txn.res.status;
    }
    txn.client = Endpoint::Inet("10.1.2.3:4000".parse().unwrap());
    txn.local = Endpoint::Inet("127.0.0.1:80".parse().unwrap());
    txn.accept_date_us = 1_714_117_271_774_000;
    txn.request_date_us = 1_714_117_271_780_000;
    txn.termination = *b"----";
    txn
}

/// The usual transaction.
pub fn usual() -> Txn {
    txn(REQUEST, Some(RESPONSE))
}

/// The words of a configuration line.
pub fn words(line: &str) -> Vec<Word> {
    let env = crate::lang::Env::default();
    let place = Place {
        file: FileId(0),
        file_name: "test.cfg",
        line: 1,
        section: "",
        env: &env,
        comments: true,
        quotes: true,
    };
    split(line.as_bytes(), place).unwrap_or_else(|e| panic!("{line}: {e:?}")).list
}

struct Echo;

impl Applet for Echo {
    fn call(&self, _: &AppletRequest<'_>) -> AppletReply {
        AppletReply::default()
    }
}

fn service(name: &str) -> Option<Arc<dyn Applet>> {
    matches!(name, "echo" | "prometheus-exporter").then(|| Arc::new(Echo) as Arc<dyn Applet>)
}

fn file(path: &Path) -> io::Result<Vec<u8>> {
    Ok(match path.to_str().unwrap_or_default() {
        "nets.lst" => b"# private\n10.0.0.0/8\n 192.168.0.0/16\n".to_vec(),
        "hosts.map" => b"www.example.com  be_www\nexample.com be_apex\n".to_vec(),
        "nets.map" => b"10.0.0.0/8 8\n10.1.0.0/16 16\n".to_vec(),
        "beg.map" => b"/im short\n/img/ long\n".to_vec(),
        "regs.map" => b"^/(.*)\\.png$ picture-\\1\n".to_vec(),
        "403.http" => {
            b"HTTP/1.0 403 Forbidden\r\nX-Err: file\r\nContent-Type: text/plain\r\n\r\nno!\n".to_vec()
        }
        "bad.http" => b"HTTP/1.1 403 X\r\ncontent-length: 9\r\n\r\nno".to_vec(),
        "empty" => Vec::new(),
        "lf.txt" => b"path is %[path]\n".to_vec(),
        name if name.ends_with(".pem") => {
            std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/jwt").join(name))?
        }
        // A map of one line.
        name => match name.strip_suffix(".map").and_then(|line| line.split_once('=')) {
            Some((key, value)) => format!("{key} {value}\n").into_bytes(),
            None => return Err(io::ErrorKind::NotFound.into()),
        },
    })
}

pub fn line(text: &str) -> Line {
    Line { words: words(text), span: Span::default() }
}

/// What the examples call `people`.
fn people() -> Userlists {
    let mut lists = Userlists::default();
    let mut diags = Diagnostics::default();
    let lines = ["user ann insecure-password secret groups staff", "group staff", "user bob"];
    let section = Section { head: line("userlist people"), lines: lines.map(line).to_vec() };
    lists.section(&section, &mut diags);
    assert!(diags.list.is_empty());
    lists
}

/// Runs a parser in a context; what it made and what it complained of.
pub fn build<R>(parse: impl FnOnce(&mut BuildCtx<'_>) -> R) -> (R, Vec<String>) {
    build_with(&mut Captures::default(), &HttpErrors::default(), parse)
}

pub fn build_with<R>(
    captures: &mut Captures,
    http_errors: &HttpErrors,
    parse: impl FnOnce(&mut BuildCtx<'_>) -> R,
) -> (R, Vec<String>) {
    let mut diags = Diagnostics::default();
    let made = parse(&mut BuildCtx {
        diags: &mut diags,
        names: &mut Names::default(),
        files: &file,
        mode_http: true,
        caps: Caps { front: true, back: true },
        section: "proxy 'test'",
        http_errors,
        acls: Default::default(),
        userlists: &people(),
        services: &service,
        resolvers: &[],
        caches: &caches(),
        captures,
        maxrewrite: 1024,
        bufsize: 16384,
        references: &mut Vec::new(),
        patterns: &mut pattern::PatternRefs::default(),
        tables: &mut tables(),
        table_here: "test",
        stick_counters: 3,
        dir: Dir::Request,
    });
    let messages = diags.list.into_iter().map(|d| format!("{:?}: {}", d.severity, d.message)).collect();
    (made, messages)
}

/// The cache that examples name.
fn caches() -> Caches {
    let name: Arc<str> = "site".into();
    let settings = cache::Settings {
        name: name.clone(),
        total: 1 << 20,
        max_object: 4096,
        max_age_s: 60,
        process_vary: false,
        max_secondary: 10,
    };
    [(name, Arc::new(Cache::new(settings)))].into_iter().collect()
}

thread_local! {
    /// The tables of a test, which those that it parses after them name.
    static TABLES: std::cell::RefCell<Tables> = std::cell::RefCell::default();
}

/// Makes a stick table that expressions may name.
pub fn with_table(name: &str, line: &str) -> Arc<Table> {
    let text = line.as_bytes();
    let words: Vec<Word> =
        text.split(|c| *c == b' ').map(|w| Word::new(w.to_vec(), Span::default())).collect();
    let spec = Spec::parse(&words, Span::default(), &mut |_, message| panic!("{message}")).expect("a table");
    let table = Arc::new(Table::new(name, spec));
    TABLES.with(|tables| {
        let list = &mut tables.borrow_mut().list;
        list.retain(|other| *other.name != *name);
        list.push(table.clone());
    });
    table
}

fn tables() -> TableRefs {
    let mut refs = TableRefs::default();
    TABLES.with(|tables| {
        for table in &tables.borrow().list {
            refs.cell(&table.name).fill(table.clone());
        }
    });
    refs
}

/// Parses what must parse without a word.
pub fn good<R>(what: &str, parse: impl FnOnce(&mut BuildCtx<'_>) -> Option<R>) -> R {
    let (made, messages) = build(parse);
    assert!(messages.is_empty(), "{what}: {messages:?}");
    made.unwrap_or_else(|| panic!("{what}: nothing made"))
}

/// One word as it is, whatever a line would make of it.
pub fn word(text: &str) -> Word {
    Word::new(text.as_bytes().to_vec(), Span::default())
}

/// The text of an expression's value, `None` for none. The expression is one word.
pub fn value_in(text: &str, dir: Dir, txn: &Txn) -> Option<String> {
    value_of(&[word(text)], dir, txn)
}

pub fn value_of(words: &[Word], dir: Dir, txn: &Txn) -> Option<String> {
    let text = &words.iter().map(Word::str).collect::<Vec<_>>().join(" ");
    let (expr, used) = good(text, |ctx| {
        ctx.dir = dir;
        Expr::parse(words, 0, ctx)
    });
    assert_eq!(used, words.len(), "{text}");
    let env = FakeEnv::default();
    let sample = expr.eval(Ctx { txn, env: &env })?;
    Some(String::from_utf8_lossy(&cast::text(sample)).into_owned())
}

pub fn value(text: &str) -> Option<String> {
    value_in(text, Dir::Request, &usual())
}

/// What an expression that must not parse is answered with.
pub fn complaint(text: &str) -> String {
    let words = [word(text)];
    let (made, messages) = build(|ctx| Expr::parse(&words, 0, ctx));
    assert!(made.is_none(), "{text} parses");
    messages.join("\n")
}
