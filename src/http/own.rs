//! Messages that the proxy makes or changes: heads of its own, and framing that fits what is really sent.

use super::head::{BodyLen, FieldKind, Head, Method, Seen};

/// Fields that tell of what the asker has, or wants, of one resource (RFC 9110 sections 13.1 and 14.2).
const OF_ONE_RESOURCE: [&[u8]; 6] =
    [b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range"];

impl Head {
    /// Makes this a request of the proxy's own, without a body, that has the fields of `asked`: all but those of one hop,
    /// of its body and of the resource that it is about.
    pub fn ask_about(&mut self, asked: &Head, method: &[u8], target: &[u8]) {
        self.reset();
        self.keep_alive = true;
        self.complete = true;
        self.set_method(method);
        for field in &asked.fields {
            let name = asked.bytes(field.name);
            let of_message = !matches!(field.kind, FieldKind::Other | FieldKind::Host);
            let of_resource = OF_ONE_RESOURCE.iter().any(|other| other.eq_ignore_ascii_case(name));
            if !of_message && !of_resource && !asked.is_named_by_connection(field) {
                self.add(name, asked.bytes(field.value));
            }
        }
        self.set_target(target);
        if !matches!(self.method, Method::Get | Method::Head) {
            self.set_body(BodyLen::Length(0));
        }
    }

    /// Begins a response of the proxy's own, whose body has this length. Fields follow by [`Head::put`].
    pub fn begin_response(&mut self, status: u16, reason: &[u8], body: BodyLen) {
        self.reset();
        self.is_response = true;
        self.keep_alive = true;
        self.complete = true;
        self.body = body;
        self.set_status(status, reason);
    }

    /// Appends a field to a response of the proxy's own: one of framing stays where it is put, and says what
    /// [`Head::begin_response`] was told.
    pub fn put(&mut self, name: &[u8], value: &[u8]) {
        match FieldKind::of(name) {
            FieldKind::ContentLength | FieldKind::TransferEncoding => self.put_framing(name, value),
            _ => self.add(name, value),
        }
    }

    fn put_framing(&mut self, name: &[u8], value: &[u8]) {
        let field = self.store_line(name, value);
        self.fields.push(field);
    }

    /// The body goes on in chunks, however it came: the field that says so stands where a rule would have put it.
    pub fn become_chunked(&mut self) {
        let is_said = self.body == BodyLen::Chunked;
        self.body = BodyLen::Chunked;
        self.fields.retain(|f| f.kind != FieldKind::ContentLength);
        if !is_said {
            self.put_framing(b"transfer-encoding", b"chunked");
        }
    }

    /// Fits the framing of a response to what is sent: the answer to a request that came with the method `asked`, with
    /// the status it has now, whatever rules made of both since. Tells whether a body follows (RFC 9112 section 6.3).
    pub fn settle(&mut self, asked: Method) -> bool {
        if self.status < 200 || self.status == 204 {
            self.drop_framing();
            self.body = BodyLen::None;
            return false;
        }
        if self.status == 304 && self.seen.contains(Seen::FRAMING_EDITED) {
            // No body is announced that has to be: what rules took away stays away.
            self.body = BodyLen::None;
        }
        if asked == Method::Head || self.status == 304 {
            return false;
        }
        if self.body == BodyLen::None {
            // The server was asked for, or gave, less than the client is owed: it is told that nothing comes.
            self.set_body(BodyLen::Length(0));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{H1Options, Hop, Parse, Slices};
    use super::*;
    use crate::base::Buf;

    fn text(head: &Head) -> String {
        let mut slices = Slices::new();
        head.slices(Hop::KeepAlive, &mut slices);
        String::from_utf8(slices.concat()).unwrap()
    }

    fn received(bytes: &[u8], method: Method) -> Head {
        let mut buf = Buf::take(1024);
        buf.push(bytes);
        let mut head = Head::with(buf);
        assert_eq!(head.parse_response(method, &H1Options::default()), Parse::Done);
        head
    }

    #[test]
    fn a_head_of_our_own_is_written_in_the_order_it_was_made() {
        let mut head = Head::default();
        head.begin_response(200, b"OK", BodyLen::Length(3));
        for (name, value) in [("content-length", "3"), ("x-a", "1\r\n2")] {
            head.put(name.as_bytes(), value.as_bytes());
        }
        assert!(head.is_complete() && head.settle(Method::Get));
        assert_eq!(text(&head), "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx-a: 1  2\r\n\r\n");
    }

    #[test]
    fn a_question_has_the_fields_of_who_asks_and_no_body() {
        let mut buf = Buf::take(1024);
        buf.push(
            b"POST /a HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\
              Connection: close, X-Hop\r\nX-Hop: 1\r\nIf-None-Match: x\r\nRange: bytes=0-\r\nX-A: 1\r\n\r\nabc",
        );
        let mut asked = Head::with(buf);
        assert_eq!(asked.parse_request(&H1Options::default()), Parse::Done);
        let mut head = Head::default();
        head.ask_about(&asked, b"GET", b"/auth?a b");
        assert_eq!(text(&head), "GET /auth?a%20b HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\nX-A: 1\r\n\r\n");
        head.ask_about(&asked, b"POST", b"/auth");
        let posted = "POST /auth HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\nX-A: 1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(text(&head), posted);
    }

    /// As `http-after-response del-header transfer-encoding` has it.
    #[test]
    fn a_304_says_no_more_of_its_body_than_rules_leave() {
        let mut head =
            received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n", Method::Get);
        head.set_status(304, b"Not Modified");
        head.remove(b"transfer-encoding");
        assert!(!head.settle(Method::Get));
        assert_eq!(text(&head), "HTTP/1.1 304 Not Modified\r\nX-A: b\r\n\r\n");
    }

    #[test]
    fn framing_follows_the_method_that_was_asked_and_the_status_that_is_sent() {
        let three = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let empty = b"HTTP/1.1 204 No\r\n\r\n";
        // Received; method sent, status set, method asked; body, head without its first line.
        type Row = (&'static [u8], Method, u16, Method, bool, &'static str);
        let table: [Row; 7] = [
            (three, Method::Get, 204, Method::Get, false, "\r\n"),
            (chunks, Method::Get, 204, Method::Get, false, "\r\n"),
            (three, Method::Get, 304, Method::Get, false, "Content-Length: 3\r\n\r\n"),
            (three, Method::Get, 200, Method::Head, false, "Content-Length: 3\r\n\r\n"),
            (three, Method::Head, 200, Method::Get, true, "content-length: 0\r\n\r\n"),
            (empty, Method::Get, 200, Method::Get, true, "content-length: 0\r\n\r\n"),
            (three, Method::Get, 200, Method::Get, true, "Content-Length: 3\r\n\r\n"),
        ];
        for (bytes, sent, status, asked, has_body, rest) in table {
            let mut head = received(bytes, sent);
            head.set_status(status, b"");
            assert_eq!(head.settle(asked), has_body, "{status} {asked:?}");
            assert_eq!(text(&head).split_once("\r\n").unwrap().1, rest, "{status} {asked:?}");
        }
    }
}
