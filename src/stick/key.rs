//! Keys: the types of tables, and a key as it lies in an entry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

/// The type of a table's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Ip,
    Ipv6,
    Integer,
    /// Texts of at most so many bytes.
    Str(usize),
    /// So many bytes.
    Binary(usize),
}

/// Octets that strings, with the one that ends them, and binaries take unless said otherwise.
pub const DEFAULT_LEN: usize = 32;

/// A key as words. A string's first word is its length.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Key {
    words: SmallVec<[u32; 6]>,
}

impl KeyKind {
    pub fn name(self) -> &'static str {
        match self {
            KeyKind::Ip => "ip",
            KeyKind::Ipv6 => "ipv6",
            KeyKind::Integer => "integer",
            KeyKind::Str(_) => "string",
            KeyKind::Binary(_) => "binary",
        }
    }

    /// Words that a key takes in an entry.
    pub(super) fn words(self) -> usize {
        match self {
            KeyKind::Ip | KeyKind::Integer => 1,
            KeyKind::Ipv6 => 4,
            KeyKind::Str(len) => 1 + len.div_ceil(4),
            KeyKind::Binary(len) => len.div_ceil(4),
        }
    }

    /// The key of an address. `None`: the table has no addresses, or none of this family.
    pub fn address(self, ip: IpAddr) -> Option<Key> {
        match (self, ip) {
            (KeyKind::Ip, IpAddr::V4(ip)) => Some(Key::ip(ip)),
            (KeyKind::Ipv6, IpAddr::V6(ip)) => Some(Key::ipv6(ip)),
            _ => None,
        }
    }

    /// The key of bytes, in a table of strings or binaries; what is longer than its keys is cut.
    pub fn bytes(self, text: &[u8]) -> Option<Key> {
        let (len, is_text) = match self {
            KeyKind::Str(len) => (len, true),
            KeyKind::Binary(len) => (len, false),
            _ => return None,
        };
        let text = &text[..text.len().min(len)];
        let mut words = SmallVec::new();
        if is_text {
            words.push(text.len() as u32);
        }
        let padded = if is_text { text.len() } else { len };
        for i in 0..padded.div_ceil(4) {
            let mut word = [0; 4];
            let part = text.get(4 * i..).unwrap_or_default();
            let n = part.len().min(4);
            word[..n].copy_from_slice(&part[..n]);
            words.push(u32::from_ne_bytes(word));
        }
        Some(Key { words })
    }

    /// The key that a user writes in a command.
    pub fn parse(self, text: &str) -> Option<Key> {
        match self {
            KeyKind::Ip => Some(Key::ip(text.parse().ok()?)),
            KeyKind::Ipv6 => Some(Key::ipv6(text.parse().ok()?)),
            KeyKind::Integer => text.parse().ok().map(Key::integer),
            KeyKind::Str(_) => self.bytes(text.as_bytes()),
            KeyKind::Binary(_) => None,
        }
    }

    /// The key in the words of an entry.
    pub(super) fn read(self, words: &[u32]) -> Key {
        let used = match self {
            KeyKind::Str(_) => 1 + (words[0] as usize).div_ceil(4),
            _ => words.len(),
        };
        Key { words: SmallVec::from_slice(&words[..used.min(words.len())]) }
    }
}

impl Key {
    pub fn ip(ip: Ipv4Addr) -> Key {
        Key { words: SmallVec::from_slice(&[u32::from(ip)]) }
    }

    pub fn ipv6(ip: Ipv6Addr) -> Key {
        let bits = u128::from(ip);
        let words = [(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32];
        Key { words: SmallVec::from_slice(&words) }
    }

    pub fn integer(n: u32) -> Key {
        Key { words: SmallVec::from_slice(&[n]) }
    }

    pub(super) fn words(&self) -> &[u32] {
        &self.words
    }

    /// The number of an integer or IPv4 key.
    pub fn number(&self) -> u32 {
        self.words.first().copied().unwrap_or_default()
    }

    /// The address of an IPv6 key.
    pub fn ipv6_addr(&self) -> Ipv6Addr {
        let bits = self.words.iter().take(4).fold(0_u128, |all, word| all << 32 | u128::from(*word));
        Ipv6Addr::from(bits)
    }

    /// The bytes of a string or binary key.
    pub fn to_bytes(&self, kind: KeyKind) -> Vec<u8> {
        let (skip, len) = match kind {
            KeyKind::Str(_) => (1, self.number() as usize),
            KeyKind::Binary(len) => (0, len),
            _ => (0, self.words.len() * 4),
        };
        let mut bytes: Vec<u8> = self.words.iter().skip(skip).flat_map(|word| word.to_ne_bytes()).collect();
        bytes.truncate(len);
        bytes
    }

    /// What keys are shown in the order of.
    pub fn sorted(&self, kind: KeyKind) -> Vec<u8> {
        match kind {
            KeyKind::Ip | KeyKind::Ipv6 => self.words.iter().flat_map(|word| word.to_be_bytes()).collect(),
            KeyKind::Integer => self.number().to_be_bytes().to_vec(),
            KeyKind::Str(_) | KeyKind::Binary(_) => self.to_bytes(kind),
        }
    }

    /// Appends the key as `show table` has it.
    pub fn show(&self, kind: KeyKind, out: &mut String) {
        use std::fmt::Write;
        // Writing to a String cannot fail.
        let _ = match kind {
            KeyKind::Ip => write!(out, "{}", Ipv4Addr::from(self.number())),
            KeyKind::Ipv6 => write!(out, "{}", self.ipv6_addr()),
            KeyKind::Integer => write!(out, "{}", self.number()),
            KeyKind::Str(_) => {
                escaped(&self.to_bytes(kind), out);
                Ok(())
            }
            KeyKind::Binary(_) => self.to_bytes(kind).iter().try_for_each(|byte| write!(out, "{byte:02X}")),
        };
    }
}

/// A text with what does not print, spaces, backslashes and equals signs escaped.
fn escaped(text: &[u8], out: &mut String) {
    use std::fmt::Write;
    for &byte in text {
        let letter = match byte {
            b'\t' => 't',
            b'\n' => 'n',
            b'\r' => 'r',
            0x1b => 'e',
            b'\\' => '\\',
            b' ' => ' ',
            b'=' => '=',
            0x21..=0x7e => {
                out.push(char::from(byte));
                continue;
            }
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
                continue;
            }
        };
        out.push('\\');
        out.push(letter);
    }
}
