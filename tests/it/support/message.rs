//! HTTP/1.1 messages as a peer reads them that follows RFC 9112 to the letter.
//!
//! Whatever could be read in two ways is not read at all but reported as [`Broken::Ambiguous`]: an origin that
//! uses this reader proves that what the proxy forwards has one meaning only.

use std::fmt;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A message with its body decoded. Bytes above 127 in the head are kept one char a byte (Latin-1).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The request line or status line, without its end.
    pub start: String,
    /// Names as they came, values without optional whitespace around them, in wire order.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// The head as it was on the wire, with its empty line.
    pub raw_head: Vec<u8>,
    /// The body as it was on the wire: chunk sizes and trailers included.
    pub raw_body: Vec<u8>,
}

/// Why no message could be read.
#[derive(Clone, PartialEq, Eq)]
pub enum Broken {
    /// End of stream (or a reset) before the first byte.
    Closed,
    /// End of stream (or a reset) within a message; what had come.
    Cut(Vec<u8>),
    /// Nothing more came in time; what had come.
    Silent(Vec<u8>),
    /// The bytes allow more than one reading, or none.
    Ambiguous(String, Vec<u8>),
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", short(&[self.raw_head.as_slice(), &self.raw_body].concat()))
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Closed => write!(f, "Closed"),
            Broken::Cut(bytes) => write!(f, "Cut({:?})", short(bytes)),
            Broken::Silent(bytes) => write!(f, "Silent({:?})", short(bytes)),
            Broken::Ambiguous(why, bytes) => write!(f, "Ambiguous({why} in {:?})", short(bytes)),
        }
    }
}

/// Bytes as text of a length that fits a report.
fn short(bytes: &[u8]) -> String {
    match bytes.get(..300) {
        Some(start) => format!("{}... ({} bytes)", latin1(start), bytes.len()),
        None => latin1(bytes),
    }
}

impl Message {
    /// Every value of a field, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.fields.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn field<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The status code of a response, 0 for anything else.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or("")
    }

    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or("")
    }

    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// Whether the connection stays open after this message, as far as the message says.
    pub fn keeps_alive(&self) -> bool {
        let old = self.start.starts_with("HTTP/1.0") || self.start.ends_with("HTTP/1.0");
        if old { self.has_token("connection", "keep-alive") } else { !self.has_token("connection", "close") }
    }
}

/// Reads messages off a connection.
pub struct Reader {
    /// None for a reader of bytes at hand.
    stream: Option<TcpStream>,
    /// Bytes that came and were not used yet.
    pub ahead: Vec<u8>,
    ended: bool,
    deadline: Instant,
}

type Read_<T> = Result<T, Broken>;

impl Reader {
    pub fn new(stream: TcpStream) -> Self {
        let deadline = Instant::now() + Duration::from_secs(10);
        Reader { stream: Some(stream), ahead: Vec::new(), ended: false, deadline }
    }

    /// A reader of these bytes, which are all there will be.
    pub fn of(bytes: &[u8]) -> Self {
        Reader { stream: None, ahead: bytes.to_vec(), ended: true, deadline: Instant::now() }
    }

    /// How long from now the following reads may take together.
    pub fn within(&mut self, at_most: Duration) -> &mut Self {
        self.deadline = Instant::now() + at_most;
        self
    }

    /// The next request.
    pub fn request(&mut self) -> Read_<Message> {
        let mut message = self.request_head()?;
        self.request_body(&mut message)?;
        Ok(message)
    }

    /// The head of the next request, its body left unread.
    pub fn request_head(&mut self) -> Read_<Message> {
        let message = self.head()?;
        request_line(&message.start).map_err(|why| Broken::Ambiguous(why, message.raw_head.clone()))?;
        Ok(message)
    }

    /// The body that belongs to a request's head.
    pub fn request_body(&mut self, message: &mut Message) -> Read_<()> {
        let framing = framing(message).map_err(|why| Broken::Ambiguous(why, message.raw_head.clone()))?;
        match framing {
            Framing::None => Ok(()),
            framing => self.body(message, framing),
        }
    }

