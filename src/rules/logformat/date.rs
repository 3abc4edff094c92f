//! Dates as logs write them. Each thread keeps the text of the last second it wrote.

use std::cell::RefCell;
use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::base::clock;

/// `26/Apr/2024:09:39:58` and ` +0200` of one second.
struct Second {
    second: u64,
    text: [u8; 20],
    zone: [u8; 6],
}

const NEVER: Second = Second { second: u64::MAX, text: [0; 20], zone: [0; 6] };

thread_local! {
    static LOCAL: RefCell<Second> = const { RefCell::new(NEVER) };
    static UTC: RefCell<Second> = const { RefCell::new(NEVER) };
}

fn compute(second: u64, zone: TimeZone) -> Second {
    let stamp = i64::try_from(second).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or_default();
    let date = stamp.to_zoned(zone);
    let mut found = NEVER;
    found.second = second;
    // The widths are those of the arrays for every year of four digits; a longer one is cut.
    let mut text = &mut found.text[..];
    let _ = write!(text, "{}", date.strftime("%d/%b/%Y:%H:%M:%S"));
    let mut zone = &mut found.zone[..];
    let _ = write!(zone, " {}", date.strftime("%z"));
    found
}

fn with(us: u64, local: bool, write: impl FnOnce(&Second)) {
    let second = us / 1_000_000;
    let cache = if local { &LOCAL } else { &UTC };
    cache.with_borrow_mut(|cached| {
        if cached.second != second {
            *cached = compute(second, if local { clock::zone() } else { TimeZone::UTC });
        }
        write(cached);
    });
}

/// `26/Apr/2024:09:39:58.774` in local time.
pub fn with_millis(us: u64, out: &mut Vec<u8>) {
    with(us, true, |second| out.extend_from_slice(&second.text));
    out.push(b'.');
    millis(us, out);
}

/// `26/Apr/2024:09:39:58 +0200`.
pub fn with_zone(us: u64, local: bool, out: &mut Vec<u8>) {
    with(us, local, |second| {
        out.extend_from_slice(&second.text);
        out.extend_from_slice(&second.zone);
    });
}

/// Three digits.
pub fn millis(us: u64, out: &mut Vec<u8>) {
    let ms = us / 1000 % 1000;
    out.extend([ms / 100, ms / 10 % 10, ms % 10].map(|d| b'0' + d as u8));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_common_log_format() {
        let mut out = Vec::new();
        with_zone(1_714_117_271_774_000, false, &mut out);
        assert_eq!(out, b"26/Apr/2024:07:41:11 +0000");
        out.clear();
        with_millis(5_006_000, &mut out);
        assert!(out.ends_with(b":05.006"), "{}", String::from_utf8_lossy(&out));
    }
}
