//! What the fields of a head mean together, once it is complete or after an edit: connection, framing, target.

use super::bad::Reason;
use super::h1::{H1Options, Stop};
use super::head::{BodyLen, FieldKind, Head, Method, Seen, Slot, Version};
use super::strict::{self, TargetVerdict};
use super::uri::{self, Form, Target};

impl Head {
    /// A field was added by the proxy: what it says counts as if it had been received.
    pub(super) fn note_edit(&mut self, kind: FieldKind, value: &[u8]) {
        match kind {
            FieldKind::Connection => {
                let options = strict::connection_options(value);
                self.seen |= options;
                self.seen.set(Seen::CLOSE_EDITED, options.contains(Seen::CLOSE));
            }
            FieldKind::Upgrade => self.seen |= strict::upgrade_protocols(value),
            FieldKind::KeepAlive | FieldKind::ProxyConnection | FieldKind::Te => self.seen |= Seen::HOP,
            FieldKind::ContentLength | FieldKind::TransferEncoding => self.own_framing(),
            FieldKind::Host => return self.follow_host(value),
            FieldKind::Expect | FieldKind::Other => return,
        }
        self.note_upgrade();
    }

    pub(super) fn note_removal(&mut self, kind: FieldKind) {
        match kind {
            FieldKind::Connection => self.seen -= Seen::CONNECTION,
            FieldKind::Upgrade => self.seen -= Seen::UPGRADES,
            FieldKind::Expect => self.expect_continue = false,
            FieldKind::ContentLength | FieldKind::TransferEncoding => self.own_framing(),
            _ => return,
        }
        self.note_upgrade();
    }

    pub(super) fn note_upgrade(&mut self) {
        self.upgrade = self.seen.contains(Seen::UPGRADE | Seen::UPGRADE_OPTION)
            && self.version >= super::Version::Http11;
    }

    /// Someone (the peer, or a rule that added a `Connection` field) asked for the end of the connection.
    pub fn asks_close(&self) -> bool {
        self.seen.contains(Seen::CLOSE)
    }

    /// A rule asked for the end of the connection that the message goes out on.
    pub fn closes_by_rule(&self) -> bool {
        self.seen.contains(Seen::CLOSE_EDITED)
    }

    /// The handshake of RFC 6455: `Upgrade: websocket` with `Connection: upgrade`.
    pub fn is_websocket(&self) -> bool {
        self.upgrade && self.seen.contains(Seen::WEBSOCKET)
    }

    pub(super) fn websocket_key_fits(&self, bytes: &[u8]) -> bool {
        let name: &[u8] = if self.is_response { b"sec-websocket-accept" } else { b"sec-websocket-key" };
        let key = self.fields.iter().find(|f| {
            f.name.len() == name.len()
                && bytes.get(f.name.start()..f.name.end()).is_some_and(|n| n.eq_ignore_ascii_case(name))
        });
        // A request's key is 16 bytes in base64.
        key.is_some_and(|f| self.is_response || f.value.len() == 24)
    }

    /// The value of `Host`.
    pub fn host(&self) -> Option<&[u8]> {
        self.fields.iter().find(|f| f.kind == FieldKind::Host).map(|f| self.bytes(f.value))
    }