    /// The next response to a request with this method; 1xx (but 101) are responses of their own here.
    pub fn response(&mut self, method: &str) -> Read_<Message> {
        let mut message = self.head()?;
        let bad = |why: String| Broken::Ambiguous(why, message.raw_head.clone());
        status_line(&message.start).map_err(bad)?;
        let framing = framing(&message).map_err(bad)?;
        let bodyless = method == "HEAD" || matches!(message.status(), 100..=199 | 204 | 304);
        let tunnel = method == "CONNECT" && matches!(message.status(), 200..=299);
        match framing {
            _ if bodyless || tunnel => Ok(message),
            Framing::None => {
                let (rest, end) = self.rest();
                message.raw_body.clone_from(&rest);
                message.body = rest;
                match end {
                    End::Closed => Ok(message),
                    End::Silent => Err(Broken::Silent(message.raw_head)),
                }
            }
            framing => self.body(&mut message, framing).map(|()| message),
        }
    }

    /// Everything until the peer closes, or nothing comes in time.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            match self.more() {
                Ok(true) => {}
                Ok(false) => return (std::mem::take(&mut self.ahead), End::Closed),
                Err(()) => return (std::mem::take(&mut self.ahead), End::Silent),
            }
        }
    }

    /// Reads what comes next; `Ok(false)` at the end of the stream, `Err` when the deadline has passed.
    fn more(&mut self) -> Result<bool, ()> {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.ended) else { return Ok(false) };
        let mut piece = [0; 16384];
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(());
            }
            let _ = stream.set_read_timeout(Some(left.max(Duration::from_millis(1))));
            match stream.read(&mut piece) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(false);
                }
                Ok(n) => {
                    self.ahead.extend_from_slice(&piece[..n]);
                    return Ok(true);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => {
                    self.ended = true;
                    return Ok(false);
                }
            }
        }
    }

    fn need(&mut self, have: &[u8]) -> Read_<()> {
        let so_far = |this: &Self| [have, &this.ahead].concat();
        match self.more() {
            Ok(true) => Ok(()),
            Ok(false) if have.is_empty() && self.ahead.is_empty() => Err(Broken::Closed),
            Ok(false) => Err(Broken::Cut(so_far(self))),
            Err(()) => Err(Broken::Silent(so_far(self))),
        }
    }

    fn head(&mut self) -> Read_<Message> {
        let end = loop {
            if let Some(at) = find(&self.ahead, b"\r\n\r\n") {
                break at + 4;
            }
            if find(&self.ahead, b"\n\n").is_some() {
                return Err(Broken::Ambiguous("bare LF ends a head".into(), self.ahead.clone()));
            }
            self.need(b"")?;
        };
        let raw_head: Vec<u8> = self.ahead.drain(..end).collect();
        parse_head(&raw_head).map_err(|why| Broken::Ambiguous(why, raw_head))
    }

    fn body(&mut self, message: &mut Message, framing: Framing) -> Read_<()> {
        match framing {
            Framing::None => Ok(()),
            Framing::Length(n) => {
                while (self.ahead.len() as u64) < n {
                    self.need(&message.raw_head.clone())?;
                }
                message.body = self.ahead.drain(..n as usize).collect();
                message.raw_body = message.body.clone();
                Ok(())
            }
            Framing::Chunked => self.chunks(message),
        }
    }

    fn chunks(&mut self, message: &mut Message) -> Read_<()> {
        loop {
            let line = self.line(message)?;
            let size = chunk_size(&line).map_err(|why| Broken::Ambiguous(why, line.clone().into_bytes()))?;
            if size == 0 {
                break;
            }
            while self.ahead.len() < size + 2 {
                self.need(&message.raw_head.clone())?;
            }
            let data: Vec<u8> = self.ahead.drain(..size + 2).collect();
            message.raw_body.extend_from_slice(&data);
            if !data.ends_with(b"\r\n") {
                return Err(Broken::Ambiguous("chunk data not followed by CRLF".into(), data));
            }
            message.body.extend_from_slice(&data[..size]);
        }
        loop {
            let line = self.line(message)?;
            if line.is_empty() {
                return Ok(());
            }
            let field =
                parse_field(&line).map_err(|why| Broken::Ambiguous(why, line.clone().into_bytes()))?;
            const FRAMING: [&str; 4] = ["content-length", "transfer-encoding", "host", "te"];
            if FRAMING.iter().any(|f| field.0.eq_ignore_ascii_case(f)) {
                return Err(Broken::Ambiguous(format!("{} in trailers", field.0), line.into_bytes()));
            }
            message.trailers.push(field);
        }
    }

    /// A line of the chunked coding, its CRLF removed.
    fn line(&mut self, message: &mut Message) -> Read_<String> {
        loop {
            if let Some(at) = self.ahead.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=at).collect();
                message.raw_body.extend_from_slice(&line);
                let text = match line.strip_suffix(b"\r\n") {
                    Some(text) if !text.contains(&b'\r') => text,
                    _ => return Err(Broken::Ambiguous("bare CR or LF in the chunked coding".into(), line)),
                };
                return Ok(latin1(text));
            }
            self.need(&message.raw_head.clone())?;
        }
    }
}

