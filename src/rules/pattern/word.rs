//! Words between delimiters: `-m dir` and `-m dom` (manual section 7.1.3).

use crate::http::token;

pub const DIR: &[u8] = b"/?";
pub const DOM: &[u8] = b"/?.:";

/// Equal, with ASCII case ignored if asked for.
pub fn same(a: &[u8], b: &[u8], ignore_case: bool) -> bool {
    if ignore_case { token::same(a, b) } else { a == b }
}

/// Whether `pattern`, without delimiters around it, stands between delimiters somewhere in `text`.
pub fn contains(text: &[u8], pattern: &[u8], delimiters: &[u8], ignore_case: bool) -> bool {
    let is_delimiter = |c: &u8| delimiters.contains(c);
    let start = pattern.iter().position(|c| !is_delimiter(c)).unwrap_or(pattern.len());
    let end = pattern.iter().rposition(|c| !is_delimiter(c)).map_or(start, |n| n + 1);
    let word = &pattern[start..end];
    if word.is_empty() || word.len() > text.len() {
        return false;
    }
    (0..=text.len() - word.len()).any(|at| {
        let after = at + word.len();
        (at == 0 || is_delimiter(&text[at - 1]))
            && text.get(after).is_none_or(is_delimiter)
            && same(&text[at..after], word, ignore_case)
    })
}

/// Whether `needle` is somewhere in `text`, with ASCII case ignored.
pub fn contains_ignoring_case(text: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let Some(last) = text.len().checked_sub(needle.len()) else { return false };
    let first = first.to_ascii_lowercase();
    (0..=last).any(|at| {
        text[at].to_ascii_lowercase() == first && token::same(&text[at + 1..=at + rest.len()], rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_s_examples() {
        let path = b"/images/png/logo/32x32.png";
        for pattern in ["/images", "/images/png", "images/png", "/png/logo", "logo/32x32.png", "32x32.png"] {
            assert!(contains(path, pattern.as_bytes(), DIR, false), "{pattern}");
        }
        assert!(contains(path, b"png", DIR, false), "a directory of its own");
        assert!(!contains(path, b"32x32", DIR, false));
        let url = b"http://www1.dc-eu.example.com:80/blah";
        for pattern in [
            "http",
            "www1",
            ".www1",
            "dc-eu",
            "example",
            "com",
            "80",
            "dc-eu.example",
            "blah",
            ":www1:",
            "dc-eu.example.com:80",
        ] {
            assert!(contains(url, pattern.as_bytes(), DOM, false), "{pattern}");
        }
        assert!(!contains(url, b"eu", DOM, false) && !contains(url, b"dc", DOM, false));
        assert!(contains(url, b"EXAMPLE", DOM, true) && !contains(url, b"EXAMPLE", DOM, false));
        assert!(contains_ignoring_case(b"aBc", b"bC") && !contains_ignoring_case(b"a", b"ab"));
    }
}
