//! Writing a head as HTTP/1: the bytes that are there already, as few slices as they allow.

use std::io::IoSlice;

use super::head::{BodyLen, Field, FieldKind, Head, Progress, Seen, Slot, Version};
use super::list::Elements;
use super::strict;

/// What the written head says about the connection it goes out on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// All fields as they stand, those of one hop included.
    AsIs,
    /// This is the last message: `connection: close`, which a message of HTTP/1.0 need not say.
    Close,
    /// Another message may follow: `connection: keep-alive` where a message of HTTP/1.0 must say it.
    KeepAlive,
    /// Like `KeepAlive`, said in any version: the answer to a client of HTTP/1.0.
    KeepAliveSaid,
    /// The connection changes its protocol if the other side agrees: only `Connection: upgrade` and `Upgrade`.
    Upgrade,
}

impl Hop {
    /// For a response to a request of this version.
    pub const fn to_client(keep_alive: bool, request: Version) -> Hop {
        match (keep_alive, request) {
            (false, _) => Hop::Close,
            (true, Version::Http10) => Hop::KeepAliveSaid,
            (true, _) => Hop::KeepAlive,
        }
    }
}

/// Fields that are for all recipients, so that no option may name them (RFC 9110 section 7.6.1), and whose loss would
/// hide who asks from those behind the proxy.
fn is_end_to_end(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] =
        [b"authorization", b"cookie", b"cache-control", b"forwarded", b"via", b"x-real-ip"];
    const PREFIX: &[u8] = b"x-forwarded-";
    NAMES.iter().any(|n| n.eq_ignore_ascii_case(name))
        || name.get(..PREFIX.len()).is_some_and(|n| n.eq_ignore_ascii_case(PREFIX))
}

/// The pieces of a head in order, borrowed from it, as a write takes them.
#[derive(Debug, Default)]
pub struct Slices<'a> {
    list: smallvec::SmallVec<[IoSlice<'a>; 16]>,
    bytes: usize,
}

impl<'a> Slices<'a> {
    pub fn new() -> Slices<'a> {
        Slices::default()
    }

    #[inline]
    pub fn push(&mut self, bytes: &'a [u8]) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.list.push(IoSlice::new(bytes));
        }
    }

    pub fn as_slice(&self) -> &[IoSlice<'a>] {
        &self.list
    }

    /// For a write, which shortens the list as it goes.
    pub fn as_mut_slice(&mut self) -> &mut [IoSlice<'a>] {
        &mut self.list
    }

    /// Bytes of all pieces together.
    pub fn len(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// All pieces in one vector.
    pub fn concat(&self) -> Vec<u8> {
        self.list.iter().flat_map(|piece| piece.iter().copied()).collect()
    }
}

/// Lines that touch in their arena leave as one slice.
struct Run<'h, 'o, 'a> {
    head: &'h Head,
    out: &'o mut Slices<'a>,
    run: Slot,
}

impl<'a> Run<'a, '_, 'a> {
    #[inline]
    fn line(&mut self, line: Slot) {
        match self.run.joined(line) {
            Some(longer) => self.run = longer,
            None => {
                self.flush();
                self.run = line;
            }
        }
    }

    #[inline]
    fn flush(&mut self) {
        self.out.push(self.head.bytes(std::mem::take(&mut self.run)));
    }

    fn bytes(&mut self, bytes: &'a [u8]) {
        self.flush();
        self.out.push(bytes);
    }

    fn field(&mut self, field: &Field) {
        if field.line.is_empty() {
            self.bytes(self.head.bytes(field.name));
            self.out.push(b": ");
            self.out.push(self.head.bytes(field.value));
            self.out.push(b"\r\n");
        } else {
            self.line(field.line);
        }
    }

    /// `name: a,b`, or nothing when there is nothing to say.
    fn list(&mut self, name: &'a [u8], elements: impl Iterator<Item = &'a [u8]>) {
        let mut lead = name;
        for element in elements {
            self.bytes(lead);
            self.out.push(element);
            lead = b",";
        }
        if lead.len() != name.len() {
            self.out.push(b"\r\n");
        }
    }
}

