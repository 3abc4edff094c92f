//! A `stick-table` line.

use crate::lang::time::{Unit, size, time};
use crate::lang::{Span, Word, suggest};

use super::data::{Data, MOST_ELEMENTS, Shape};
use super::key::{DEFAULT_LEN, KeyKind};

/// How entries name servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerKey {
    #[default]
    Name,
    Address,
}

/// One stored data type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub data: Data,
    /// Elements: 1 unless it is an array.
    pub count: u8,
    /// Of a rate.
    pub period_ms: u32,
}

/// What a table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub kind: KeyKind,
    pub size: u32,
    /// 0: entries do not expire.
    pub expire_ms: u32,
    pub nopurge: bool,
    pub server_key: ServerKey,
    /// In the order of the types.
    pub store: Vec<Stored>,
    /// `peers`, and where it stands.
    pub peers: Option<(Box<str>, Span)>,
    /// `write-to`, and where it stands.
    pub write_to: Option<(Box<str>, Span)>,
    pub recv_only: bool,
    /// `cluster`, where it stands: counters and rates are those of all nodes of the region map.
    pub cluster: Option<Span>,
}

type Failed = (Span, String);

/// Longest key in bytes.
const MOST_LEN: usize = 16 * 1024;

impl Spec {
    /// Entries of a table with the other declaration mean the same, and lie in memory in the same way.
    pub fn is_alike(&self, other: &Spec) -> bool {
        self.kind == other.kind
            && self.store == other.store
            && self.peers.is_some() == other.peers.is_some()
            && self.recv_only == other.recv_only
            && self.cluster.is_some() == other.cluster.is_some()
    }

    /// Stores a data type, too.
    pub fn also(&mut self, data: Data) {
        if !self.store.iter().any(|stored| stored.data == data) {
            self.store.push(Stored { data, count: 1, period_ms: 0 });
            self.store.sort_by_key(|stored| stored.data as u8);
        }
    }

    /// What peers say takes the place of what an entry holds, which no sum over nodes survives.
    fn check_cluster(&self) -> Result<(), Failed> {
        let Some(at) = self.cluster else { return Ok(()) };
        let other = [
            (self.peers.is_some(), "peers"),
            (self.write_to.is_some(), "write-to"),
            (self.recv_only, "recv-only"),
        ];
        if let Some((_, name)) = other.iter().find(|(is_there, _)| *is_there) {
            return Err((at, format!("'cluster' and '{name}' exclude each other")));
        }
        if !self.store.iter().any(|stored| stored.data.is_summed()) {
            return Err((at, "'cluster' sums counters and rates, and none is stored".into()));
        }
        Ok(())
    }

    /// Reads what follows `stick-table`. Letters behind a unit of time are told to `warn`.
    pub fn parse(words: &[Word], at: Span, warn: &mut dyn FnMut(Span, String)) -> Result<Spec, Failed> {
        let mut spec = Spec {
            kind: KeyKind::Ip,
            size: 0,
            expire_ms: 0,
            nopurge: false,
            server_key: ServerKey::Name,
            store: Vec::new(),
            peers: None,
            write_to: None,
            recv_only: false,
            cluster: None,
        };
        let mut reader = Reader { words, at: 0, start: at, warn };
        let mut has_type = false;
        while let Some(word) = reader.next() {
            match word.str() {
                "type" => {
                    spec.kind = reader.kind()?;
                    has_type = true;
                }
                "size" => spec.size = reader.size()?,
                "expire" => spec.expire_ms = reader.time("expire")?,
                "nopurge" => spec.nopurge = true,
                "recv-only" => spec.recv_only = true,
                "cluster" => spec.cluster = Some(word.span),
                "store" => reader.store(&mut spec)?,
                "srvkey" => {
                    let word = reader.want("srvkey", "'name' or 'addr'")?;
                    spec.server_key = match word.str() {
                        "name" => ServerKey::Name,
                        "addr" => ServerKey::Address,
                        other => {
                            return Err((word.span, format!("'srvkey' is 'name' or 'addr', not '{other}'")));
                        }
                    };
                }
                "peers" => {
                    let word = reader.want("peers", "the name of a peers section")?;
                    spec.peers = Some((word.str().into(), word.span));
                }
                "write-to" => {
                    let word = reader.want("write-to", "the name of a table")?;
                    spec.write_to = Some((word.str().into(), word.span));
                }
                other => return Err((word.span, format!("unknown argument '{other}'"))),
            }
        }
        if !has_type {
            return Err((at, "missing 'type'".into()));
        }
        if spec.size == 0 {
            return Err((at, "missing 'size'".into()));
        }
        spec.store.sort_by_key(|stored| stored.data as u8);
        spec.check_cluster()?;
        Ok(spec)
    }
}

/// The words of a line.
struct Reader<'w, 'f> {
    words: &'w [Word],
    at: usize,
    start: Span,
    warn: &'f mut dyn FnMut(Span, String),
}

