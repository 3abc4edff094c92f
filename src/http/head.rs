//! `Head`: one byte arena and references into it in wire order, whatever the version on the wire.
//!
//! The arena is the read buffer itself: a head is parsed where it was received, and body bytes that followed it stay
//! behind it. Edits are appended to a second, small arena and only the list of references changes, so that HTTP/1 can
//! write the untouched runs straight from the read buffer.

use crate::base::Buf;

/// Bytes of one of the two arenas: the top bit of `at` tells which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    pub(super) at: u32,
    pub(super) len: u32,
}

pub(super) const EDIT: u32 = 1 << 31;

impl Slot {
    pub const fn raw(at: usize, len: usize) -> Slot {
        Slot { at: at as u32, len: len as u32 }
    }

    pub const fn len(self) -> usize {
        self.len as usize
    }

    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Lies in the read buffer, untouched.
    pub const fn is_raw(self) -> bool {
        self.at & EDIT == 0
    }

    pub const fn start(self) -> usize {
        (self.at & !EDIT) as usize
    }

    pub const fn end(self) -> usize {
        self.start() + self.len as usize
    }

    /// Both as one, if the other begins where this one ends.
    pub(super) const fn joined(self, next: Slot) -> Option<Slot> {
        if self.at + self.len == next.at {
            Some(Slot { at: self.at, len: self.len + next.len })
        } else {
            None
        }
    }
}

/// One header field: name, value and the whole line (`name: value CRLF`), as received or as stored by [`Head::add`].
/// `line` is empty when the line must be written anew from name and value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Field {
    pub name: Slot,
    pub value: Slot,
    pub line: Slot,
    pub kind: FieldKind,
}

/// Fields that the proxy itself understands: those of framing and of one hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldKind {
    #[default]
    Other,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    Te,
    Upgrade,
    Expect,
}

impl FieldKind {
    /// The kind of a field by its name, a token.
    #[inline(always)]
    pub fn of(name: &[u8]) -> FieldKind {
        use super::token::is_name;
        let (is_it, kind) = match name.len() {
            2 => (is_name(name, b"te"), FieldKind::Te),
            4 => (is_name(name, b"host"), FieldKind::Host),
            6 => (is_name(name, b"expect"), FieldKind::Expect),
            7 => (is_name(name, b"upgrade"), FieldKind::Upgrade),
            10 if is_name(name, b"keep-alive") => (true, FieldKind::KeepAlive),
            10 => (is_name(name, b"connection"), FieldKind::Connection),
            14 => (is_name(name, b"content-length"), FieldKind::ContentLength),
            16 => (is_name(name, b"proxy-connection"), FieldKind::ProxyConnection),
            17 => (is_name(name, b"transfer-encoding"), FieldKind::TransferEncoding),
            _ => return FieldKind::Other,
        };
        if is_it { kind } else { FieldKind::Other }
    }
}

bitflags::bitflags! {
    /// What the fields of a head said, gathered while they are parsed or added so that no second pass is needed.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Seen: u32 {
        /// A field of one hop: Connection, Keep-Alive, Proxy-Connection, TE or Upgrade.
        const HOP = 1;
        /// Options of `Connection`.
        const CLOSE = 1 << 1;
        const KEEP_ALIVE = 1 << 2;
        const UPGRADE_OPTION = 1 << 3;
        const TE_OPTION = 1 << 4;
        /// An option that names a field we do not know.
        const OTHER_OPTION = 1 << 5;
        /// `Upgrade` names a protocol that may be passed on.
        const UPGRADE = 1 << 6;
        /// `Upgrade` names HTTP/2, which is never passed on (RFC 9113 dropped it).
        const UPGRADE_H2 = 1 << 7;
        const WEBSOCKET = 1 << 8;
        const HOST = 1 << 9;
        const CONTENT_LENGTH = 1 << 10;
        const TRANSFER_ENCODING = 1 << 11;
        const CHUNKED = 1 << 12;
        const CODING = 1 << 13;
        const EXPECT = 1 << 14;
        /// Content-Length or Transfer-Encoding were added or removed after the parse.
        const FRAMING_EDITED = 1 << 15;
        /// A rule wrote `Connection: close`.
        const CLOSE_EDITED = 1 << 17;
        /// Not HTTP by its version; let through by `accept-unsafe-violations`.
        const FOREIGN = 1 << 16;
        /// Came by HTTP/2 with `:authority`, which goes before its path wherever the whole target is told.
        const AUTHORITY = 1 << 18;
        /// Came by HTTP/2 with the scheme `https`.
        const HTTPS = 1 << 19;
    }
}

