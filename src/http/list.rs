//! Comma-separated field values (RFC 9110 section 5.6.1), as HAProxy's `hdr()` family counts them.

use super::head::Head;
use super::token::{self, trim};

/// The elements of one value: split at commas outside quoted strings, trimmed, empty ones included (an empty value has
/// one element, and so has what follows a comma at the end).
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Elements<'a> {
    pub fn of(value: &'a [u8]) -> Elements<'a> {
        Elements { rest: Some(value) }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let end = element_end(rest);
        self.rest = rest.get(end + 1..);
        Some(trim(&rest[..end]))
    }
}

/// Position of the first comma outside a quoted string, or the length.
#[inline]
pub fn element_end(bytes: &[u8]) -> usize {
    let end = token::list_end(bytes, 0);
    if bytes.get(end) == Some(&b'"') { quoted_end(bytes, end) } else { end }
}

/// The same from a quote on.
fn quoted_end(bytes: &[u8], from: usize) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    bytes.len()
}

impl Head {
    /// Every element of every field with this name, in wire order (fetch `hdr`); no allocation.
    pub fn list_values<'a, 'n>(&'a self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.values(name).flat_map(Elements::of)
    }

    /// The nth element of fields with this name: 1 is the first, -1 the last, as in `hdr(name,n)`. `None` for 0.
    pub fn list_value(&self, name: &[u8], nth: i32) -> Option<&[u8]> {
        if nth > 0 {
            return self.list_values(name).nth(nth as usize - 1);
        }
        let from_end = nth.unsigned_abs() as usize;
        let count = self.list_values(name).count();
        self.list_values(name).nth(count.checked_sub(from_end)?).filter(|_| nth != 0)
    }

    /// The nth whole value, commas and all (fetch `fhdr`), counted like [`Head::list_value`].
    pub fn value(&self, name: &[u8], nth: i32) -> Option<&[u8]> {
        if nth > 0 {
            return self.values(name).nth(nth as usize - 1);
        }
        let count = self.values(name).count();
        self.values(name).nth(count.checked_sub(nth.unsigned_abs() as usize)?).filter(|_| nth != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(value: &str) -> Vec<String> {
        Elements::of(value.as_bytes()).map(|e| String::from_utf8_lossy(e).into_owned()).collect()
    }

    #[test]
    fn commas_in_quotes_do_not_split() {
        assert_eq!(elements("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(elements(r#""a,b", c"#), [r#""a,b""#, "c"]);
        assert_eq!(elements(r#""a\",b",c"#), [r#""a\",b""#, "c"]);
        assert_eq!(elements("a,,b"), ["a", "", "b"]);
        assert_eq!(elements(""), [""]);
        assert_eq!(elements("a,"), ["a", ""]);
    }

    #[test]
    fn counts_from_both_ends_over_all_fields() {
        let mut head = Head::default();
        head.add(b"X", b"1, 2");
        head.add(b"Y", b"no");
        head.add(b"x", b"3");
        let at = |n| head.list_value(b"x", n).map(|v| v.to_vec());
        assert_eq!(at(1), Some(b"1".to_vec()));
        assert_eq!(at(3), Some(b"3".to_vec()));
        assert_eq!(at(4), None);
        assert_eq!(at(-1), Some(b"3".to_vec()));
        assert_eq!(at(-3), Some(b"1".to_vec()));
        assert_eq!(at(-4), None);
        assert_eq!(at(0), None);
        assert_eq!(head.value(b"x", -1), Some(&b"3"[..]));
        assert_eq!(head.value(b"x", -2), Some(&b"1, 2"[..]));
    }
}
