//! Domain names: in wire form, as a query writes them, and as text (RFC 1035, 3.1 and 5.1).

use std::fmt::Write;

/// Octets of a name at most, the root's included.
pub const MAX_NAME: usize = 255;
/// Octets of a label at most.
pub const MAX_LABEL: usize = 63;
/// The root.
pub const ROOT: &[u8] = &[0];

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a label of a name has at most 63 octets")]
    Label,
    #[error("a name has at most 255 octets")]
    Length,
    #[error("a name has no empty labels")]
    Empty,
    #[error("a backslash in a name is followed by a character or three digits up to 255")]
    Escape,
    #[error("a relative name needs an origin")]
    Origin,
}

/// A name in lower case that was read from a message, with the place of each label: so that its parents cost nothing.
#[derive(Clone, Debug)]
pub struct QName {
    lower: [u8; MAX_NAME],
    len: u8,
    starts: [u8; 128],
    /// Without the root.
    labels: u8,
}

impl QName {
    /// Reads an uncompressed name at `at`, and says where it ends. `None` when there is none.
    pub fn parse(packet: &[u8], at: usize) -> Option<(QName, usize)> {
        let mut name = QName::EMPTY;
        let end = name.read(packet, at)?;
        Some((name, end))
    }

    pub const EMPTY: QName = QName { lower: [0; MAX_NAME], len: 0, starts: [0; 128], labels: 0 };

    /// Reads it into an empty one, and says where it ends. Of one that is none, nothing is to be used.
    pub fn read(&mut self, packet: &[u8], at: usize) -> Option<usize> {
        let name = self;
        let mut from = 0;
        loop {
            let size = usize::from(*packet.get(at + from)?);
            if size == 0 {
                name.len = (from + 1) as u8;
                return Some(at + from + 1);
            }
            // The root must still fit; a pointer has no place in a question.
            if size > MAX_LABEL || from + size + 2 > MAX_NAME {
                return None;
            }
            let label = packet.get(at + from + 1..at + from + 1 + size)?;
            name.starts[usize::from(name.labels)] = from as u8;
            name.labels += 1;
            name.lower[from] = size as u8;
            for (to, octet) in name.lower[from + 1..=from + size].iter_mut().zip(label) {
                *to = octet.to_ascii_lowercase();
            }
            from += size + 1;
        }
    }

    /// `wire`: an uncompressed name.
    pub fn of(wire: &[u8]) -> Option<QName> {
        let (name, end) = QName::parse(wire, 0)?;
        (end == wire.len()).then_some(name)
    }

    pub fn as_wire(&self) -> &[u8] {
        &self.lower[..usize::from(self.len)]
    }

    /// How many labels it has, the root not counted.
    pub fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// The name without its first `skip` labels.
    pub fn suffix(&self, skip: usize) -> &[u8] {
        let end = usize::from(self.len);
        let start = if skip < self.labels() { usize::from(self.starts[skip]) } else { end - 1 };
        &self.lower[start..end]
    }

    /// The label number `at` from the left.
    pub fn label(&self, at: usize) -> &[u8] {
        let start = usize::from(self.starts[at]);
        &self.lower[start + 1..=start + usize::from(self.lower[start])]
    }
}

/// The labels of a wire name from the left, the root not included.
pub fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let size = usize::from(*rest.first()?);
        if size == 0 || rest.len() <= size {
            return None;
        }
        let label = &rest[1..=size];
        rest = &rest[size + 1..];
        Some(label)
    })
}

/// The name without its first label; `None` for the root.
pub fn parent(wire: &[u8]) -> Option<&[u8]> {
    let size = usize::from(*wire.first()?);
    if size == 0 { None } else { wire.get(size + 1..) }
}

/// Whether `name` is `apex` or below it. Both in lower case.
pub fn is_within(name: &[u8], apex: &[u8]) -> bool {
    let mut rest = name;
    while rest.len() > apex.len() {
        match parent(rest) {
            Some(up) => rest = up,
            None => return false,
        }
    }
    rest == apex
}

/// The length of the uncompressed name at the start of `bytes`; `None` when there is none.
pub fn wire_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let size = usize::from(*bytes.get(at)?);
        if size > MAX_LABEL || at + size + 1 > MAX_NAME {
            return None;
        }
        at += size + 1;
        if size == 0 {
            return (at <= bytes.len()).then_some(at);
        }
    }
}