impl Seen {
    pub(super) const CONNECTION: Seen = Seen::CLOSE
        .union(Seen::KEEP_ALIVE)
        .union(Seen::UPGRADE_OPTION)
        .union(Seen::TE_OPTION)
        .union(Seen::OTHER_OPTION)
        .union(Seen::CLOSE_EDITED);
    pub(super) const UPGRADES: Seen = Seen::UPGRADE.union(Seen::UPGRADE_H2).union(Seen::WEBSOCKET);
}

/// How far the parse of an unfinished head went; positions in `buf.written()`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// `buf.start()` when the parse began: if the caller moves the bytes, the parse begins anew.
    pub(super) origin: usize,
    /// Start of the first line that is not parsed.
    pub(super) line: usize,
    /// No line feed between `line` and here.
    pub(super) scanned: usize,
    pub(super) begun: bool,
    /// Start of the first line behind the start line.
    pub(super) fields: usize,
    pub(super) start_line_done: bool,
    /// Some line does not go on as it came, or not at all.
    pub(super) ragged: bool,
    /// Lines behind the start line, once the head is complete.
    pub(super) lines: usize,
}

/// Methods that matter to the proxy; any other token is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    #[default]
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum Version {
    Http10,
    #[default]
    Http11,
    Http2,
}

/// How the body of a message is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BodyLen {
    #[default]
    None,
    Length(u64),
    Chunked,
    /// A response that ends with its connection.
    UntilClose,
    /// What follows is no message any more: CONNECT or an accepted Upgrade.
    Tunnel,
}

/// A request or response head. `Default` owns no memory.
#[derive(Debug, Default)]
pub struct Head {
    /// Read buffer: head bytes, then whatever followed them.
    pub buf: Buf,
    pub(super) edits: Vec<u8>,
    /// In wire order.
    pub fields: Vec<Field>,
    pub is_response: bool,
    pub version: Version,
    /// As received, before the proxy answers in its own version.
    pub method: Method,
    pub method_slot: Slot,
    pub target: Slot,
    pub status: u16,
    pub reason: Slot,
    /// The start line as received with its CRLF; empty once edited.
    pub start_line: Slot,
    /// Where the head ends in `buf.written()`, with the empty line: what follows is body. 0 before it is complete.
    pub len: usize,
    pub(super) complete: bool,
    /// Changed through [`Head::set_body`] once the head is parsed.
    pub body: BodyLen,
    /// What the peer said: the connection may carry another message after this one.
    pub keep_alive: bool,
    /// `Upgrade` together with `Connection: upgrade`.
    pub upgrade: bool,
    /// `Expect: 100-continue` on an HTTP/1.1 request.
    pub expect_continue: bool,
    pub(super) version_slot: Slot,
    /// The CRLF behind the last field; empty when it must be written anew.
    pub(super) last_line: Slot,
    pub(super) content_length: u64,
    /// The digits of a length that the proxy writes itself.
    pub(super) length_slot: Slot,
    pub(super) seen: Seen,
    pub(super) progress: Progress,
}

impl Head {
    /// Whether all of the head is there: received, or made by the proxy.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What was received behind the head.
    pub fn rest(&self) -> &[u8] {
        self.buf.written().get(self.len..).unwrap_or_default()
    }

    /// A new message in this buffer.
    pub fn with(buf: Buf) -> Head {
        Head { buf, ..Head::default() }
    }

    pub fn bytes(&self, slot: Slot) -> &[u8] {
        let arena = if slot.is_raw() { self.buf.written() } else { &self.edits[..] };
        arena.get(slot.start()..slot.end()).unwrap_or_default()
    }

    /// Copies bytes into the edit arena.
    pub fn store(&mut self, bytes: &[u8]) -> Slot {
        let at = self.edits.len() as u32 | EDIT;
        self.edits.extend_from_slice(bytes);
        Slot { at, len: bytes.len() as u32 }
    }

    pub fn method_bytes(&self) -> &[u8] {
        self.bytes(self.method_slot)
    }

    /// The request target as it will be sent.
    pub fn target_bytes(&self) -> &[u8] {
        self.bytes(self.target)
    }

    /// Name and value of every field in wire order.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|f| (self.bytes(f.name), self.bytes(f.value)))
    }

    #[inline]
    pub(super) fn is_named(&self, field: &Field, name: &[u8]) -> bool {
        field.name.len() == name.len() && super::token::same(self.bytes(field.name), name)
    }

    /// Value of the first field with this name.
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields.iter().find(|f| self.is_named(f, name)).map(|f| self.bytes(f.value))
    }

    /// Values of all fields with this name, in wire order.
    pub fn values<'a, 'n>(&'a self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields.iter().filter(move |f| self.is_named(f, name)).map(|f| self.bytes(f.value))
    }
}
