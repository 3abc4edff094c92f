//! Parsing an HTTP/1 head where it was received: lines in one pass, then what they mean together.

use super::bad::{BadMessage, Reason};
use super::head::{BodyLen, Field, FieldKind, Head, Method, Progress, Seen, Slot, Version};
use super::strict;
use super::token;
use super::uri;

/// What a parse allows. Build it with `..H1Options::default()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct H1Options {
    /// `tune.http.maxhdr`: fields and start line together.
    pub max_fields: usize,
    /// `option accept-unsafe-violations-in-http-request` or `-response`.
    pub accept_unsafe: bool,
    /// Most bytes of a head, empty lines before it included: `tune.bufsize` without `tune.maxrewrite`.
    pub max_head: usize,
    /// `h1-do-not-close-on-insecure-transfer-encoding`
    pub keep_on_insecure_te: bool,
    /// `h1-accept-payload-with-any-method`
    pub payload_with_any_method: bool,
}

impl Default for H1Options {
    fn default() -> H1Options {
        H1Options {
            max_fields: 101,
            accept_unsafe: false,
            max_head: 16_384 - 1024,
            keep_on_insecure_te: false,
            payload_with_any_method: false,
        }
    }
}

/// Verdict of a parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse {
    /// The head is complete; its body begins at `buf.written()[head.len..]`.
    Done,
    /// Bytes are missing: read more behind those that are there and call again.
    More,
    Bad(BadMessage),
}

/// Why the lines could not be read to the end.
#[derive(Debug)]
pub(super) enum Stop {
    More,
    Bad(Reason, usize),
    /// A folded line at this offset, which a response may have: unfold it and begin anew.
    Fold(usize),
}

impl Head {
    /// Starts a new message: forgets the previous one, keeps allocations. The buffer is left to the caller.
    pub fn reset(&mut self) {
        self.edits.clear();
        self.fields.clear();
        self.is_response = false;
        self.version = Version::Http11;
        self.method = Method::Other;
        self.method_slot = Slot::default();
        self.target = Slot::default();
        self.status = 0;
        self.reason = Slot::default();
        self.start_line = Slot::default();
        self.len = 0;
        self.complete = false;
        self.body = BodyLen::None;
        self.keep_alive = false;
        self.upgrade = false;
        self.expect_continue = false;
        self.version_slot = Slot::default();
        self.last_line = Slot::default();
        self.length_slot = Slot::default();
        self.content_length = 0;
        self.seen = Seen::empty();
        self.progress = Progress::default();
    }

    /// Parses a request from `buf.data()`. After `More` the next call goes on where this one stopped, unless the
    /// caller moved the bytes (`Buf::compact`): then it begins anew.
    pub fn parse_request(&mut self, o: &H1Options) -> Parse {
        self.parse(None, o)
    }

    /// Parses a response to a request with this method, which with the status decides on the body (RFC 9112
    /// section 6.3). A 1xx response is a head without body: `reset` and parse the next one.
    pub fn parse_response(&mut self, request_method: Method, o: &H1Options) -> Parse {
        self.parse(Some(request_method), o)
    }

    fn parse(&mut self, answers: Option<Method>, o: &H1Options) -> Parse {
        let mut buf = std::mem::take(&mut self.buf);
        let origin = buf.start();
        let limit = origin.saturating_add(o.max_head);
        let stop = loop {
            if self.progress.begun && (self.progress.origin != origin || self.len > 0) {
                self.reset();
            }
            if !self.progress.begun {
                self.progress =
                    Progress { origin, line: origin, scanned: origin, begun: true, ..Progress::default() };
                self.is_response = answers.is_some();
            }
            let window = buf.written().get(..limit).unwrap_or(buf.written());
            let full = buf.written().len() >= limit;
            let done = self.lines(window, full, o).and_then(|()| match answers {
                None => self.finish_request(window, o),
                Some(method) => self.finish_response(window, method, o),
            });
            match done {
                Ok(()) => break None,
                Err(Stop::Fold(at)) => {
                    unfold(buf.written_mut(), at);
                    self.step_back(at);
                }
                Err(Stop::More) if full => {
                    let long =
                        if self.progress.start_line_done { Reason::HeadTooLong } else { Reason::LineTooLong };
                    break Some(Stop::Bad(long, limit));
                }
                Err(stop) => break Some(stop),
            }
        };
        self.buf = buf;
        match stop {
            None => {
                self.complete = true;
                Parse::Done
            }
            Some(Stop::Bad(reason, at)) if self.is_response => Parse::Bad(BadMessage::response(reason, at)),
            Some(Stop::Bad(reason, at)) => Parse::Bad(BadMessage::request(reason, at)),
            Some(_) => Parse::More,
        }
    }

