//! Numbers and ranges: `5`, `1:10`, `1:`, `:10`.

use crate::rules::cast::leading_int;

/// An inclusive range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub min: i64,
    pub max: i64,
}

impl Range {
    pub fn contains(self, n: i64) -> bool {
        self.min <= n && n <= self.max
    }

    pub fn parse(text: &[u8]) -> Result<Range, String> {
        let bad =
            || format!("'{}' is neither a number nor a supported operator", String::from_utf8_lossy(text));
        let number = |part: &[u8]| match leading_int(part) {
            // Behind an operator the end of flags is a pattern, and HAProxy reads it as nothing.
            _ if part == b"--" => Ok(0),
            (n, len) if len == part.len() && len > 0 && part != b"-" => Ok(n),
            _ => Err(bad()),
        };
        let range = match memchr::memchr(b':', text) {
            None => {
                let n = number(text)?;
                Range { min: n, max: n }
            }
            Some(at) => {
                let (low, high) = (&text[..at], &text[at + 1..]);
                let min = if low.is_empty() { i64::MIN } else { number(low)? };
                let max = if high.is_empty() { i64::MAX } else { number(high)? };
                Range { min, max }
            }
        };
        if range.min > range.max {
            return Err(format!("invalid range '{}'", String::from_utf8_lossy(text)));
        }
        Ok(range)
    }
}

/// `eq`, `ge`, `gt`, `le`, `lt` before integer patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Operator {
    #[default]
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
}

impl Operator {
    pub fn parse(word: &str) -> Option<Operator> {
        Some(match word {
            "eq" => Operator::Eq,
            "ge" => Operator::Ge,
            "gt" => Operator::Gt,
            "le" => Operator::Le,
            "lt" => Operator::Lt,
            _ => return None,
        })
    }

    /// The pattern that `<operator> <text>` stands for. Ranges, negative numbers and versions (`1.1`) stay as they are
    /// unless they are plain numbers.
    pub fn apply(self, text: &[u8]) -> Vec<u8> {
        let (n, len) = leading_int(text);
        if self == Operator::Eq || len != text.len() || len == 0 {
            return text.to_vec();
        }
        match self {
            Operator::Eq => text.to_vec(),
            Operator::Ge => format!("{n}:").into_bytes(),
            Operator::Gt => format!("{}:", n.saturating_add(1)).into_bytes(),
            Operator::Le => format!(":{n}").into_bytes(),
            Operator::Lt => format!(":{}", n.saturating_sub(1)).into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_operators() {
        for (text, inside, outside) in
            [("5", 5, 6), ("1:3", 3, 4), ("1024:", 70_000, 1023), (":9", -5, 10), ("-5:-1", -3, 0)]
        {
            let range = Range::parse(text.as_bytes()).unwrap();
            assert!(range.contains(inside) && !range.contains(outside), "{text}");
        }
        for bad in ["", "x", "1:x", "3:1", "-"] {
            assert!(Range::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(Operator::Gt.apply(b"4"), b"5:");
        assert_eq!(Operator::Lt.apply(b"0"), b":-1");
        assert_eq!(Operator::Ge.apply(b"1:2"), b"1:2");
    }
}
