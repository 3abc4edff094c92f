//! Messages: a class, a type, and for types from 128 on a length and so many octets.

use super::varint::{self, Taken};

/// Most octets of a length: HAProxy reads no more.
const MOST_OF_LENGTH: usize = 5;
/// Longest content of a message.
pub const MOST: usize = 16_384;

pub const CONTROL: u8 = 0;
pub const ERROR: u8 = 1;
pub const TABLE: u8 = 10;
/// The class that must not come.
pub const RESERVED: u8 = 255;

/// Types of control messages.
pub mod control {
    pub const RESYNC_REQUEST: u8 = 0;
    pub const RESYNC_FINISHED: u8 = 1;
    pub const RESYNC_PARTIAL: u8 = 2;
    pub const RESYNC_CONFIRM: u8 = 3;
    pub const HEARTBEAT: u8 = 4;
}

/// Types of messages about tables.
pub mod table {
    pub const UPDATE: u8 = 0x80;
    pub const INCREMENTAL: u8 = 0x81;
    pub const DEFINE: u8 = 0x82;
    pub const SWITCH: u8 = 0x83;
    pub const ACK: u8 = 0x84;
    pub const TIMED_UPDATE: u8 = 0x85;
    pub const TIMED_INCREMENTAL: u8 = 0x86;
}

/// What ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What came is no message, or not all of one.
    Protocol,
    /// A message is too long.
    Size,
}

impl Fault {
    /// What the other side is told.
    pub fn message(self) -> [u8; 2] {
        [ERROR, self as u8]
    }
}

/// A message where it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub class: u8,
    pub kind: u8,
    pub content: &'a [u8],
    /// Octets that it takes in all.
    pub len: usize,
}

/// The message at the beginning; `None`: it is not all there.
pub fn read(bytes: &[u8]) -> Result<Option<Message<'_>>, Fault> {
    let (&class, &kind) = match bytes {
        [RESERVED, ..] => return Err(Fault::Protocol),
        [class, kind, ..] => (class, kind),
        _ => return Ok(None),
    };
    let rest = &bytes[2..];
    if kind < 128 {
        return Ok(Some(Message { class, kind, content: &[], len: 2 }));
    }
    match varint::take(rest) {
        Taken::Short if rest.len() < MOST_OF_LENGTH => Ok(None),
        Taken::Short | Taken::Long => Err(Fault::Protocol),
        Taken::Whole(_, before) if before > MOST_OF_LENGTH => Err(Fault::Protocol),
        Taken::Whole(len, _) if len > MOST as u64 => Err(Fault::Size),
        Taken::Whole(len, before) => {
            let end = before + len as usize;
            let content = rest.get(before..end);
            Ok(content.map(|content| Message { class, kind, content, len: 2 + end }))
        }
    }
}

/// Appends a message with a content.
pub fn put(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    out.extend([TABLE, kind]);
    varint::put(out, content.len() as u64);
    out.extend(content);
}
