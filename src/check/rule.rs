//! The steps of a check: connect, send, expect.

use std::fmt;
use std::net::SocketAddr;
use std::sync::OnceLock;

use crate::rules::VarId;

use super::phrase::{Formula, Phrase};
use super::status::Status;

/// One step. `index` is its place in the list as messages count it, from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub index: usize,
    pub comment: Option<String>,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Connect(Connect),
    Send(Send),
    Expect(Expect),
    Set(Set),
}

/// `set-var`, `set-var-fmt`, `unset-var`.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    pub id: VarId,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Formula(Formula),
    Phrase(Phrase),
    None,
}

impl Action {
    /// Does something on the connection, or with it: variables have no place in the order of such steps.
    pub fn is_talk(&self) -> bool {
        !matches!(self, Action::Set(_))
    }
}

/// `http-check connect` / `tcp-check connect`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connect {
    /// Not written in the file.
    pub implicit: bool,
    /// `default`: as the server line says, where this step says nothing.
    pub default: bool,
    /// `addr`; port 0 when it has none.
    pub addr: Option<SocketAddr>,
    pub port: Option<u16>,
    /// `port` as an expression.
    pub port_from: Option<Formula>,
    pub send_proxy: bool,
    /// `proto h2`: HTTP/2 without having agreed on it.
    pub h2: bool,
    /// `via-socks4`: through the proxy of the server line.
    pub via_socks4: bool,
    /// Close properly instead of by reset.
    pub linger: bool,
    /// `ssl`: as the server line says of TLS, with `sni` and `alpn` of this step.
    pub ssl: bool,
    pub sni: Option<Box<[u8]>>,
    pub alpn: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Send {
    Http(Request),
    Bytes(Phrase),
    /// Bytes whose hexadecimal digits a format makes.
    Hex(Phrase),
}

/// The request of an HTTP check. Empty parts have the manual's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub method: Option<String>,
    pub uri: Option<Phrase>,
    pub version: Option<String>,
    /// Names in lower case.
    pub headers: Vec<(String, Phrase)>,
    pub body: Option<Phrase>,
    pub encoded: Encoded,
}

/// The bytes of a request that is the same in each check, once one was sent. They say nothing that the rest of the request
/// does not.
#[derive(Clone, Debug, Default)]
pub struct Encoded(OnceLock<Box<[u8]>>);

impl PartialEq for Encoded {
    fn eq(&self, _: &Encoded) -> bool {
        true
    }
}

impl Encoded {
    pub fn or(&self, encode: impl FnOnce() -> Vec<u8>) -> &[u8] {
        self.0.get_or_init(|| encode().into())
    }
}

impl Request {
    /// Some of it is made anew for each check.
    pub fn is_made(&self) -> bool {
        let texts = self.uri.iter().chain(&self.body).chain(self.headers.iter().map(|(_, value)| value));
        texts.into_iter().any(Phrase::is_made)
    }
}

/// `http-check expect` / `tcp-check expect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// `!`.
    pub inverse: bool,
    pub pattern: Match,
    /// `min-recv`: -1 waits for more data until there is a match, otherwise the bytes needed to decide.
    pub min_recv: i64,
    pub ok_status: Option<Status>,
    pub error_status: Option<Status>,
    pub timeout_status: Option<Status>,
    pub on_success: Option<Phrase>,
    pub on_error: Option<Phrase>,
    /// `status-code`: the number that is told.
    pub status_code: Option<Formula>,
}

impl Expect {
    pub fn new(pattern: Match) -> Expect {
        Expect {
            inverse: false,
            pattern,
            min_recv: -1,
            ok_status: None,
            error_status: None,
            timeout_status: None,
            on_success: None,
            on_error: None,
            status_code: None,
        }
    }

    /// What it looks for is made anew for each check.
    pub fn is_made(&self) -> bool {
        match &self.pattern {
            Match::Header { name, value, .. } => name.is_made() || value.as_ref().is_some_and(Text::is_made),
            Match::Body(text) | Match::Bytes(text) | Match::Hex(text) => text.is_made(),
            _ => false,
        }
    }
}

/// What an expectation looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Match {
    /// Ranges of HTTP statuses, both ends in.
    Status(Vec<(u32, u32)>),
    StatusRegex(Pattern),
    Header {
        name: Text,
        value: Option<Text>,
        /// `fhdr`: commas do not split values.
        full: bool,
    },
    Body(Phrase),
    BodyRegex(Pattern),
    /// Anywhere in what a `tcp-check` received.
    Bytes(Phrase),
    /// The same, its hexadecimal digits made by a format.
    Hex(Phrase),
    BytesRegex(Pattern),
    /// A regex over upper-case hexadecimal digits.
    HexRegex(Pattern),
    /// A protocol of ours reads it.
    Own(Reader),
}

/// What a protocol makes of an answer.
#[derive(Debug, PartialEq)]
pub enum Told {
    Wait,
    Met,
    /// Status, the protocol's own code, and words.
    Failed(Status, Option<u16>, String),
}

/// How a protocol's answer is read.
#[derive(Clone, Copy)]
pub struct Reader {
    pub name: &'static str,
    /// Gets what was received, and whether more can come.
    pub read: fn(&[u8], bool) -> Told,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Reader {
    fn eq(&self, other: &Reader) -> bool {
        self.name == other.name
    }
}

/// `-m str|beg|end|sub|reg`.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    Equal(Phrase),
    Begin(Phrase),
    End(Phrase),
    Inside(Phrase),
    Regex(Pattern),
}

impl Text {
    fn is_made(&self) -> bool {
        match self {
            Text::Equal(text) | Text::Begin(text) | Text::End(text) | Text::Inside(text) => text.is_made(),
            Text::Regex(_) => false,
        }
    }
}

/// A compiled regular expression that compares by its text.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: pcre2::bytes::Regex,
}

impl Pattern {
    pub fn new(text: &str, ignore_case: bool) -> Result<Pattern, String> {
        let regex = pcre2::bytes::RegexBuilder::new()
            .caseless(ignore_case)
            .jit_if_available(true)
            .build(text)
            .map_err(|e| format!("regex '{text}' is invalid (error={e})"))?;
        Ok(Pattern { text: text.to_owned(), regex })
    }

    pub fn is_match(&self, bytes: &[u8]) -> bool {
        self.regex.is_match(bytes).unwrap_or(false)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}
