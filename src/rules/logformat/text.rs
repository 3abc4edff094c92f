//! How values are written: quotes, escapes, `#XX` and `%XX` codes, hexadecimal.

use std::io::Write;

use crate::rules::cast::write_ipv4;
use crate::rules::txn::Endpoint;

use super::field::Flags;

/// Bytes written as `#XX`: in captured headers, and in URIs.
const fn map(extra: &[u8]) -> [bool; 256] {
    let mut map = [false; 256];
    let mut i = 0;
    while i < 256 {
        map[i] = i < 32 || i > 126;
        i += 1;
    }
    let mut i = 0;
    while i < extra.len() {
        map[extra[i] as usize] = true;
        i += 1;
    }
    map
}

const HDR: [bool; 256] = map(b"\"#{|}");
const URL: [bool; 256] = map(b"\"#");

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

fn push_code(escape: u8, byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[escape, DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Runs of plain bytes are copied whole.
fn coded(text: &[u8], escape: u8, is_coded: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| is_coded(*b)) {
        out.extend_from_slice(&rest[..at]);
        push_code(escape, rest[at], out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// `"`, `\` and `]` get a backslash (RFC 5424 section 6.3.3).
fn escaped(text: &[u8], out: &mut Vec<u8>) {
    for b in text {
        if matches!(b, b'"' | b'\\' | b']') {
            out.push(b'\\');
        }
        out.push(*b);
    }
}

fn with_quotes(flags: Flags, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if flags.contains(Flags::QUOTE) {
        out.push(b'"');
    }
    write(out);
    if flags.contains(Flags::QUOTE) {
        out.push(b'"');
    }
}

/// A plain string; `-` for an empty one where something must stand.
pub fn plain(text: &[u8], flags: Flags, out: &mut Vec<u8>) {
    if text.is_empty() && flags & (Flags::QUOTE | Flags::MANDATORY) == Flags::MANDATORY {
        out.push(b'-');
        return;
    }
    with_quotes(flags, out, |out| {
        if flags.contains(Flags::ESCAPE) { escaped(text, out) } else { out.extend_from_slice(text) }
    });
}

/// Part of a captured header, without quotes.
pub fn header_part(text: &[u8], flags: Flags, out: &mut Vec<u8>) {
    if flags.contains(Flags::ESCAPE) {
        escaped(text, out);
    } else {
        coded(text, b'#', |b| HDR[usize::from(b)], out);
    }
}

/// A request line or part of one.
pub fn uri(text: &[u8], flags: Flags, out: &mut Vec<u8>) {
    with_quotes(flags, out, |out| {
        if flags.contains(Flags::ESCAPE) {
            escaped(text, out);
        } else {
            coded(text, b'#', |b| URL[usize::from(b)], out);
        }
    });
}

/// The value of an expression in a header's value: what a field cannot carry becomes `%XX`.
pub fn http_value(text: &[u8], flags: Flags, out: &mut Vec<u8>) {
    if flags.contains(Flags::ESCAPE) {
        escaped(text, out);
    } else {
        coded(text, b'%', |b| b < 32 && b != b'\t' || b == 127, out);
    }
}

/// Several quoted things in a row.
pub fn quoted(flags: Flags, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    with_quotes(flags, out, write);
}

/// A number: never in quotes.
pub fn int(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A number that `%{+X}` writes in hexadecimal, at least `width` digits.
pub fn int_or_hex(value: u64, width: usize, flags: Flags, out: &mut Vec<u8>) {
    if flags.contains(Flags::HEX) {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{value:0width$X}");
    } else {
        int(value as i64, out);
    }
}

/// An address; `unix` for a socket without one.
pub fn address(end: Endpoint, flags: Flags, out: &mut Vec<u8>) {
    match end {
        Endpoint::None => plain(b"", flags, out),
        Endpoint::Unix => plain(b"unix", flags, out),
        Endpoint::Inet(addr) if flags.contains(Flags::HEX) => {
            let _ = match addr.ip() {
                std::net::IpAddr::V4(a) => write!(out, "{:08X}", u32::from(a)),
                std::net::IpAddr::V6(a) => write!(out, "{:032X}", u128::from(a)),
            };
        }
        Endpoint::Inet(addr) => with_quotes(flags, out, |out| match addr.ip() {
            std::net::IpAddr::V4(a) => write_ipv4(a, out),
            std::net::IpAddr::V6(a) => {
                let _ = write!(out, "{a}");
            }
        }),
    }
}

/// A port; for a UNIX socket the number of the bind line.
pub fn port(end: Endpoint, listener_id: u32, flags: Flags, out: &mut Vec<u8>) {
    match end {
        Endpoint::None => plain(b"", flags, out),
        Endpoint::Unix => int(i64::from(listener_id), out),
        Endpoint::Inet(addr) => int_or_hex(u64::from(addr.port()), 4, flags, out),
    }
}