impl<'w> Reader<'w, '_> {
    fn next(&mut self) -> Option<&'w Word> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    fn want(&mut self, after: &str, what: &str) -> Result<&'w Word, Failed> {
        let place = self.words.last().map_or(self.start, |word| word.span);
        self.next().ok_or_else(|| (place, format!("'{after}' expects {what}")))
    }

    fn kind(&mut self) -> Result<KeyKind, Failed> {
        let word = self.want("type", "'ip', 'ipv6', 'integer', 'string' or 'binary'")?;
        let kind = match word.str() {
            "ip" | "ipv4" => KeyKind::Ip,
            "ipv6" => KeyKind::Ipv6,
            "integer" => KeyKind::Integer,
            // One octet of them ends the text.
            "string" => KeyKind::Str(DEFAULT_LEN - 1),
            "binary" => KeyKind::Binary(DEFAULT_LEN),
            other => {
                let names = ["ip", "ipv6", "integer", "string", "binary"];
                let message = format!("unknown type '{other}'");
                return Err((word.span, suggest::with_hint(message, other, names)));
            }
        };
        if self.words.get(self.at).is_none_or(|word| word.str() != "len") {
            return Ok(kind);
        }
        self.at += 1;
        let word = self.want("len", "the length of keys")?;
        let len = word.str().parse().ok().filter(|len| (1..=MOST_LEN).contains(len));
        let bad = || (word.span, format!("'{}' is no length of a key, which is 1 to {MOST_LEN}", word.str()));
        match kind {
            KeyKind::Str(_) => Ok(KeyKind::Str(len.ok_or_else(bad)?)),
            KeyKind::Binary(_) => Ok(KeyKind::Binary(len.ok_or_else(bad)?)),
            _ => Err((word.span, format!("keys of type '{}' have no 'len'", kind.name()))),
        }
    }

    fn size(&mut self) -> Result<u32, Failed> {
        let word = self.want("size", "the number of entries")?;
        let read = size(word.str()).map_err(|e| (word.span, format!("'size': {}", e.about(word.str()))))?;
        match u32::try_from(read) {
            Ok(0) | Err(_) => Err((word.span, format!("'{}' is no number of entries", word.str()))),
            Ok(size) => Ok(size),
        }
    }

    fn time(&mut self, what: &str) -> Result<u32, Failed> {
        let word = self.want(what, "a time")?;
        self.read_time(word.str(), what, word.span)
    }

    fn read_time(&mut self, text: &str, what: &str, at: Span) -> Result<u32, Failed> {
        let read =
            time(text, Unit::Milliseconds).map_err(|e| (at, format!("'{what}': {}", e.about(text))))?;
        if let Some(message) = read.warning(text) {
            (self.warn)(at, message);
        }
        Ok(read.value as u32)
    }

    /// `<type>[(<arguments>)][,...]`.
    fn store(&mut self, spec: &mut Spec) -> Result<(), Failed> {
        let word = self.want("store", "data types")?;
        let mut rest = word.str();
        while !rest.is_empty() {
            // A comma parts types, unless it stands in parentheses.
            let end = match (rest.find(','), rest.find('(')) {
                (Some(comma), Some(open)) if open < comma => match rest.find(')') {
                    Some(close) => close + 1,
                    None => return Err((word.span, format!("missing ')' in '{rest}'"))),
                },
                (Some(comma), _) => comma,
                (None, _) => rest.len(),
            };
            let stored = self.one(&rest[..end], word.span)?;
            if spec.store.iter().any(|other| other.data == stored.data) {
                (self.warn)(word.span, format!("'{}' is stored already", stored.data.name()));
            } else {
                spec.store.push(stored);
            }
            rest = rest[end..].trim_start_matches(',');
        }
        Ok(())
    }

    fn one(&mut self, text: &str, at: Span) -> Result<Stored, Failed> {
        let (name, inside) = match text.split_once('(') {
            Some((name, rest)) => match rest.strip_suffix(')') {
                Some(inside) => (name, inside),
                None => return Err((at, format!("missing ')' in '{text}'"))),
            },
            None => (text, ""),
        };
        let Some(data) = Data::of(name) else { return Err((at, format!("unknown data type '{name}'"))) };
        let is_rate = data.shape() == Shape::Rate;
        let (count, period) = match (data.is_array(), is_rate) {
            (true, true) => inside.split_once(',').unwrap_or((inside, "")),
            (true, false) => (inside, ""),
            (false, true) => ("", inside),
            (false, false) if inside.is_empty() => ("", ""),
            (false, false) => return Err((at, format!("'{name}' takes no argument"))),
        };
        let mut stored = Stored { data, count: 1, period_ms: 0 };
        if data.is_array() {
            let read = count.trim().parse().ok().filter(|n| (1..=MOST_ELEMENTS).contains(n));
            let Some(n) = read else {
                return Err((at, format!("'{name}' expects 1 to {MOST_ELEMENTS} elements, not '{count}'")));
            };
            stored.count = n as u8;
        }
        if is_rate {
            if period.is_empty() {
                return Err((at, format!("'{name}' expects a period")));
            }
            stored.period_ms = self.read_time(period.trim(), name, at)?;
            if stored.period_ms == 0 {
                return Err((at, format!("the period of '{name}' is not 0")));
            }
        }
        Ok(stored)
    }
}