/// How a stream of bytes stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed,
    Silent,
}

enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// Bytes as text, one char a byte.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| *b as char).collect()
}

pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}

/// Reads a head that ends with an empty line; every line must end with CRLF and hold no other CR, LF or NUL.
pub fn parse_head(raw: &[u8]) -> Result<Message, String> {
    let text = raw.strip_suffix(b"\r\n\r\n").ok_or("a head that does not end with an empty line")?;
    let mut message = Message { raw_head: raw.to_vec(), ..Message::default() };
    for (n, line) in latin1(text).split("\r\n").enumerate() {
        if line.contains(['\r', '\n', '\0']) {
            return Err(format!("CR, LF or NUL within the line {line:?}"));
        }
        if n == 0 {
            message.start = line.into();
        } else {
            message.fields.push(parse_field(line)?);
        }
    }
    Ok(message)
}

fn parse_field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("no colon in {line:?}"))?;
    if !is_token(name) {
        return Err(format!("the name of {line:?} is no token"));
    }
    let value = value.trim_matches([' ', '\t']);
    match value.chars().find(|c| (*c < ' ' && *c != '\t') || *c == '\x7f') {
        Some(c) => Err(format!("control character {c:?} in {line:?}")),
        None => Ok((name.into(), value.into())),
    }
}

pub fn is_token(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

fn request_line(line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split(' ').collect();
    let ok = words.len() == 3
        && is_token(words[0])
        && !words[1].is_empty()
        && words[1].chars().all(|c| ('!'..='~').contains(&c) || c > '\x7f')
        && matches!(words[2], "HTTP/1.0" | "HTTP/1.1");
    if ok { Ok(()) } else { Err(format!("request line {line:?}")) }
}

fn status_line(line: &str) -> Result<(), String> {
    let mut words = line.splitn(3, ' ');
    let version = words.next().unwrap_or("");
    let code = words.next().unwrap_or("");
    let ok = matches!(version, "HTTP/1.0" | "HTTP/1.1")
        && code.len() == 3
        && code.chars().all(|c| c.is_ascii_digit())
        && code >= "100";
    if ok { Ok(()) } else { Err(format!("status line {line:?}")) }
}

/// RFC 9112 section 6.3, with no leniency at all.
fn framing(message: &Message) -> Result<Framing, String> {
    let lengths: Vec<&str> = message.all("content-length").collect();
    let codings: Vec<&str> = message.all("transfer-encoding").collect();
    let old = message.start.contains("HTTP/1.0");
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(Framing::None),
        ([length], []) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => {
            length.parse().map(Framing::Length).map_err(|_| format!("Content-Length {length:?}"))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && !old => Ok(Framing::Chunked),
        _ => Err(format!("framed by Content-Length {lengths:?} and Transfer-Encoding {codings:?}")),
    }
}

fn chunk_size(line: &str) -> Result<usize, String> {
    let size = line.split_once(';').map_or(line, |(size, _)| size.trim_end_matches([' ', '\t']));
    let ok = (1..=16).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_hexdigit());
    match usize::from_str_radix(size, 16) {
        Ok(size) if ok => Ok(size),
        _ => Err(format!("chunk size {line:?}")),
    }
}
