//! Cookies in `Cookie` and `Set-Cookie` values, cut as HAProxy cuts them (RFC 6265 section 4, quotes of RFC 2109).

use std::ops::Range;

/// A cookie's places in the value of its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub name: Range<usize>,
    pub value: Range<usize>,
    /// With the blanks around it, up to the delimiter.
    pub whole: Range<usize>,
}

/// The cookies of one value. `Set-Cookie` has one; what follows it are attributes.
#[derive(Clone, Debug)]
pub struct Cookies<'a> {
    field: &'a [u8],
    is_list: bool,
    /// Where the next one may begin.
    pub at: usize,
}

impl<'a> Cookies<'a> {
    /// `is_list`: the value of `Cookie`, not of `Set-Cookie`.
    pub fn of(field: &'a [u8], is_list: bool) -> Cookies<'a> {
        Cookies { field, is_list, at: 0 }
    }

    /// From this place of the value on.
    pub fn from(self, at: usize) -> Cookies<'a> {
        Cookies { at, ..self }
    }
}

impl Iterator for Cookies<'_> {
    type Item = Cookie;

    fn next(&mut self) -> Option<Cookie> {
        while self.at < self.field.len() {
            let start = self.at;
            let rest = &self.field[start..];
            let ends = |c: &u8| matches!(c, b'=' | b';') || self.is_list && *c == b',';
            let equals = start + rest.iter().position(ends).unwrap_or(rest.len());
            let name = trimmed(self.field, start..equals);
            if self.field.get(equals) != Some(&b'=') {
                self.at = equals + 1;
                continue;
            }
            let end = value_end(self.field, equals + 1);
            let value = trimmed(self.field, equals + 1..end);
            self.at = end + 1;
            // Names with a dollar are attributes of the cookie before.
            if self.field.get(name.start) == Some(&b'$') {
                continue;
            }
            if !self.is_list {
                self.at = self.field.len();
            }
            return Some(Cookie { name, value, whole: start..end });
        }
        None
    }
}

fn trimmed(field: &[u8], range: Range<usize>) -> Range<usize> {
    let is_blank = |c: &u8| matches!(c, b' ' | b'\t');
    let part = &field[range.clone()];
    let lead = part.iter().take_while(|c| is_blank(c)).count();
    let tail = part[lead..].iter().rev().take_while(|c| is_blank(c)).count();
    range.start + lead..range.end - tail
}

/// The first comma or semicolon outside quotes from `at` on, or the end.
fn value_end(field: &[u8], at: usize) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    let end = field[at..].iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b';' => return !quoted,
            _ => {}
        }
        false
    });
    end.map_or(field.len(), |n| at + n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(field: &str, is_list: bool) -> Vec<(&str, &str)> {
        Cookies::of(field.as_bytes(), is_list).map(|c| (&field[c.name], &field[c.value])).collect()
    }

    #[test]
    fn lists() {
        for (field, expected) in [
            ("a=1; b = 2 ,c=3", &[("a", "1"), ("b", "2"), ("c", "3")][..]),
            ("a=\"x;y\"; b=2", &[("a", "\"x;y\""), ("b", "2")]),
            ("a=\"x\\\";y\"; b=2", &[("a", "\"x\\\";y\""), ("b", "2")]),
            ("a=x\\\"; b=2\"", &[("a", "x\\\"; b=2\"")]),
            ("$Version=1; a=1; $Path=/; b", &[("a", "1")]),
            ("a; b=; c=d=e", &[("b", ""), ("c", "d=e")]),
            ("a=\"open; b=2", &[("a", "\"open; b=2")]),
            ("=x;;a=1", &[("", "x"), ("a", "1")]),
            ("", &[]),
        ] {
            assert_eq!(cookies(field, true), expected, "{field}");
        }
    }

    #[test]
    fn one_of_a_response() {
        for (field, expected) in [
            ("a=1; path=/; b=2", &[("a", "1")][..]),
            ("a,b=\"1;2\"; path=/", &[("a,b", "\"1;2\"")]),
            ("a; b=2", &[("b", "2")]),
            ("a=1,2", &[("a", "1")]),
        ] {
            assert_eq!(cookies(field, false), expected, "{field}");
        }
    }
}
