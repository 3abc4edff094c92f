//! Fields to a head (RFC 9113 sections 8.2 and 8.3): what may stand in a message, and its layout in the arena, which is
//! that of HTTP/1 (`GET /path HTTP/1.1`, then `name: value` lines), so that an HTTP/1 connection sends it as one slice.

use super::super::head::{BodyLen, Field, FieldKind, Head, Method, Progress, Seen, Slot, Version};
use super::super::{status, strict, token, uri};
use super::connection::Options;
use super::stream::Is;
use crate::base::Buf;
use crate::base::buf::HEAD_SIZE;

/// What the fields make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `key`: what the key of a WebSocket's handshake is derived from.
    Request {
        key: u64,
    },
    /// To a request with HEAD or CONNECT.
    Response {
        to_head: bool,
        to_connect: bool,
    },
    Trailers,
}

/// Why fields make no message that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Against the rules: the stream is reset.
    Malformed,
    /// Understood, and refused with this status.
    Status(u16),
}

bitflags::bitflags! {
    /// Pseudo-header fields that came.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Pseudo: u8 {
        const METHOD = 1;
        const SCHEME = 1 << 1;
        const AUTHORITY = 1 << 2;
        const PATH = 1 << 3;
        const PROTOCOL = 1 << 4;
        const STATUS = 1 << 5;
    }
}