/// Reads a name as a zone file writes it: `@` is the origin, and so is what a name without a dot at its end is below.
pub fn from_text(text: &[u8], origin: Option<&[u8]>) -> Result<Vec<u8>, NameError> {
    match text {
        b"@" => return origin.map(<[u8]>::to_vec).ok_or(NameError::Origin),
        b"." => return Ok(ROOT.to_vec()),
        _ => {}
    }
    let (mut wire, mut size_at, mut at) = (vec![0u8], 0, 0);
    while let Some(octet) = text.get(at).copied() {
        at += 1;
        if octet == b'.' {
            if wire.len() - size_at == 1 {
                return Err(NameError::Empty);
            }
            size_at = wire.len();
            wire.push(0);
            continue;
        }
        let octet = if octet == b'\\' { unescape(text, &mut at).ok_or(NameError::Escape)? } else { octet };
        wire.push(octet);
        if wire.len() - size_at - 1 > MAX_LABEL {
            return Err(NameError::Label);
        }
        wire[size_at] += 1;
    }
    if wire.len() == 1 {
        return Err(NameError::Empty);
    }
    // Without a dot at its end it is relative.
    if wire.len() - size_at > 1 {
        wire.extend_from_slice(origin.ok_or(NameError::Origin)?);
    }
    if wire.len() > MAX_NAME { Err(NameError::Length) } else { Ok(wire) }
}

/// The octet that an escape stands for; `at` is behind the backslash.
pub fn unescape(text: &[u8], at: &mut usize) -> Option<u8> {
    let first = *text.get(*at)?;
    if !first.is_ascii_digit() {
        *at += 1;
        return Some(first);
    }
    let digits = text.get(*at..*at + 3)?;
    let value =
        digits.iter().try_fold(0u32, |sum, d| d.is_ascii_digit().then(|| sum * 10 + u32::from(d - b'0')));
    *at += 3;
    u8::try_from(value?).ok()
}

/// An absolute name as a zone file writes it.
pub fn to_text(wire: &[u8]) -> String {
    let mut text = String::new();
    for label in labels(wire) {
        for octet in label {
            match octet {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    text.push('\\');
                    text.push(char::from(*octet));
                }
                0x21..=0x7e => text.push(char::from(*octet)),
                _ => {
                    let _ = write!(text, "\\{octet:03}");
                }
            }
        }
        text.push('.');
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// The labels joined, each as it is; `None` when that is no name.
pub fn join<'l>(labels: impl IntoIterator<Item = &'l [u8]>, under: &[u8]) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    for label in labels {
        if label.is_empty() || label.len() > MAX_LABEL {
            return None;
        }
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
    }
    wire.extend_from_slice(under);
    (wire.len() <= MAX_NAME).then_some(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_as_zone_files_do() {
        let origin = from_text(b"Example.com.", None).expect("a name");
        assert_eq!(origin, b"\x07Example\x03com\0");
        assert_eq!(from_text(b"www", Some(&origin)).expect("a name"), b"\x03www\x07Example\x03com\0");
        assert_eq!(from_text(b"@", Some(&origin)).expect("a name"), origin);
        assert_eq!(from_text(b".", None).expect("a name"), ROOT);
        let odd = from_text(b"a\\.b\\000\\@.c.", None).expect("a name");
        assert_eq!(odd, b"\x05a.b\0@\x01c\0");
        assert_eq!(to_text(&odd), "a\\.b\\000\\@.c.");
        assert_eq!(from_text(b"a..b.", None), Err(NameError::Empty));
        assert_eq!(from_text(b"", None), Err(NameError::Empty));
        assert_eq!(from_text(b"a", None), Err(NameError::Origin));
        assert_eq!(from_text(b"a\\25", None), Err(NameError::Escape));
        assert_eq!(from_text(b"a\\256.", None), Err(NameError::Escape));
        assert_eq!(from_text(&[b'x'; 64], Some(ROOT)), Err(NameError::Label));
        let long = "abcdefgh.".repeat(29);
        assert_eq!(from_text(long.as_bytes(), None), Err(NameError::Length));
    }

    #[test]
    fn a_question_has_neither_pointers_nor_long_names() {
        let packet = b"\x03WwW\x07example\0rest";
        let (name, end) = QName::parse(packet, 0).expect("a name");
        assert_eq!((name.as_wire(), end), (&b"\x03www\x07example\0"[..], 13));
        assert_eq!((name.labels(), name.label(1)), (2, &b"example"[..]));
        assert_eq!((name.suffix(1), name.suffix(2)), (&b"\x07example\0"[..], ROOT));
        assert!(QName::parse(b"\xc0\x00", 0).is_none());
        assert!(QName::parse(b"\x03ww", 0).is_none());
        let long: Vec<u8> = (0..128).flat_map(|_| [1, b'a']).chain([0]).collect();
        assert!(QName::parse(&long, 0).is_none());
        let longest: Vec<u8> = (0..127).flat_map(|_| [1, b'a']).chain([0]).collect();
        assert_eq!(QName::of(&longest).expect("255 octets").labels(), 127);
    }

    #[test]
    fn who_is_below_whom() {
        let (www, com) = (&b"\x03www\x07example\x03com\0"[..], &b"\x03com\0"[..]);
        assert!(is_within(www, com) && is_within(com, com) && is_within(www, ROOT));
        assert!(!is_within(com, www) && !is_within(b"\x04acom\0", com));
        assert_eq!(wire_len(b"\x03com\0xyz"), Some(5));
        assert_eq!(wire_len(b"\x03co"), None);
        assert_eq!(join([&b"a"[..], b"b"], com).expect("short"), b"\x01a\x01b\x03com\0");
    }
}
