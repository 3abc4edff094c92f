//! Durations, sizes and numbers as HAProxy writes them (manual 2.5 and 2.6).

use super::diag::Diagnostics;
use super::source::{Span, Word};

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

impl TimeError {
    /// Why `text` is no time or size, for messages that name the keyword by themselves.
    pub fn about(self, text: &str) -> String {
        match self {
            TimeError::Over => format!("'{text}' is too large"),
            TimeError::Unexpected(c) => format!("unexpected character '{c}' in '{text}'"),
            TimeError::Missing => "a number is missing".to_owned(),
        }
    }
}

/// A duration as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// In the unit that was asked for, rounded up.
    pub value: u64,
    /// What follows the unit (`15min` is fifteen minutes): HAProxy overlooks it, with a warning.
    pub odd: Option<char>,
}

impl Time {
    /// The warning about letters behind the unit of `text`.
    pub fn warning(self, text: &str) -> Option<String> {
        let odd = self.odd?;
        Some(format!(
            "unexpected character '{odd}' after the timer value '{text}', only us, ms, s, m, h and d are units. \
             Later versions will not take it."
        ))
    }
}

/// `10`, `10s`, `500us`: a duration. The largest is 2^31 - 1 units.
pub fn time(text: &str, unit: Unit) -> Result<Time, TimeError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = text.split_at(digits);
    let Some(first) = text.chars().next() else { return Err(TimeError::Missing) };
    if digits == 0 {
        return Err(TimeError::Unexpected(first));
    }
    let value: u128 = number.parse().map_err(|_| TimeError::Over)?;
    let unit_us: u128 = if unit == Unit::Seconds { 1_000_000 } else { 1000 };
    let (scale_us, letters) = match suffix.as_bytes() {
        [] => (unit_us, 0),
        [b'u', b's', ..] => (1, 2),
        [b'm', b's', ..] => (1000, 2),
        [b's', ..] => (1_000_000, 1),
        [b'm', ..] => (60_000_000, 1),
        [b'h', ..] => (3_600_000_000, 1),
        [b'd', ..] => (86_400_000_000, 1),
        _ => return Err(TimeError::Unexpected(suffix.chars().next().unwrap_or(' '))),
    };
    let micros = value.checked_mul(scale_us).ok_or(TimeError::Over)?;
    // Rounded up, so that a short but positive time never reads as none.
    let result = micros.div_ceil(unit_us);
    if result >= 1 << 31 {
        return Err(TimeError::Over);
    }
    Ok(Time { value: result as u64, odd: suffix[letters..].chars().next() })
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
    at: Span,
) -> Option<u64> {
    let text = word.map_or("", Word::str);
    let at = word.map_or(at, |w| w.span);
    let (maximum, name) = match unit {
        Unit::Milliseconds => ("2147483647 ms or ~24.8 days", "milliseconds"),
        Unit::Seconds => ("2147483647 s or ~68 years", "seconds"),
    };
    match time(text, unit) {
        Ok(read) => {
            if let Some(message) = read.warning(text) {
                diags.warning(at, message);
            }
            return Some(read.value);
        }
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
            ("10ux", Ms, Err(TimeError::Unexpected('u'))),
            ("1.5s", Ms, Err(TimeError::Unexpected('.'))),
            ("-1", Ms, Err(TimeError::Unexpected('-'))),
            ("", Ms, Err(TimeError::Missing)),
        ] {
            let expected = expected.map(|value| Time { value, odd: None });
            assert_eq!(time(text, unit), expected, "{text}");
        }
    }

    #[test]
    fn letters_behind_a_unit_are_overlooked_with_a_warning() {
        for (text, value, odd) in [
            ("15min", 900_000, 'i'),
            ("10sx", 10_000, 'x'),
            ("10msx", 10, 'x'),
            ("5usé", 1, 'é'),
            ("2hours", 7_200_000, 'o'),
            ("5d3", 432_000_000, '3'),
        ] {
            let read = time(text, Unit::Milliseconds).unwrap();
            assert_eq!(read, Time { value, odd: Some(odd) }, "{text}");
            assert!(
                read.warning(text).is_some_and(|w| w.starts_with(&format!("unexpected character '{odd}'")))
            );
        }
        assert_eq!(time("50dx", Unit::Milliseconds), Err(TimeError::Over));
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
