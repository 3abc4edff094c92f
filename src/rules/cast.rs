//! Automatic changes of type between a fetch, its converters and what finally reads the sample.

use std::borrow::Cow;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::sample::{Sample, SampleType};

/// Whether a sample of one type may be used as another (manual section 7.3.1); `Any` and `Addr` are decided at run time.
pub fn can_cast(from: SampleType, to: SampleType) -> bool {
    use SampleType::*;
    match (from, to) {
        (_, Any) | (Any, _) => true,
        (a, b) if a == b => true,
        (Bool, Int | Str | Bin) | (Int, Bool | Addr | Ipv4 | Ipv6 | Str | Bin) => true,
        (Addr, Ipv4 | Ipv6 | Str | Bin) => true,
        (Ipv4, Int | Addr | Ipv6 | Str | Bin) | (Ipv6, Addr | Ipv4 | Str | Bin) => true,
        (Str, _) => true,
        (Bin, Str | Method) | (Method, Str | Bin) => true,
        _ => false,
    }
}

/// The sample as another type; `None` when this value has no such form.
pub fn cast(sample: Sample<'_>, to: SampleType) -> Option<Sample<'_>> {
    use SampleType as T;
    if to == T::Any || to == sample.kind() {
        return Some(sample);
    }
    Some(match (to, sample) {
        (T::Bool, Sample::Int(i)) => Sample::Bool(i != 0),
        (T::Bool, Sample::Str(s)) => Sample::Bool(str_to_int(&s)? != 0),
        (T::Int, Sample::Bool(b)) => Sample::Int(i64::from(b)),
        (T::Int, Sample::Ipv4(a)) => Sample::Int(i64::from(u32::from(a))),
        (T::Int, Sample::Str(s)) => Sample::Int(str_to_int(&s)?),
        (T::Addr, s @ (Sample::Ipv4(_) | Sample::Ipv6(_))) => s,
        (T::Addr, Sample::Str(s)) => str_to_addr(&s)?,
        (T::Addr | T::Ipv4, Sample::Int(i)) => Sample::Ipv4(Ipv4Addr::from(i as u32)),
        (T::Ipv4, Sample::Ipv6(a)) => Sample::Ipv4(v6_to_v4(a)?),
        (T::Ipv4, Sample::Str(s)) => Sample::Ipv4(parse_text(&s)?),
        (T::Ipv6, Sample::Ipv4(a)) => Sample::Ipv6(a.to_ipv6_mapped()),
        (T::Ipv6, Sample::Int(i)) => Sample::Ipv6(Ipv4Addr::from(i as u32).to_ipv6_mapped()),
        (T::Ipv6, Sample::Str(s)) => match str_to_addr(&s)? {
            Sample::Ipv4(a) => Sample::Ipv6(a.to_ipv6_mapped()),
            s => s,
        },
        (T::Str, Sample::Bin(b)) => Sample::Str(until_nul(b)),
        (T::Str, s) => Sample::Str(text(s)),
        (T::Bin, Sample::Bool(b)) => Sample::Bin(Cow::Owned(i64::from(b).to_be_bytes().to_vec())),
        (T::Bin, Sample::Int(i)) => Sample::Bin(Cow::Owned(i.to_be_bytes().to_vec())),
        (T::Bin, Sample::Ipv4(a)) => Sample::Bin(Cow::Owned(a.octets().to_vec())),
        (T::Bin, Sample::Ipv6(a)) => Sample::Bin(Cow::Owned(a.octets().to_vec())),
        (T::Bin, Sample::Str(s) | Sample::Bin(s) | Sample::Method(s)) => Sample::Bin(s),
        (T::Method, Sample::Str(s) | Sample::Bin(s) | Sample::Method(s)) => Sample::Method(s),
        _ => return None,
    })
}

/// The text of a sample, as logs and headers show it.
pub fn text(sample: Sample<'_>) -> Cow<'_, [u8]> {
    match sample {
        Sample::Str(s) | Sample::Bin(s) | Sample::Method(s) => s,
        other => {
            let mut out = Vec::with_capacity(24);
            write_text(&other, &mut out);
            Cow::Owned(out)
        }
    }
}

/// The text of a sample that is kept.
pub fn to_bytes<'a>(sample: &'a Sample<'_>) -> Cow<'a, [u8]> {
    text(sample.borrow())
}

/// Appends the text of a sample.
pub fn write_text(sample: &Sample<'_>, out: &mut Vec<u8>) {
    match sample {
        Sample::Str(s) | Sample::Bin(s) | Sample::Method(s) => out.extend_from_slice(s),
        Sample::Bool(b) => out.push(b'0' + u8::from(*b)),
        Sample::Int(i) => out.extend_from_slice(itoa::Buffer::new().format(*i).as_bytes()),
        Sample::Ipv4(a) => write_ipv4(*a, out),
        Sample::Ipv6(a) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{a}");
        }
    }
}

/// Appends `a.b.c.d`.
pub fn write_ipv4(addr: Ipv4Addr, out: &mut Vec<u8>) {
    let mut text = [b'.'; 16];
    let mut at = 0;
    for octet in addr.octets() {
        if octet >= 100 {
            text[at] = b'0' + octet / 100;
            at += 1;
        }
        if octet >= 10 {
            text[at] = b'0' + octet / 10 % 10;
            at += 1;
        }
        text[at] = b'0' + octet % 10;
        at += 2;
        text[at - 1] = b'.';
    }
    out.extend_from_slice(&text[..at - 1]);
}

fn until_nul(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match memchr::memchr(0, &bytes) {
        None => bytes,
        Some(end) => match bytes {
            Cow::Borrowed(b) => Cow::Borrowed(&b[..end]),
            Cow::Owned(mut b) => {
                b.truncate(end);
                Cow::Owned(b)
            }
        },
    }
}

/// The number that a string begins with (0 if none); `None` for an empty string.
pub fn str_to_int(text: &[u8]) -> Option<i64> {
    (!text.is_empty()).then(|| leading_int(text).0)
}

/// The number at the beginning of `text`, saturating, and how many bytes it took.
pub fn leading_int(text: &[u8]) -> (i64, usize) {
    let (negative, start) = match text.first() {
        Some(b'-') => (true, 1),
        _ => (false, 0),
    };
    let mut value = 0i64;
    let mut at = start;
    while let Some(c @ b'0'..=b'9') = text.get(at) {
        let digit = i64::from(c - b'0');
        value = value.saturating_mul(10);
        value = if negative { value.saturating_sub(digit) } else { value.saturating_add(digit) };
        at += 1;
    }
    (value, at)
}

fn parse_text<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn str_to_addr(text: &[u8]) -> Option<Sample<'static>> {
    let text = text.strip_prefix(b"[").and_then(|t| t.strip_suffix(b"]")).unwrap_or(text);
    match parse_text::<std::net::IpAddr>(text)? {
        std::net::IpAddr::V4(a) => Some(Sample::Ipv4(a)),
        std::net::IpAddr::V6(a) => Some(Sample::Ipv6(a)),
    }
}

