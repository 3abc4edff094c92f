//! Durations as Go writes them: `10s`, `100ms`, `1h2m3.5s`, `12.500000s`.

use crate::base::clock::{MS, Nanos, SEC};

/// Longest unit first where one is the beginning of another.
const UNITS: [(&str, Nanos); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", MS),
    ("s", SEC),
    ("m", 60 * SEC),
    ("h", 3600 * SEC),
];

/// Nanoseconds; `None` for what is no duration, is negative, or does not fit.
pub fn parse_ns(text: &str) -> Option<Nanos> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: Nanos = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        let scale = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        total = total.checked_add(scaled(number, scale)?)?;
        rest = next;
    }
    Some(total)
}

fn scaled(number: &str, scale: Nanos) -> Option<Nanos> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: Nanos = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.bytes() {
        place /= 10;
        total = total.checked_add(Nanos::from(digit - b'0') * place)?;
    }
    Some(total)
}

/// Milliseconds, rounded up so that what is not zero stays so.
pub fn parse_ms(text: &str) -> Option<u64> {
    parse_ns(text).map(|ns| ns.div_ceil(MS))
}

/// `30s`, `90s`, `1500ms`: whole seconds where they are whole, so that what was given comes back in the common case.
pub fn show_ms(ms: u64) -> String {
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_writes() {
        assert_eq!(parse_ms("10s"), Some(10_000));
        assert_eq!(parse_ms("100ms"), Some(100));
        assert_eq!(parse_ms("1h2m3.5s"), Some(3_723_500));
        assert_eq!(parse_ms("12.500000s"), Some(12_500));
        assert_eq!(parse_ms("1.5h"), Some(5_400_000));
        assert_eq!(parse_ns("7\u{b5}s"), Some(7_000));
        assert_eq!(parse_ms("10ns"), Some(1));
        assert_eq!(parse_ms("0"), Some(0));
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "10", "s", "-1s", "1x", "1..5s", "9999999999999h", "1 s", ".s", "10s5"] {
            assert_eq!(parse_ns(text), None, "{text:?}");
        }
    }

    #[test]
    fn shows_seconds_where_whole() {
        assert_eq!(show_ms(20_000), "20s");
        assert_eq!(show_ms(90_000), "90s");
        assert_eq!(show_ms(1_500), "1500ms");
    }
}