    pub(super) fn raw_host<'b>(&self, b: &'b [u8]) -> Option<&'b [u8]> {
        let field = self.fields.iter().find(|f| f.kind == FieldKind::Host)?;
        b.get(field.value.start()..field.value.end())
    }

    pub(super) fn finish_request(&mut self, b: &[u8], o: &H1Options) -> Result<(), Stop> {
        let target = &b[self.target.start()..self.target.end()];
        let at = self.target.start();
        if target.first() != Some(&b'/') || self.method == Method::Connect {
            self.finish_target(b, target, o)?;
        }
        self.finish_connection();
        self.expect_continue = self.seen.contains(Seen::EXPECT) && self.version >= Version::Http11;
        let chunked = self.seen.contains(Seen::CHUNKED);
        let coded = self.seen.contains(Seen::TRANSFER_ENCODING);
        if coded && !chunked {
            return Err(Stop::Bad(Reason::TransferEncoding, at));
        }
        if coded {
            self.chunked_wins(o);
        }
        self.body = match () {
            () if self.method == Method::Connect => {
                self.drop_framing();
                BodyLen::None
            }
            () if chunked => BodyLen::Chunked,
            () if self.seen.contains(Seen::CONTENT_LENGTH) => BodyLen::Length(self.content_length),
            () => BodyLen::None,
        };
        if self.version < Version::Http11
            && !o.payload_with_any_method
            && matches!(self.method, Method::Get | Method::Head | Method::Delete)
            && !matches!(self.body, BodyLen::None | BodyLen::Length(0))
        {
            return Err(Stop::Bad(Reason::PayloadUnexpected, at));
        }
        if self.seen.contains(Seen::CODING) {
            return Err(Stop::Bad(Reason::TransferCoding, at));
        }
        self.check_websocket(b, o)
    }

    fn check_websocket(&self, b: &[u8], o: &H1Options) -> Result<(), Stop> {
        let shakes_hands = self.is_websocket() && (!self.is_response || self.status == 101);
        if shakes_hands && !o.accept_unsafe && !self.websocket_key_fits(b) {
            return Err(Stop::Bad(Reason::WebsocketKey, self.progress.origin));
        }
        Ok(())
    }

    /// A target other than `/...`: its form, its Host, and what goes without saying taken out of it.
    #[cold]
    fn finish_target(&mut self, b: &[u8], whole: &[u8], o: &H1Options) -> Result<(), Stop> {
        let target = Target::split(whole);
        let host = self.raw_host(b);
        let fault_at = |host_is_bad: bool| {
            let host = self.fields.iter().find(|f| host_is_bad && f.kind == FieldKind::Host);
            host.map_or(self.target.start(), |f| f.value.start())
        };
        match strict::check_target(self.method, &target, whole, host) {
            TargetVerdict::Fine => {}
            TargetVerdict::Unsafe(..) if o.accept_unsafe => {}
            TargetVerdict::Bad(reason, host) | TargetVerdict::Unsafe(reason, host) => {
                return Err(Stop::Bad(reason, fault_at(host)));
            }
        }
        if target.form == Form::Authority && host.is_some() {
            let (name, port) = uri::host_and_port(host.unwrap_or_default());
            if port.is_some_and(|p| uri::is_default_port(b"", p)) {
                self.replace_host(name);
            }
        }
        if target.form == Form::Absolute {
            self.normalize_absolute(whole, &target, host.is_some());
        }
        Ok(())
    }

    /// Scheme-based normalization (RFC 3986 section 6.2.3): no default port, no empty path, and a Host that says
    /// what the target says (RFC 9112 section 3.2.2).
    fn normalize_absolute(&mut self, whole: &[u8], target: &Target<'_>, has_host: bool) {
        let (name, port) = uri::host_and_port(target.authority);
        let implied = port.is_some_and(|p| uri::is_default_port(target.scheme, p));
        let place = if implied { name } else { target.authority };
        let no_path = target.path_and_query.is_empty() && self.method != Method::Options;
        if implied || no_path {
            let before = &whole[..target.path_at - target.authority.len()];
            let path = if no_path { b"/" } else { target.path_and_query };
            self.set_target(&[before, place, path].concat());
        }
        if !has_host && !place.is_empty() {
            self.add(b"host", place);
        } else if implied || no_path {
            self.replace_host(place);
        }
    }

    /// Gives every `Host` field another value.
    pub(super) fn replace_host(&mut self, value: &[u8]) {
        for index in 0..self.fields.len() {
            let mut field = self.fields[index];
            if field.kind == FieldKind::Host {
                field.value = self.store(value);
                field.line = Slot::default();
                self.fields[index] = field;
            }
        }
    }

    /// Transfer-Encoding overrides Content-Length, which is not passed on; because another reader may have chosen the
    /// other way, and because HTTP/1.0 has no chunks, the connection ends (RFC 9112 sections 6.1 and 6.3).
    fn chunked_wins(&mut self, o: &H1Options) {
        if self.seen.contains(Seen::CONTENT_LENGTH) {
            self.fields.retain(|f| f.kind != FieldKind::ContentLength);
            self.seen -= Seen::CONTENT_LENGTH;
            self.keep_alive &= o.keep_on_insecure_te;
        }
        if self.version < Version::Http11 {
            self.keep_alive = false;
        }
    }

    pub(super) fn drop_framing(&mut self) {
        if self.seen.intersects(Seen::CONTENT_LENGTH | Seen::TRANSFER_ENCODING) {
            let framing = [FieldKind::ContentLength, FieldKind::TransferEncoding];
            self.fields.retain(|f| !framing.contains(&f.kind));
        }
    }

    fn finish_connection(&mut self) {
        self.keep_alive = !self.seen.contains(Seen::CLOSE)
            && (self.version >= Version::Http11 || self.seen.contains(Seen::KEEP_ALIVE));
        self.note_upgrade();
    }

    pub(super) fn finish_response(&mut self, b: &[u8], answers: Method, o: &H1Options) -> Result<(), Stop> {
        self.finish_connection();
        if self.seen.contains(Seen::TRANSFER_ENCODING) {
            if self.seen.contains(Seen::CODING) {
                return Err(Stop::Bad(Reason::TransferCoding, self.progress.origin));
            }
            self.chunked_wins(o);
        }
        self.body = match self.status {
            101 => BodyLen::Tunnel,
            200..=299 if answers == Method::Connect => BodyLen::Tunnel,
            100..=199 | 204 | 304 => BodyLen::None,
            _ if answers == Method::Head => BodyLen::None,
            _ if self.seen.contains(Seen::CHUNKED) => BodyLen::Chunked,
            _ if self.seen.contains(Seen::CONTENT_LENGTH) => BodyLen::Length(self.content_length),
            _ => BodyLen::UntilClose,
        };
        if self.body == BodyLen::Tunnel || self.status < 200 || self.status == 204 {
            self.drop_framing();
        }
        if matches!(self.body, BodyLen::Tunnel | BodyLen::UntilClose) {
            self.keep_alive = false;
        }
        if self.seen.contains(Seen::FRAMING_EDITED) {
            self.own_framing();
        }
        self.check_websocket(b, o)
    }
}