/// The IPv4 address inside an IPv6 one: `::ffff:a.b.c.d`, `::a.b.c.d` or 6to4 `2002:aabb:ccdd::` (manual section 7.1.6).
pub fn v6_to_v4(addr: Ipv6Addr) -> Option<Ipv4Addr> {
    let o = addr.octets();
    let tail = Ipv4Addr::new(o[12], o[13], o[14], o[15]);
    if o[..10] == [0; 10] && (o[10..12] == [0xff, 0xff] || o[10..12] == [0, 0]) {
        return Some(tail);
    }
    (o[..2] == [0x20, 0x02]).then(|| Ipv4Addr::new(o[2], o[3], o[4], o[5]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_shown() {
        let octets = [0, 1, 9, 10, 11, 99, 100, 101, 127, 199, 200, 255];
        for a in octets {
            for b in octets {
                let addr = Ipv4Addr::new(a, b, b, a);
                let mut out = b"<".to_vec();
                write_ipv4(addr, &mut out);
                assert_eq!(String::from_utf8_lossy(&out), format!("<{addr}"));
            }
        }
    }

    fn str(s: &str) -> Sample<'_> {
        Sample::Str(Cow::Borrowed(s.as_bytes()))
    }

    #[test]
    fn casts_keep_the_value() {
        for (from, to, expected) in [
            (Sample::Int(42), SampleType::Str, str("42")),
            (Sample::Bool(true), SampleType::Str, str("1")),
            (str("12abc"), SampleType::Int, Sample::Int(12)),
            (str("-7"), SampleType::Int, Sample::Int(-7)),
            (str("99999999999999999999"), SampleType::Int, Sample::Int(i64::MAX)),
            (Sample::Ipv4(Ipv4Addr::new(10, 0, 200, 3)), SampleType::Str, str("10.0.200.3")),
            (Sample::Ipv4(Ipv4Addr::LOCALHOST), SampleType::Int, Sample::Int(0x7f00_0001)),
            (str("::1"), SampleType::Addr, Sample::Ipv6(Ipv6Addr::LOCALHOST)),
            (str("1.2.3.4"), SampleType::Addr, Sample::Ipv4(Ipv4Addr::new(1, 2, 3, 4))),
            (Sample::Bin(Cow::Borrowed(b"ab\0c")), SampleType::Str, str("ab")),
        ] {
            assert_eq!(cast(from.clone(), to), Some(expected), "{from:?} to {to:?}");
        }
        assert_eq!(cast(str(""), SampleType::Int), None);
        assert_eq!(cast(str("x"), SampleType::Addr), None);
    }

    #[test]
    fn what_may_be_cast_is_what_the_manual_says() {
        use SampleType::*;
        assert!(can_cast(Ipv4, Int) && !can_cast(Ipv6, Int));
        assert!(!can_cast(Bool, Addr) && !can_cast(Bin, Int));
        assert!(can_cast(Method, Str) && !can_cast(Method, Int));
    }

    #[test]
    fn embedded_addresses() {
        for text in ["::ffff:1.2.3.4", "::1.2.3.4", "2002:102:304::"] {
            assert_eq!(v6_to_v4(text.parse().unwrap()), Some(Ipv4Addr::new(1, 2, 3, 4)), "{text}");
        }
        assert_eq!(v6_to_v4("2001:db8::1".parse().unwrap()), None);
    }
}
