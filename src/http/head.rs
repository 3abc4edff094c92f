//! `Head`: one byte arena and references into it in wire order, whatever the version on the wire.
//!
//! The arena is the read buffer itself: a head is parsed where it was received, and body bytes that followed it stay
//! behind it. Edits are appended to a second, small arena and only the list of references changes, so that HTTP/1 can
//! write the untouched runs straight from the read buffer.

use crate::base::Buf;

/// Bytes of one of the two arenas: the top bit of `at` tells which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    at: u32,
    len: u32,
}

const EDIT: u32 = 1 << 31;

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
}

/// One header field: name, value and the whole line (`name: value CRLF`) as received; `line` is empty for an
/// added or changed field.
#[derive(Clone, Copy, Debug, Default)]
pub struct Field {
    pub name: Slot,
    pub value: Slot,
    pub line: Slot,
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
    edits: Vec<u8>,
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
    /// Bytes of the head in `buf`, with the empty line; 0 before it is complete.
    pub len: usize,
    pub body: BodyLen,
    /// What the peer said: the connection may carry another message after this one.
    pub keep_alive: bool,
    /// `Upgrade` together with `Connection: upgrade`.
    pub upgrade: bool,
    /// `Expect: 100-continue` on an HTTP/1.1 request.
    pub expect_continue: bool,
}

impl Head {
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

    fn is_named(&self, field: &Field, name: &[u8]) -> bool {
        field.name.len() == name.len() && self.bytes(field.name).eq_ignore_ascii_case(name)
    }

    /// Value of the first field with this name.
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields.iter().find(|f| self.is_named(f, name)).map(|f| self.bytes(f.value))
    }

    /// Values of all fields with this name, in wire order.
    pub fn values<'a, 'n>(&'a self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields.iter().filter(move |f| self.is_named(f, name)).map(|f| self.bytes(f.value))
    }

    /// Appends a field behind the last one.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let field = Field { name: self.store(name), value: self.store(value), line: Slot::default() };
        self.fields.push(field);
    }

    /// Removes every field with this name; tells how many there were.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        let before = self.fields.len();
        let (buf, edits) = (self.buf.written(), &self.edits);
        self.fields.retain(|f| {
            let arena = if f.name.is_raw() { buf } else { &edits[..] };
            !arena.get(f.name.start()..f.name.end()).is_some_and(|n| n.eq_ignore_ascii_case(name))
        });
        before - self.fields.len()
    }

    /// Removes every field with this name and appends one with the new value (`set-header`).
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    pub fn set_target(&mut self, target: &[u8]) {
        self.target = self.store(target);
        self.start_line = Slot::default();
    }

    pub fn set_method(&mut self, method: &[u8]) {
        self.method_slot = self.store(method);
        self.start_line = Slot::default();
    }

    pub fn set_status(&mut self, status: u16, reason: &[u8]) {
        self.status = status;
        self.reason = self.store(reason);
        self.start_line = Slot::default();
    }
}
