//! Frames (RFC 9113 sections 4.1 and 6): their head, and the short ones written whole.

use super::error::Code;

/// What a client sends first (section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Payload of the largest frame that we take, and that everyone takes (section 4.2).
pub const MAX_FRAME: usize = 16_384;

/// Bytes of a frame's head.
pub(super) const HEAD: usize = 9;

/// The largest window (section 6.9.1), and the largest stream identifier.
pub(super) const LARGEST: u32 = (1 << 31) - 1;

/// Types of frames.
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Flags of frames; one bit may have two names.
pub(super) mod flag {
    pub(crate) const ACK: u8 = 1;
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;
    pub(crate) const PADDED: u8 = 8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// Bytes of the payload.
    pub len: usize,
    pub kind: u8,
    pub flags: u8,
    /// 0 is the connection.
    pub stream: u32,
}

impl FrameHead {
    pub(super) fn read(b: &[u8; HEAD]) -> FrameHead {
        FrameHead {
            len: u32::from_be_bytes([0, b[0], b[1], b[2]]) as usize,
            kind: b[3],
            flags: b[4],
            stream: u32::from_be_bytes([b[5], b[6], b[7], b[8]]) & LARGEST,
        }
    }

    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends the head of a frame.
pub(super) fn head(len: usize, kind: u8, flags: u8, stream: u32, out: &mut Vec<u8>) {
    let [_, a, b, c] = (len as u32).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags, d, e, f, g]);
}

/// Fills in the payload's length of the frame whose head begins at `at`, and its flags.
pub(super) fn finish(at: usize, flags: u8, out: &mut [u8]) {
    let len = out.len().saturating_sub(at + HEAD) as u32;
    if let Some(head) = out.get_mut(at..at + HEAD) {
        head[..3].copy_from_slice(&len.to_be_bytes()[1..]);
        head[4] = flags;
    }
}

pub(super) fn rst_stream(stream: u32, code: Code, out: &mut Vec<u8>) {
    head(4, kind::RST_STREAM, 0, stream, out);
    out.extend_from_slice(&code.0.to_be_bytes());
}

pub(super) fn goaway(last: u32, code: Code, out: &mut Vec<u8>) {
    head(8, kind::GOAWAY, 0, 0, out);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
}

pub(super) fn window_update(stream: u32, increment: u32, out: &mut Vec<u8>) {
    head(4, kind::WINDOW_UPDATE, 0, stream, out);
    out.extend_from_slice(&increment.to_be_bytes());
}

pub(super) fn ping(flags: u8, opaque: &[u8], out: &mut Vec<u8>) {
    head(opaque.len(), kind::PING, flags, 0, out);
    out.extend_from_slice(opaque);
}

pub(super) fn settings(list: &[(u16, u32)], out: &mut Vec<u8>) {
    head(list.len() * 6, kind::SETTINGS, 0, 0, out);
    for (id, value) in list {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// A payload without its padding (section 6.1): an octet says how long that is. The error is the connection's.
pub(super) fn unpadded(head: FrameHead, payload: &[u8]) -> Result<&[u8], Code> {
    if !head.has(flag::PADDED) {
        return Ok(payload);
    }
    let (pad, rest) = payload.split_first().ok_or(Code::FRAME_SIZE)?;
    let len = rest.len().checked_sub(usize::from(*pad)).ok_or(Code::PROTOCOL)?;
    Ok(&rest[..len])
}
