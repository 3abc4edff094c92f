//! The hello of SPOP, by which `option spop-check` asks an agent how it is, and what agents answer.

use super::rule::Told;
use super::status::Status;
use crate::base::varint;

const FROM_US: u8 = 1;
const FROM_AGENT: u8 = 101;
/// The frame is no piece of another one.
const WHOLE: [u8; 4] = [0, 0, 0, 1];
const VERSION: &str = "2.0";
/// The size of a frame that we say we take: that of a buffer without the length.
const FRAME_MAX: u32 = 16_384 - 4;

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut next = || {
        let (first, behind) = rest.split_first()?;
        *rest = behind;
        Some(u64::from(*first))
    };
    let mut value = next()?;
    if value < 240 {
        return Some(value);
    }
    for shift in (4..60).step_by(7) {
        let byte = next()?;
        value = value.checked_add(byte << shift)?;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    varint::put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take_number(rest)?).ok()?;
    let (text, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(text)
}

/// The frame that is sent.
pub(super) fn hello() -> Vec<u8> {
    const NUMBER: u8 = 3;
    const TEXT: u8 = 8;
    const YES: u8 = 0x11;
    let mut frame = vec![FROM_US];
    frame.extend(WHOLE);
    // Neither a stream nor a frame of one.
    frame.extend([0, 0]);
    write_text("supported-versions", &mut frame);
    frame.push(TEXT);
    write_text(VERSION, &mut frame);
    write_text("max-frame-size", &mut frame);
    frame.push(NUMBER);
    varint::put(&mut frame, u64::from(FRAME_MAX));
    write_text("capabilities", &mut frame);
    frame.push(TEXT);
    write_text("", &mut frame);
    write_text("healthcheck", &mut frame);
    frame.push(YES);
    let mut out = (frame.len() as u32).to_be_bytes().to_vec();
    out.extend(frame);
    out
}

/// What an agent answered. The words are those of the protocol's own list of errors.
pub(super) fn read(received: &[u8], more: bool) -> Told {
    let Some((len, rest)) = received.split_first_chunk::<4>() else { return unless_more(more) };
    let len = u32::from_be_bytes(*len);
    if len > FRAME_MAX {
        return failed("frame is too big");
    }
    match rest.get(..len as usize) {
        None => unless_more(more),
        Some(frame) => match accept(frame) {
            Ok(()) => Told::Met,
            Err(why) => failed(why),
        },
    }
}

fn unless_more(more: bool) -> Told {
    if more { Told::Wait } else { failed("invalid frame received") }
}

fn failed(why: &str) -> Told {
    Told::Failed(Status::L7Rsp, None, why.to_owned())
}

fn accept(frame: &[u8]) -> Result<(), &'static str> {
    const INVALID: &str = "invalid frame received";
    let Some((&[kind, a, b, c, d], mut rest)) = frame.split_first_chunk::<5>() else { return Err(INVALID) };
    if kind != FROM_AGENT {
        return Err(INVALID);
    }
    if [a, b, c, d] != WHOLE {
        return Err("fragmentation not supported");
    }
    if take_number(&mut rest) != Some(0) || take_number(&mut rest) != Some(0) {
        return Err(INVALID);
    }
    let (mut version, mut size, mut has_capabilities) = (None, None, false);
    while !rest.is_empty() {
        let name = take_text(&mut rest).ok_or(INVALID)?;
        let (kind, behind) = rest.split_first().ok_or(INVALID)?;
        rest = behind;
        match kind & 0x0f {
            0 | 1 => {}
            2..=5 => {
                let number = take_number(&mut rest).ok_or(INVALID)?;
                size = if name == b"max-frame-size" { Some(number) } else { size };
            }
            6 | 7 => {
                let octets = if kind & 0x0f == 6 { 4 } else { 16 };
                rest = rest.get(octets..).ok_or(INVALID)?;
            }
            8 | 9 => {
                let text = take_text(&mut rest).ok_or(INVALID)?;
                version = if name == b"version" { Some(text) } else { version };
                has_capabilities |= name == b"capabilities";
            }
            _ => return Err(INVALID),
        }
    }
    let version = version.ok_or("version value not found")?;
    if version.trim_ascii() != VERSION.as_bytes() {
        return Err("unsupported version");
    }
    match size {
        None => return Err("max-frame-size value not found"),
        Some(size) if !(256..=u64::from(FRAME_MAX)).contains(&size) => {
            return Err("max-frame-size too big or too small");
        }
        Some(_) => {}
    }
    if has_capabilities { Ok(()) } else { Err("capabilities value not found") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(version: &str, size: u32) -> Vec<u8> {
        let mut frame = vec![FROM_AGENT, 0, 0, 0, 1, 0, 0];
        write_text("version", &mut frame);
        frame.push(8);
        write_text(version, &mut frame);
        write_text("max-frame-size", &mut frame);
        frame.push(3);
        varint::put(&mut frame, u64::from(size));
        write_text("capabilities", &mut frame);
        frame.extend([8, 0]);
        [&(frame.len() as u32).to_be_bytes()[..], &frame].concat()
    }

    fn why(received: &[u8]) -> String {
        match read(received, false) {
            Told::Failed(Status::L7Rsp, None, why) => why,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_hello_is_that_of_haproxy() {
        let hello = hello();
        assert_eq!(hello.len(), 82);
        assert_eq!(&hello[..12], &b"\0\0\0\x4e\x01\0\0\0\x01\0\0\x12"[..]);
        assert!(hello[12..].starts_with(b"supported-versions\x08\x032.0"));
    }

    #[test]
    fn answers_are_read() {
        let good = answer("2.0", 16_380);
        assert_eq!(read(&good, true), Told::Met);
        assert_eq!(read(&good[..20], true), Told::Wait);
        assert_eq!(why(&good[..20]), "invalid frame received");
        assert_eq!(why(b"\0\0\0\0"), "invalid frame received");
        assert_eq!(why(b"\0\0\0\x07\x65\0\0\0\0\0\0"), "fragmentation not supported");
        assert_eq!(why(&answer("1.0", 16_380)), "unsupported version");
        assert_eq!(why(&answer("2.0", 100)), "max-frame-size too big or too small");
        assert_eq!(why(b"\x7f\0\0\0"), "frame is too big");
    }
}