/// A head in the making. Pseudo-header fields wait in its edit arena until the first other field, then crumbs of
/// cookies until the end; nothing of either stays there.
pub(super) struct Assembly<'a> {
    head: &'a mut Head,
    shape: Shape,
    max_fields: usize,
    max_head: usize,
    pseudo: Pseudo,
    method: Slot,
    scheme: Slot,
    authority: Slot,
    path: Slot,
    protocol: Slot,
    /// The start line is written.
    begun: bool,
    /// What the stream has to know of the request.
    is: Is,
    fault: Option<Fault>,
    /// The peer's fields, but for `Host`.
    lines: usize,
    has_crumbs: bool,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(head: &'a mut Head, shape: Shape, o: &Options) -> Assembly<'a> {
        head.reset();
        head.buf.clear();
        if head.buf.capacity() < HEAD_SIZE {
            head.buf = Buf::take(HEAD_SIZE);
        }
        head.version = Version::Http2;
        head.is_response = matches!(shape, Shape::Response { .. });
        Assembly {
            head,
            shape,
            max_fields: o.max_fields,
            max_head: o.max_head,
            pseudo: Pseudo::empty(),
            method: Slot::default(),
            scheme: Slot::default(),
            authority: Slot::default(),
            path: Slot::default(),
            protocol: Slot::default(),
            begun: shape == Shape::Trailers,
            is: Is::empty(),
            fault: None,
            lines: 0,
            has_crumbs: false,
        }
    }

    fn refuse(&mut self, fault: Fault) {
        // What is malformed is not answered, whatever else is wrong with it.
        if self.fault.is_none() || fault == Fault::Malformed {
            self.fault = Some(fault);
        }
    }

    /// The next field of the block.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        if let [b':', rest @ ..] = name {
            return self.pseudo(rest, value);
        }
        let is_sound = !name.is_empty()
            && token::token_end(name, 0) == name.len()
            && !name.iter().any(u8::is_ascii_uppercase)
            && token::value_end(value, 0) == value.len();
        if !is_sound {
            return self.refuse(Fault::Malformed);
        }
        self.begin();
        self.regular(name, token::trim(value));
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) {
        let is_request = matches!(self.shape, Shape::Request { .. });
        let which = match name {
            b"method" if is_request => Pseudo::METHOD,
            b"scheme" if is_request => Pseudo::SCHEME,
            b"authority" if is_request => Pseudo::AUTHORITY,
            b"path" if is_request => Pseudo::PATH,
            b"protocol" if is_request => Pseudo::PROTOCOL,
            b"status" if self.head.is_response => Pseudo::STATUS,
            _ => return self.refuse(Fault::Malformed),
        };
        if self.begun || self.pseudo.contains(which) || token::value_end(value, 0) != value.len() {
            return self.refuse(Fault::Malformed);
        }
        self.pseudo |= which;
        if self.head.edits.len() + value.len() > self.max_head {
            return self.refuse(Fault::Status(431));
        }
        let slot = self.head.store(value);
        match which {
            Pseudo::SCHEME => self.scheme = slot,
            Pseudo::AUTHORITY => self.authority = slot,
            Pseudo::PATH => self.path = slot,
            Pseudo::PROTOCOL => self.protocol = slot,
            _ => self.method = slot,
        }
    }

    /// Writes the start line, once all pseudo-header fields are there.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) || self.fault.is_some() {
            return;
        }
        let pseudo = std::mem::take(&mut self.head.edits);
        let begun =
            if self.head.is_response { self.status_line(&pseudo) } else { self.request_line(&pseudo) };
        self.head.edits = pseudo;
        self.head.edits.clear();
        if let Err(fault) = begun {
            self.refuse(fault);
        }
    }

    fn request_line(&mut self, pseudo: &[u8]) -> Result<(), Fault> {
        let text = |slot: Slot| pseudo.get(slot.start()..slot.end()).unwrap_or_default();
        let (mut method, scheme, authority) = (text(self.method), text(self.scheme), text(self.authority));
        let path = text(self.path);
        let all = Pseudo::METHOD | Pseudo::SCHEME | Pseudo::PATH;
        let is_connect = method == b"CONNECT";
        let is_extended = self.pseudo.contains(Pseudo::PROTOCOL);
        if is_connect && !is_extended {
            if self.pseudo != Pseudo::METHOD | Pseudo::AUTHORITY {
                return Err(Fault::Malformed);
            }
        } else if !self.pseudo.contains(all)
            || (is_extended && !(is_connect && self.pseudo.contains(Pseudo::AUTHORITY)))
            || method.is_empty()
            || scheme.is_empty()
            || !is_path(method, path)
        {
            return Err(Fault::Malformed);
        }
        if self.pseudo.contains(Pseudo::AUTHORITY) && !uri::is_authority(authority) {
            return Err(Fault::Malformed);
        }
        if token::token_end(method, 0) != method.len() || (!is_connect && !is_scheme(scheme)) {
            return Err(Fault::Status(400));
        }
        if is_extended {
            if !text(self.protocol).eq_ignore_ascii_case(b"websocket") {
                return Err(Fault::Status(501));
            }
            self.is |= Is::WEBSOCKET;
            method = b"GET";
        }
        self.head.method = Method::of(method);
        let (name, port) = uri::host_and_port(authority);
        if self.head.method == Method::Connect {
            if port.is_none_or(<[u8]>::is_empty) {
                return Err(Fault::Status(400));
            }
            self.is |= Is::CONNECT;
            self.start_line(method, &[authority])?;
        } else if scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https") {
            self.start_line(method, &[path])?;
        } else {
            self.start_line(method, &[scheme, b"://", authority, path])?;
        }
        self.head.seen.set(Seen::HTTPS, scheme.eq_ignore_ascii_case(b"https"));
        if !authority.is_empty() {
            self.head.seen |= Seen::AUTHORITY;
            let implied = port.is_some_and(|p| uri::is_default_port(scheme, p));
            self.head.seen |= Seen::HOST;
            self.line(b"host", if implied { name } else { authority }, FieldKind::Host)?;
        }
        Ok(())
    }

    fn start_line(&mut self, method: &[u8], target: &[&[u8]]) -> Result<(), Fault> {
        let at = self.head.buf.written().len();
        self.put(method)?;
        self.put(b" ")?;
        let target_at = self.head.buf.written().len();
        for part in target {
            self.put(part)?;
        }
        let end = self.head.buf.written().len();
        self.put(b" HTTP/1.1\r\n")?;
        self.head.method_slot = Slot::raw(at, method.len());
        self.head.target = Slot::raw(target_at, end - target_at);
        self.head.start_line = Slot::raw(at, self.head.buf.written().len() - at);
        Ok(())
    }

    fn status_line(&mut self, pseudo: &[u8]) -> Result<(), Fault> {
        let &[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = pseudo else {
            return Err(Fault::Malformed);
        };
        let digit = |d: u8| u16::from(d - b'0');
        let code = digit(a) * 100 + digit(b) * 10 + digit(c);
        if code == 101 {
            // Section 8.6: there is no such thing here.
            return Err(Fault::Malformed);
        }
        self.head.status = code;
        let at = self.head.buf.written().len();
        self.put(b"HTTP/1.1 ")?;
        self.put(pseudo)?;
        self.put(b" ")?;
        let reason = status::reason_phrase(code).as_bytes();
        let reason_at = self.head.buf.written().len();
        self.put(reason)?;
        self.put(b"\r\n")?;
        self.head.reason = Slot::raw(reason_at, reason.len());
        self.head.start_line = Slot::raw(at, self.head.buf.written().len() - at);
        Ok(())
    }

    fn regular(&mut self, name: &[u8], value: &[u8]) {
        let kind = FieldKind::of(name);
        let done = match kind {
            FieldKind::Connection
            | FieldKind::KeepAlive
            | FieldKind::ProxyConnection
            | FieldKind::TransferEncoding
            | FieldKind::Upgrade => Err(Fault::Malformed),
            _ if self.shape == Shape::Trailers => self.trailer(name, value, kind),
            FieldKind::Te if !value.eq_ignore_ascii_case(b"trailers") => Err(Fault::Malformed),
            FieldKind::Te => {
                self.head.seen |= Seen::HOP;
                self.line(name, value, kind)
            }
            FieldKind::Host if !self.head.is_response => self.host(value),
            FieldKind::ContentLength => self.content_length(value),
            FieldKind::Expect if !self.head.is_response => {
                self.head.expect_continue = value.eq_ignore_ascii_case(b"100-continue");
                self.line(name, value, kind)
            }
            // It was for the one hop that upgraded (RFC 7540 section 3.2.1).
            FieldKind::Other if name == b"http2-settings" => Ok(()),
            FieldKind::Other if name == b"cookie" && !self.head.is_response => self.crumb(value),
            _ => self.line(name, value, kind),
        };
        if let Err(fault) = done {
            self.refuse(fault);
        }
    }

    /// RFC 9110 section 6.5.1: fields of framing and routing have no business behind the body.
    fn trailer(&mut self, name: &[u8], value: &[u8], kind: FieldKind) -> Result<(), Fault> {
        match kind {
            FieldKind::Other => self.line(name, value, kind),
            _ => Err(Fault::Malformed),
        }
    }

    /// `:authority` is what is passed on. Beside it `Host` is not looked at, as HAProxy does it: there is one reading of
    /// the request, whatever it says (section 8.3.1).
    fn host(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.pseudo.contains(Pseudo::AUTHORITY) || self.fault.is_some() {
            return Ok(());
        }
        if self.head.seen.contains(Seen::HOST) {
            return Err(Fault::Malformed);
        }
        if value.is_empty() || !uri::is_authority(value) {
            return Err(Fault::Status(400));
        }
        self.head.seen |= Seen::HOST;
        self.line(b"host", value, FieldKind::Host)
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if value.contains(&b',') {
            return Err(Fault::Malformed);
        }
        let (length, digits) = strict::content_length(value).ok_or(Fault::Malformed)?;
        if self.head.seen.contains(Seen::CONTENT_LENGTH) {
            return if length == self.head.content_length { Ok(()) } else { Err(Fault::Malformed) };
        }
        self.head.seen |= Seen::CONTENT_LENGTH;
        self.head.content_length = length;
        self.line(b"content-length", &value[digits], FieldKind::ContentLength)
    }

    /// A client may send its cookies in pieces (section 8.2.3): they go on as one field.
    fn crumb(&mut self, value: &[u8]) -> Result<(), Fault> {
        let edits = &mut self.head.edits;
        if edits.len() + value.len() + 2 > self.max_head {
            return Err(Fault::Status(431));
        }
        if std::mem::replace(&mut self.has_crumbs, true) {
            edits.extend_from_slice(b"; ");
        }
        edits.extend_from_slice(value);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.head.buf.written().len() + bytes.len() > self.max_head {
            return Err(Fault::Status(431));
        }
        self.head.buf.push(bytes);
        Ok(())
    }

    /// Appends a field as a line.
    fn line(&mut self, name: &[u8], value: &[u8], kind: FieldKind) -> Result<(), Fault> {
        if self.fault.is_some() {
            return Ok(());
        }
        if self.lines == self.max_fields {
            return Err(Fault::Status(431));
        }
        let len = name.len() + value.len() + 4;
        let buf = &mut self.head.buf;
        let at = buf.written().len();
        if at + len > self.max_head {
            return Err(Fault::Status(431));
        }
        for part in [name, b": ", value, b"\r\n"] {
            buf.push(part);
        }
        let field = Field {
            name: Slot::raw(at, name.len()),
            value: Slot::raw(at + name.len() + 2, value.len()),
            line: Slot::raw(at, len),
            kind,
        };
        self.head.fields.push(field);
        if kind != FieldKind::Host {
            self.lines += 1;
        }
        Ok(())
    }

    /// The block is over. Tells what the stream has to know.
    pub(super) fn finish(mut self, end: bool) -> Result<Is, Fault> {
        self.begin();
        if self.fault.is_none()
            && let Err(fault) = self.complete(end)
        {
            self.refuse(fault);
        }
        self.head.edits.clear();
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.is),
        }
    }

    fn complete(&mut self, end: bool) -> Result<(), Fault> {
        let has_length = self.head.seen.contains(Seen::CONTENT_LENGTH);
        self.head.body = match self.shape {
            Shape::Trailers => BodyLen::None,
            Shape::Request { .. } => self.request_body(end, has_length)?,
            Shape::Response { to_head, to_connect } => {
                self.response_body(end, has_length, to_head, to_connect)?
            }
        };
        // Lines of our own are not the peer's: they count for no limit.
        (self.lines, self.max_head) = (0, self.head.buf.capacity());
        if self.has_crumbs {
            let crumbs = std::mem::take(&mut self.head.edits);
            let done = self.line(b"cookie", &crumbs, FieldKind::Other);
            self.head.edits = crumbs;
            done?;
        }
        if let (true, Shape::Request { key }) = (self.is.contains(Is::WEBSOCKET), self.shape) {
            self.shake_hands(key)?;
        }
        if self.head.body == BodyLen::Chunked {
            self.head.seen |= Seen::TRANSFER_ENCODING | Seen::CHUNKED;
            self.line(b"transfer-encoding", b"chunked", FieldKind::TransferEncoding)?;
        }
        let at = self.head.buf.written().len();
        self.put(b"\r\n")?;
        let head = &mut *self.head;
        head.last_line = Slot::raw(at, 2);
        head.len = at + 2;
        head.complete = true;
        head.keep_alive = true;
        head.progress =
            Progress { begun: true, start_line_done: true, lines: head.fields.len(), ..Progress::default() };
        Ok(())
    }

    fn request_body(&mut self, end: bool, has_length: bool) -> Result<BodyLen, Fault> {
        // One that says nothing of it goes on without a name, as HAProxy passes it on.
        if self.pseudo.contains(Pseudo::AUTHORITY) && !self.head.seen.contains(Seen::HOST) {
            return Err(Fault::Status(400));
        }
        if self.is.intersects(Is::WEBSOCKET | Is::CONNECT) {
            return if has_length { Err(Fault::Malformed) } else { Ok(BodyLen::None) };
        }
        match (end, has_length) {
            (true, true) if self.head.content_length > 0 => Err(Fault::Malformed),
            (_, true) => Ok(BodyLen::Length(self.head.content_length)),
            (true, false) => Ok(BodyLen::None),
            (false, false) => Ok(BodyLen::Chunked),
        }
    }

    fn response_body(
        &mut self,
        end: bool,
        has_length: bool,
        to_head: bool,
        to_connect: bool,
    ) -> Result<BodyLen, Fault> {
        let code = self.head.status;
        let length = self.head.content_length;
        Ok(match () {
            () if to_connect && (200..300).contains(&code) => BodyLen::Tunnel,
            () if to_head || code < 200 || code == 204 || code == 304 => BodyLen::None,
            () if end && length > 0 => return Err(Fault::Malformed),
            () if has_length => BodyLen::Length(length),
            () if end => {
                self.line(b"content-length", b"0", FieldKind::ContentLength)?;
                BodyLen::Length(0)
            }
            () => BodyLen::Chunked,
        })
    }

    /// The handshake that HTTP/1 wants where HTTP/2 has `:protocol` (RFC 8441 section 5, RFC 6455 section 4.1).
    fn shake_hands(&mut self, key: u64) -> Result<(), Fault> {
        self.line(b"connection", b"upgrade", FieldKind::Connection)?;
        self.line(b"upgrade", b"websocket", FieldKind::Upgrade)?;
        self.head.seen |= Seen::HOP | Seen::UPGRADE_OPTION | Seen::UPGRADE | Seen::WEBSOCKET;
        self.head.upgrade = true;
        if self.head.field(b"sec-websocket-key").is_none() {
            self.line(b"sec-websocket-key", &websocket_key(key), FieldKind::Other)?;
        }
        Ok(())
    }
}

/// 16 bytes in base64, derived from a number.
fn websocket_key(seed: u64) -> [u8; 24] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut key = [b'='; 24];
    let mut state = seed;
    for digit in &mut key[..22] {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        *digit = DIGITS[(mixed >> 58) as usize];
    }
    // The last digit has two bits only.
    key[21] = DIGITS[usize::from(key[21] & 3) << 4];
    key
}

/// Section 8.3.1: a path begins with a slash, except that OPTIONS may ask for `*`.
fn is_path(method: &[u8], path: &[u8]) -> bool {
    match path.first() {
        Some(b'/') => token::target_end(path, 0) == path.len(),
        Some(b'*') => path == b"*" && method == b"OPTIONS",
        _ => false,
    }
}

fn is_scheme(scheme: &[u8]) -> bool {
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}
