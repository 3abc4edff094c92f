//! Durations, sizes and numbers as HAProxy writes them (manual 2.5 and 2.6).

use crate::lang::{Diagnostics, Word};

/// The unit of a number without one, which is also the unit of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Milliseconds,
    Seconds,
}

/// Why a duration or size does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeError {
    /// 2^31 units or more.
    Over,
    Unexpected(char),
    Missing,
}

/// `10`, `10s`, `500us`: a duration in `unit`, rounded up. The largest is 2^31 - 1 units.
pub fn time(text: &str, unit: Unit) -> Result<u64, TimeError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = text.split_at(digits);
    let Some(first) = text.chars().next() else { return Err(TimeError::Missing) };
    if digits == 0 {
        return Err(TimeError::Unexpected(first));
    }
    let value: u128 = number.parse().map_err(|_| TimeError::Over)?;
    let unit_us: u128 = if unit == Unit::Seconds { 1_000_000 } else { 1000 };
    let scale_us = match suffix {
        "" => unit_us,
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(TimeError::Unexpected(odd_char(suffix))),
    };
    let micros = value.checked_mul(scale_us).ok_or(TimeError::Over)?;
    // Rounded up, so that a short but positive time never reads as none.
    let result = micros.div_ceil(unit_us);
    if result >= 1 << 31 { Err(TimeError::Over) } else { Ok(result as u64) }
}

/// The character of a wrong suffix that is to blame.
fn odd_char(suffix: &str) -> char {
    let skip = match suffix.as_bytes() {
        [b'm', b's', ..] | [b'u', b's', ..] => 2,
        [b'm' | b's' | b'h' | b'd', ..] => 1,
        _ => 0,
    };
    suffix.chars().nth(skip).or(suffix.chars().next()).unwrap_or(' ')
}

/// `64k`, `1m`, `2g`: bytes.
pub fn size(text: &str) -> Result<u64, TimeError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = text.split_at(digits);
    let Some(first) = text.chars().next() else { return Err(TimeError::Missing) };
    if digits == 0 {
        return Err(TimeError::Unexpected(first));
    }
    let value: u64 = number.parse().map_err(|_| TimeError::Over)?;
    let shift = match suffix {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return Err(TimeError::Unexpected(suffix.chars().last().unwrap_or(' '))),
    };
    value.checked_mul(1 << shift).filter(|v| *v <= u64::from(u32::MAX) * 1024).ok_or(TimeError::Over)
}

/// Reads a duration of `what` (`'timeout client'`) from `word`, or reports why it cannot.
pub fn time_of(
    diags: &mut Diagnostics,
    word: Option<&Word>,
    what: &str,
    unit: Unit,
    at: crate::lang::Span,
) -> Option<u64> {
    let text = word.map_or("", Word::str);
    let at = word.map_or(at, |w| w.span);
    let (maximum, name) = match unit {
        Unit::Milliseconds => ("2147483647 ms or ~24.8 days", "milliseconds"),
        Unit::Seconds => ("2147483647 s or ~68 years", "seconds"),
    };
    match time(text, unit) {
        Ok(value) => return Some(value),
        Err(TimeError::Over) => diags
            .alert(at, format!("timer overflow in argument '{text}' to {what} (maximum value is {maximum})")),
        Err(TimeError::Unexpected(c)) => diags.alert(at, format!("unexpected character '{c}' in {what}")),
        Err(TimeError::Missing) => {
            diags.alert(at, format!("{what} expects an integer value (in {name})"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        use Unit::{Milliseconds as Ms, Seconds as S};
        for (text, unit, expected) in [
            ("10", Ms, Ok(10)),
            ("10", S, Ok(10)),
            ("10s", Ms, Ok(10_000)),
            ("5m", S, Ok(300)),
            ("1d", Ms, Ok(86_400_000)),
            ("1500us", Ms, Ok(2)),
            ("1us", Ms, Ok(1)),
            ("0", Ms, Ok(0)),
            ("1ms", S, Ok(1)),
            ("24d", Ms, Ok(2_073_600_000)),
            ("25d", Ms, Err(TimeError::Over)),
            ("99999999999999999999999999999999999999999", Ms, Err(TimeError::Over)),
            ("10x", Ms, Err(TimeError::Unexpected('x'))),
            ("10sx", Ms, Err(TimeError::Unexpected('x'))),
            ("1.5s", Ms, Err(TimeError::Unexpected('.'))),
            ("-1", Ms, Err(TimeError::Unexpected('-'))),
            ("", Ms, Err(TimeError::Missing)),
        ] {
            assert_eq!(time(text, unit), expected, "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("16384"), Ok(16384));
        assert_eq!(size("64k"), Ok(65536));
        assert_eq!(size("1M"), Ok(1 << 20));
        assert_eq!(size("1kb"), Err(TimeError::Unexpected('b')));
        assert_eq!(size("k"), Err(TimeError::Unexpected('k')));
    }
}