    /// The line that ended at `at` goes on: it is read again, and with it the whole head if it was noted already.
    fn step_back(&mut self, at: usize) {
        match self.fields.last() {
            Some(last) if last.kind == FieldKind::Other && last.line.is_raw() && last.line.end() == at => {
                self.progress.line = last.line.start();
                self.progress.scanned = self.progress.line;
                self.fields.pop();
            }
            _ => self.reset(),
        }
    }

    /// Reads lines until the empty one. `b` ends where the head must have ended.
    fn lines(&mut self, b: &[u8], full: bool, o: &H1Options) -> Result<(), Stop> {
        let Progress { line, scanned, .. } = self.progress;
        // A line that will never be finished may still have a fault of its own to report.
        if !full && scanned > line && memchr::memchr(b'\n', b.get(scanned..).unwrap_or_default()).is_none() {
            self.progress.scanned = b.len();
            return Err(Stop::More);
        }
        let mut at = line;
        let result = self.lines_from(b, &mut at, o);
        self.progress.line = at;
        self.progress.scanned = b.len();
        result
    }

    fn lines_from(&mut self, b: &[u8], at: &mut usize, o: &H1Options) -> Result<(), Stop> {
        if !self.progress.start_line_done {
            skip_empty_lines(b, at)?;
            *at = if self.is_response { self.status_line(b, *at, o)? } else { self.request_line(b, *at, o)? };
            self.progress.start_line_done = true;
            self.progress.fields = *at;
            if self.len > 0 {
                return Ok(()); // HTTP/0.9 has nothing behind the line
            }
        }
        loop {
            self.plain_lines(b, at, o)?;
            match self.field_line(b, *at, o)? {
                Some(next) => *at = next,
                None => return Ok(()),
            }
        }
    }

    /// Field lines as nearly everybody writes them, as far as there are any; [`Head::field_line`] looks closer at the
    /// next one.
    #[inline]
    fn plain_lines(&mut self, b: &[u8], at: &mut usize, o: &H1Options) -> Result<(), Stop> {
        while let Some(PlainLine { colon, start, end }) = plain_line(b, *at) {
            let (line, name) = (*at, Slot::raw(*at, colon - *at));
            let kind = FieldKind::of(&b[line..colon]);
            let next = end + 2;
            let field = Field {
                name,
                value: Slot::raw(start, end - start),
                line: Slot::raw(line, next - line),
                kind,
            };
            if kind == FieldKind::Other || self.note(b, field, o)? {
                if self.fields.len() + 2 > o.max_fields {
                    return Err(Stop::Bad(Reason::TooManyFields, line));
                }
                self.fields.push(field);
            } else {
                self.progress.ragged = true;
            }
            *at = next;
        }
        Ok(())
    }

    /// One field line; tells where the next begins, or `None` behind the empty line.
    #[inline]
    fn field_line(&mut self, b: &[u8], line: usize, o: &H1Options) -> Result<Option<usize>, Stop> {
        let mut colon = token::token_end(b, line);
        let name = Slot::raw(line, colon - line);
        let mut sound = true;
        let mut kept = true;
        if name.is_empty() || b.get(colon) != Some(&b':') {
            match self.odd_line(b, line, colon, o)? {
                Odd::End => {
                    self.progress.lines = self.fields.len();
                    return Ok(None);
                }
                Odd::Colon(at) => (colon, sound) = (at, false),
                Odd::Drop(at) => (colon, kept) = (at, false),
            }
        }
        let mut start = colon + 1;
        while b.get(start).copied().is_some_and(token::is_blank) {
            start += 1;
        }
        let (mut end, next) = self.line_end(b, start, o, &mut sound)?;
        while end > start && token::is_blank(b[end - 1]) {
            end -= 1;
        }
        if kept {
            let line = if sound { Slot::raw(line, next - line) } else { Slot::default() };
            let kind = FieldKind::of(&b[name.start()..name.end()]);
            let field = Field { name, value: Slot::raw(start, end - start), line, kind };
            if kind == FieldKind::Other || self.note(b, field, o)? {
                if self.fields.len() + 2 > o.max_fields {
                    return Err(Stop::Bad(Reason::TooManyFields, name.start()));
                }
                self.fields.push(field);
                self.progress.ragged |= !sound;
                return Ok(Some(next));
            }
        }
        self.progress.ragged = true;
        Ok(Some(next))
    }