impl Head {
    /// Writes the head as a list of slices; see [`Hop`] for what becomes of the fields of one hop (RFC 9110
    /// section 7.6.1). A head that nothing was done to is one slice, the bytes as received.
    pub fn slices<'a>(&'a self, hop: Hop, out: &mut Slices<'a>) {
        match self.as_received(hop, 0) {
            Some(whole) => out.push(whole),
            None => self.write_pieces(hop, out),
        }
    }

    /// The head as it was received with `more` bytes of what followed it, if that is how it goes on.
    #[inline]
    pub fn as_received(&self, hop: Hop, more: usize) -> Option<&[u8]> {
        let untouched =
            self.is_untouched() && !self.seen.contains(Seen::HOP) && self.connection_line(hop).is_none();
        if !untouched {
            return None;
        }
        let start = self.start_line.start();
        debug_assert_eq!(self.buf.written().get(start..self.len), Some(&self.pieces(hop).concat()[..]));
        self.buf.written().get(start..self.len + more)
    }

    /// Every line goes on as it was received, and nothing stands between them.
    fn is_untouched(&self) -> bool {
        let Progress { ragged, lines, .. } = self.progress;
        // Whatever is added is stored in `edits`, whatever is removed is missing in `fields`.
        self.edits.is_empty()
            && !ragged
            && lines == self.fields.len()
            && !self.start_line.is_empty()
            && !self.last_line.is_empty()
            && !self.seen.contains(Seen::FRAMING_EDITED)
    }

    /// What [`Head::slices`] comes to without its short way.
    fn pieces(&self, hop: Hop) -> Slices<'_> {
        let mut out = Slices::new();
        self.write_pieces(hop, &mut out);
        out
    }

    fn write_pieces<'a>(&'a self, hop: Hop, out: &mut Slices<'a>) {
        let mut run = Run { head: self, out, run: Slot::default() };
        self.write_start_line(&mut run);
        let filtered = hop != Hop::AsIs && self.seen.contains(Seen::HOP);
        let reframed = self.seen.contains(Seen::FRAMING_EDITED)
            && match self.body {
                BodyLen::None => false,
                BodyLen::Length(_) => !self.length_slot.is_empty(),
                BodyLen::Chunked | BodyLen::UntilClose | BodyLen::Tunnel => true,
            };
        if filtered || reframed {
            for field in &self.fields {
                self.write_field(&mut run, field, filtered, reframed);
            }
        } else {
            for field in &self.fields {
                run.field(field);
            }
        }
        if let Some(line) = self.connection_line(hop) {
            run.bytes(line);
        }
        if reframed {
            self.write_framing(&mut run);
        }
        if self.last_line.is_empty() {
            run.bytes(b"\r\n");
        } else {
            run.line(self.last_line);
            run.flush();
        }
    }

    /// The line that says how the connection goes on, if it must be said. HAProxy: a message keeps its version, and
    /// only what the version does not imply is said.
    fn connection_line(&self, hop: Hop) -> Option<&'static [u8]> {
        let implied_keep = self.version >= Version::Http11 || self.is_modernised();
        match hop {
            Hop::AsIs | Hop::Upgrade => None,
            // An upgrade leaves both open: what is said about it stands.
            _ if self.upgrade => None,
            _ if self.is_response && self.status < 200 => None,
            Hop::Close => implied_keep.then_some(b"connection: close\r\n"),
            // HTTP/1.0 has no chunks: who sends them there closes (RFC 9112 section 6.1).
            Hop::KeepAlive if !implied_keep && self.body == BodyLen::Chunked => None,
            Hop::KeepAlive => (!implied_keep).then_some(b"connection: keep-alive\r\n"),
            Hop::KeepAliveSaid => Some(b"connection: keep-alive\r\n"),
        }
    }

    /// HTTP/1.0 has no chunks: a message that has them all the same goes on as one of HTTP/1.1, which the next hop reads
    /// in one way only (RFC 9112 section 6.1).
    fn is_modernised(&self) -> bool {
        self.version == Version::Http10 && self.body == BodyLen::Chunked && self.start_line.is_empty()
    }

    fn write_start_line<'a>(&'a self, run: &mut Run<'a, '_, 'a>) {
        if !self.start_line.is_empty() {
            return run.line(self.start_line);
        }
        let version: &[u8] = if self.seen.contains(Seen::FOREIGN) {
            self.bytes(self.version_slot)
        } else if self.version == Version::Http10 && !self.is_modernised() {
            b"HTTP/1.0"
        } else {
            b"HTTP/1.1"
        };
        if self.is_response {
            let reason = match self.bytes(self.reason) {
                b"" => super::status::reason_phrase(self.status).as_bytes(),
                reason => reason,
            };
            run.bytes(version);
            run.bytes(super::status::code_between_spaces(self.status));
            run.bytes(reason);
        } else {
            run.bytes(self.method_bytes());
            run.bytes(b" ");
            run.bytes(self.target_bytes());
            run.bytes(b" ");
            run.bytes(version);
        }
        run.bytes(b"\r\n");
    }

    fn write_field<'a>(&'a self, run: &mut Run<'a, '_, 'a>, field: &Field, filtered: bool, reframed: bool) {
        match field.kind {
            FieldKind::ContentLength | FieldKind::TransferEncoding if reframed => {}
            FieldKind::Connection if filtered => self.write_connection(run, field),
            FieldKind::KeepAlive | FieldKind::ProxyConnection if filtered => {}
            FieldKind::Upgrade if filtered => self.write_upgrade(run, field),
            FieldKind::Te if filtered => self.write_te(run, field),
            FieldKind::Other if filtered && self.is_named_by_connection(field) => {}
            _ => run.field(field),
        }
    }

    /// Of the options that came in, only those are passed on whose field is passed on as well.
    fn passes_option(&self, option: &[u8]) -> bool {
        (self.upgrade && option.eq_ignore_ascii_case(b"upgrade"))
            || (option.eq_ignore_ascii_case(b"te") && self.values(b"te").any(strict::accepts_trailers))
    }

    fn write_connection<'a>(&'a self, run: &mut Run<'a, '_, 'a>, field: &Field) {
        if !self.seen.intersects(Seen::UPGRADE_OPTION | Seen::TE_OPTION) {
            return;
        }
        let value = self.bytes(field.value);
        if Elements::of(value).all(|o| self.passes_option(o)) {
            return run.field(field);
        }
        run.list(b"connection: ", Elements::of(value).filter(|o| self.passes_option(o)));
    }

    fn write_upgrade<'a>(&'a self, run: &mut Run<'a, '_, 'a>, field: &Field) {
        let value = self.bytes(field.value);
        if !self.upgrade {
            return;
        }
        if !self.seen.contains(Seen::UPGRADE_H2) {
            return run.field(field);
        }
        let passed = |p: &&[u8]| !p.is_empty() && !strict::is_h2_protocol(p);
        run.list(b"upgrade: ", Elements::of(value).filter(passed));
    }

    fn write_te<'a>(&'a self, run: &mut Run<'a, '_, 'a>, field: &Field) {
        let value = self.bytes(field.value);
        if value.eq_ignore_ascii_case(b"trailers") {
            run.field(field);
        } else if strict::accepts_trailers(value) {
            run.bytes(b"te: trailers\r\n");
        }
    }

    /// A received field that `Connection` names was meant for this hop. What the proxy added stays: a client must not
    /// be able to take `X-Forwarded-For` out of a request by naming it.
    pub(super) fn is_named_by_connection(&self, field: &Field) -> bool {
        if !self.seen.contains(Seen::OTHER_OPTION) || !field.name.is_raw() {
            return false;
        }
        let name = self.bytes(field.name);
        if is_end_to_end(name) {
            return false;
        }
        let mut options = self.fields.iter().filter(|f| f.kind == FieldKind::Connection && f.value.is_raw());
        options.any(|f| Elements::of(self.bytes(f.value)).any(|o| o.eq_ignore_ascii_case(name)))
    }

    fn write_framing<'a>(&'a self, run: &mut Run<'a, '_, 'a>) {
        match self.body {
            BodyLen::Length(_) => {
                run.bytes(b"content-length: ");
                run.bytes(self.bytes(self.length_slot));
                run.bytes(b"\r\n");
            }
            BodyLen::Chunked => run.bytes(b"transfer-encoding: chunked\r\n"),
            BodyLen::None | BodyLen::UntilClose | BodyLen::Tunnel => {}
        }
    }

    /// Changes how the body is delimited, for a body that the proxy converts: fields that say otherwise go, the one
    /// that says it is written last.
    pub fn set_body(&mut self, body: BodyLen) {
        self.body = body;
        self.fields.retain(|f| !matches!(f.kind, FieldKind::ContentLength | FieldKind::TransferEncoding));
        self.own_framing();
    }

    /// From here on the writer says how the body is delimited, whatever the fields say.
    pub(super) fn own_framing(&mut self) {
        self.seen |= Seen::FRAMING_EDITED;
        if let BodyLen::Length(length) = self.body {
            let mut digits = itoa::Buffer::new();
            self.length_slot = self.store(digits.format(length).as_bytes());
        }
    }
}
