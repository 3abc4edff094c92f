//! What is said before any message: three lines of who dials, one of who is dialled.

/// The first word of all.
const PROTOCOL: &str = "HAProxyS";
/// A word of our own, which tells one Isobar from HAProxy.
const OURS: &str = "isobar";
/// Most octets of the three lines.
pub const MOST: usize = 2048;
/// Most octets of the answer.
pub const MOST_STATUS: usize = 128;

/// How a session is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Good = 200,
    /// Try again later.
    Later = 300,
    /// What came is no greeting.
    Protocol = 501,
    /// A version that is not spoken.
    Version = 502,
    /// The peer that is asked for has another name.
    NotMe = 503,
    /// Who asks is no peer.
    Unknown = 504,
}

impl Status {
    /// The line that says it; `to_ours`: to an Isobar.
    pub fn line(self, to_ours: bool) -> String {
        let word = if to_ours && self == Status::Good { " isobar" } else { "" };
        format!("{}{word}\n", self as u16)
    }
}

/// Who dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Of version 2: 0 or 1.
    pub minor: u8,
    /// Who it is.
    pub from: String,
    pub is_ours: bool,
}

/// What became of reading a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// It is not all there.
    Short,
    Refused(Status),
    /// The greeting, and how many octets it took.
    Whole(Hello, usize),
}

/// The greeting of `from` to `to`.
pub fn greeting(to: &str, from: &str, pid: u32) -> String {
    format!("{PROTOCOL} 2.1\n{to}\n{from} {pid} 1 {OURS}\n")
}

/// Reads a greeting to `me`; `knows` says who is a peer.
pub fn read(bytes: &[u8], me: &str, knows: impl Fn(&str) -> bool) -> Read {
    let mut at = 0;
    let mut line = || {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        at += end + 1;
        let line = &rest[..end];
        Some(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned())
    };
    let short = if bytes.len() >= MOST { Read::Refused(Status::Protocol) } else { Read::Short };
    let Some(first) = line() else { return short };
    let Some(version) = first.strip_prefix(PROTOCOL).and_then(|rest| rest.strip_prefix(' ')) else {
        return Read::Refused(Status::Protocol);
    };
    let minor = match version.split(' ').next() {
        Some("2.0") => 0,
        Some("2.1") => 1,
        _ => return Read::Refused(Status::Version),
    };
    let Some(to) = line() else { return short };
    let Some(from) = line() else { return short };
    if to != me {
        return Read::Refused(Status::NotMe);
    }
    let mut words = from.split(' ');
    let (Some(from), Some(_)) = (words.next(), words.next()) else {
        return Read::Refused(Status::Protocol);
    };
    if !knows(from) {
        return Read::Refused(Status::Unknown);
    }
    let is_ours = words.any(|word| word == OURS);
    Read::Whole(Hello { minor, from: from.to_owned(), is_ours }, at)
}

/// The answer to a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 0: no number.
    pub status: u16,
    pub is_ours: bool,
    /// Octets that it took.
    pub len: usize,
}

/// Reads an answer; `None`: it is not all there.
pub fn answer(bytes: &[u8]) -> Option<Answer> {
    let end = match bytes.iter().position(|byte| *byte == b'\n') {
        None if bytes.len() < MOST_STATUS => return None,
        None => return Some(Answer { status: 0, is_ours: false, len: bytes.len() }),
        Some(end) => end,
    };
    let line = String::from_utf8_lossy(&bytes[..end]);
    let mut words = line.split_ascii_whitespace();
    let status = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    Some(Answer { status, is_ours: words.any(|word| word == OURS), len: end + 1 })
}