    /// The end of the value that begins at `start` and the start of the next line. A bare LF ends a line as well
    /// (RFC 9112 section 2.2 allows it), but such a line is not passed on as it came.
    #[inline]
    fn line_end(
        &self,
        b: &[u8],
        start: usize,
        o: &H1Options,
        sound: &mut bool,
    ) -> Result<(usize, usize), Stop> {
        let mut end = token::value_end(b, start);
        loop {
            match b.get(end) {
                Some(b'\r') => {
                    return match b.get(end + 1) {
                        Some(b'\n') => Ok((end, end + 2)),
                        None => Err(Stop::More),
                        Some(_) => Err(Stop::Bad(Reason::BareCr, end)),
                    };
                }
                Some(b'\n') => {
                    *sound = false;
                    return Ok((end, end + 1));
                }
                None => return Err(Stop::More),
                Some(_) if o.accept_unsafe => end = token::value_end(b, end + 1),
                Some(_) => return Err(Stop::Bad(Reason::FieldValue, end)),
            }
        }
    }

    /// A line that does not begin with a name and a colon: the end of the head, a fold, or a fault.
    #[cold]
    fn odd_line(&mut self, b: &[u8], line: usize, at: usize, o: &H1Options) -> Result<Odd, Stop> {
        let Some(byte) = b.get(at).copied() else { return Err(Stop::More) };
        if at == line {
            match byte {
                b'\r' => {
                    return match b.get(at + 1) {
                        Some(b'\n') => {
                            self.last_line = Slot::raw(at, 2);
                            self.len = at + 2;
                            Ok(Odd::End)
                        }
                        None => Err(Stop::More),
                        Some(_) => Err(Stop::Bad(Reason::BareCr, at)),
                    };
                }
                b'\n' => {
                    self.len = at + 1;
                    return Ok(Odd::End);
                }
                b' ' | b'\t' if line > self.progress.fields && (self.is_response || o.accept_unsafe) => {
                    return Err(Stop::Fold(line));
                }
                b' ' | b'\t' => return Err(Stop::Bad(Reason::ObsFold, at)),
                b':' => return Err(Stop::Bad(Reason::FieldName, at)),
                _ => {}
            }
        } else if token::is_blank(byte) && self.is_response {
            // RFC 9112 section 5.1: a proxy removes blanks before the colon of a response's field.
            let colon = at + b[at..].iter().take_while(|c| token::is_blank(**c)).count();
            match b.get(colon) {
                Some(b':') => return Ok(Odd::Colon(colon)),
                None => return Err(Stop::More),
                Some(_) => {}
            }
        }
        if !o.accept_unsafe {
            return Err(Stop::Bad(Reason::FieldName, at));
        }
        match b[at..].iter().position(|c| matches!(c, b':' | b'\n')) {
            Some(n) if b[at + n] == b':' => Ok(Odd::Drop(at + n)),
            Some(n) => Err(Stop::Bad(Reason::FieldName, at + n)),
            None => Err(Stop::More),
        }
    }

    /// Takes notice of a field that the proxy understands; tells whether it stays in the list.
    fn note(&mut self, b: &[u8], field: Field, o: &H1Options) -> Result<bool, Stop> {
        let value = &b[field.value.start()..field.value.end()];
        let at = field.value.start();
        match field.kind {
            FieldKind::Connection => self.seen |= strict::connection_options(value),
            FieldKind::Upgrade => self.seen |= strict::upgrade_protocols(value),
            FieldKind::KeepAlive | FieldKind::ProxyConnection | FieldKind::Te => self.seen |= Seen::HOP,
            FieldKind::Expect if value.eq_ignore_ascii_case(b"100-continue") => self.seen |= Seen::EXPECT,
            FieldKind::Host if !self.is_response => return self.note_host(b, field),
            FieldKind::ContentLength => return self.note_content_length(value, field),
            FieldKind::TransferEncoding => {
                match strict::transfer_codings(value, &mut self.seen, self.is_response) {
                    Ok(()) if value == b"chunked" => {}
                    Ok(()) => return Ok(self.keep_canonical(value, field)),
                    Err((_, true)) if o.accept_unsafe => {
                        // Readable in one way only once it is written anew.
                        self.seen |= Seen::FRAMING_EDITED;
                        return Ok(false);
                    }
                    Err((reason, _)) => return Err(Stop::Bad(reason, at)),
                }
            }
            _ => {}
        }
        Ok(true)
    }

