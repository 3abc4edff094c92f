//! Regular expressions: PCRE2 with its JIT, as HAProxy is built.

use std::fmt;

use crate::base::hex::hex;

/// A compiled expression over bytes.
pub struct Regex {
    inner: pcre2::bytes::Regex,
}

impl Regex {
    pub fn new(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
        let inner = pcre2::bytes::RegexBuilder::new()
            .caseless(ignore_case)
            .jit_if_available(true)
            .build(pattern)
            .map_err(|e| format!("regex '{pattern}' is invalid ({e})"))?;
        Ok(Regex { inner })
    }

    /// Matches anywhere; an expression that runs into PCRE2's limits does not match.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        self.inner.is_match(subject).unwrap_or(false)
    }

    /// The groups of the first match at or behind `from`: byte ranges, `None` for one that took no part.
    pub fn groups(&self, subject: &[u8], from: usize) -> Option<Groups> {
        // Most do not match, and finding that out needs no memory of its own.
        if !self.inner.is_match_at(subject, from).unwrap_or(false) {
            return None;
        }
        let mut locations = self.inner.capture_locations();
        self.inner.captures_read_at(&mut locations, subject, from).ok()??;
        Some(Groups { locations })
    }
}

/// Where the groups of a match are.
pub struct Groups {
    locations: pcre2::bytes::CaptureLocations,
}

impl Groups {
    pub fn range(&self, group: usize) -> Option<(usize, usize)> {
        self.locations.get(group)
    }

    /// Expands `\0` to `\9` and `\xHH` of a replacement (manual: `http-request replace-header`).
    pub fn expand(&self, subject: &[u8], replacement: &[u8], out: &mut Vec<u8>) {
        let mut rest = replacement;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            match rest {
                [digit @ b'0'..=b'9', tail @ ..] => {
                    if let Some((start, end)) = self.range(usize::from(digit - b'0')) {
                        out.extend_from_slice(subject.get(start..end).unwrap_or_default());
                    }
                    rest = tail;
                }
                [b'x', a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                    out.push(hex(*a) << 4 | hex(*b));
                    rest = tail;
                }
                [other, tail @ ..] => {
                    out.push(*other);
                    rest = tail;
                }
                [] => out.push(b'\\'),
            }
        }
        out.extend_from_slice(rest);
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.inner.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_expand() {
        let re = Regex::new("^/([a-z]+)/(x)?(.*)", true).unwrap();
        let mut out = Vec::new();
        re.groups(b"/ABC/rest", 0).unwrap().expand(b"/ABC/rest", br"<\1|\2|\3|\x41\-\0>", &mut out);
        assert_eq!(out, b"<ABC||rest|A-/ABC/rest>");
        assert!(Regex::new("(", false).is_err());
        assert!(!re.is_match(b"nope"));
    }
}
