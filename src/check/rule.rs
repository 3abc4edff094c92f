//! The steps of a check: connect, send, expect.

use std::fmt;
use std::net::SocketAddr;

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
    pub send_proxy: bool,
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
    Bytes(Vec<u8>),
}

/// The request of an HTTP check. Empty parts have the manual's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub method: Option<String>,
    pub uri: Option<String>,
    pub version: Option<String>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
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
    pub on_success: Option<String>,
    pub on_error: Option<String>,
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
    Body(Vec<u8>),
    BodyRegex(Pattern),
    /// Anywhere in what a `tcp-check` received.
    Bytes(Vec<u8>),
    BytesRegex(Pattern),
    /// A regex over upper-case hexadecimal digits.
    HexRegex(Pattern),
}

/// `-m str|beg|end|sub|reg`.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    Equal(String),
    Begin(String),
    End(String),
    Inside(String),
    Regex(Pattern),
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