    /// `Chunked` means the same, but not to every server behind us.
    fn keep_canonical(&mut self, value: &[u8], field: Field) -> bool {
        if !value.eq_ignore_ascii_case(b"chunked") {
            return true; // refused once the head is complete
        }
        let value = self.store(b"chunked");
        self.fields.push(Field { value, line: Slot::default(), ..field });
        false
    }

    fn note_content_length(&mut self, value: &[u8], field: Field) -> Result<bool, Stop> {
        let bad = Stop::Bad(Reason::ContentLength, field.value.start());
        let Some((length, digits)) = strict::content_length(value) else { return Err(bad) };
        if self.seen.contains(Seen::CONTENT_LENGTH) {
            return if length == self.content_length { Ok(false) } else { Err(bad) };
        }
        self.seen |= Seen::CONTENT_LENGTH;
        self.content_length = length;
        if digits.len() == value.len() {
            return Ok(true);
        }
        let value = Slot::raw(field.value.start() + digits.start, digits.len());
        self.fields.push(Field { value, line: Slot::default(), ..field });
        Ok(false)
    }

    /// A second Host is dropped when it says the same, and refused when it does not.
    fn note_host(&mut self, b: &[u8], field: Field) -> Result<bool, Stop> {
        let value = &b[field.value.start()..field.value.end()];
        let at = field.value.start();
        if self.seen.contains(Seen::HOST) {
            let same = self.raw_host(b).is_some_and(|h| h.eq_ignore_ascii_case(value));
            return if same { Ok(false) } else { Err(Stop::Bad(Reason::HostConflict, at)) };
        }
        self.seen |= Seen::HOST;
        if uri::is_authority(value) { Ok(true) } else { Err(Stop::Bad(Reason::Authority, at)) }
    }
}

/// A line whose parts lie where one looks first.
struct PlainLine {
    colon: usize,
    start: usize,
    end: usize,
}

/// `name: value CRLF` with one blank or none before the value, none behind it, and nothing odd in either.
#[inline(always)]
fn plain_line(b: &[u8], line: usize) -> Option<PlainLine> {
    let colon = token::token_end(b, line);
    if colon == line || b.get(colon) != Some(&b':') {
        return None;
    }
    let start = colon + 1 + usize::from(b.get(colon + 1) == Some(&b' '));
    let end = token::value_end(b, start);
    // Of all bytes up to the space a value holds only blanks.
    let trimmed = match b.get(start..end)? {
        [] => true,
        [one] => *one > b' ',
        [first, .., last] => *first > b' ' && *last > b' ',
    };
    (trimmed && b.get(end..end + 2) == Some(b"\r\n")).then_some(PlainLine { colon, start, end })
}

/// What [`Head::odd_line`] made of a line.
enum Odd {
    End,
    /// Behind blanks, the colon.
    Colon(usize),
    /// The colon of a field whose name is refused but let through without the field.
    Drop(usize),
}

/// Empty lines before a message are skipped (RFC 9112 section 2.2); the limit of the head bounds them.
fn skip_empty_lines(b: &[u8], at: &mut usize) -> Result<(), Stop> {
    loop {
        match (b.get(*at), b.get(*at + 1)) {
            (None, _) | (Some(b'\r'), None) => return Err(Stop::More),
            (Some(b'\r'), Some(b'\n')) => *at += 2,
            (Some(b'\n'), _) => *at += 1,
            (Some(b'\r'), _) => return Err(Stop::Bad(Reason::BareCr, *at)),
            _ => return Ok(()),
        }
    }
}

/// Overwrites the line end before the continuation line at `at` with spaces (RFC 9112 section 5.2).
#[cold]
fn unfold(b: &mut [u8], at: usize) {
    let end = at - 1;
    b[end] = b' ';
    if b[end - 1] == b'\r' {
        b[end - 1] = b' ';
    }
}
