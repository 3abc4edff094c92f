//! Start lines: the request line (RFC 9112 section 3) and the status line (section 4).

use super::bad::Reason;
use super::h1::{H1Options, Stop};
use super::head::{Head, Method, Seen, Slot, Version};
use super::token;

/// A version token and the end of its line.
struct VersionLine {
    version: Version,
    slot: Slot,
    next: usize,
    /// May be sent on as it stands.
    sound: bool,
}

impl Head {
    /// Tells where the next line begins.
    pub(super) fn request_line(&mut self, b: &[u8], line: usize, o: &H1Options) -> Result<usize, Stop> {
        let method_end = token::token_end(b, line);
        match b.get(method_end) {
            None => return Err(Stop::More),
            Some(b' ' | b'\t') if method_end > line => {}
            Some(b'\r' | b'\n') => return Err(Stop::Bad(Reason::Version, method_end)),
            Some(_) => return Err(Stop::Bad(Reason::Method, method_end)),
        }
        self.method_slot = Slot::raw(line, method_end - line);
        self.method = Method::of(&b[line..method_end]);
        let (target, blank_before) = skip_blanks(b, method_end);
        let end = target_end(b, target, o)?;
        self.target = Slot::raw(target, end - target);
        if matches!(b[end], b'\r' | b'\n') {
            return self.version_09(b, end, o);
        }
        let (version, blank_behind) = skip_blanks(b, end);
        let found = self.request_version(b, version, o)?;
        self.version = found.version;
        self.version_slot = found.slot;
        if found.sound && blank_before && blank_behind {
            self.start_line = Slot::raw(line, found.next - line);
        }
        Ok(found.next)
    }

    /// The request of HTTP/0.9 has no version and nothing behind its line; only `accept-unsafe-violations` takes it,
    /// and it goes on as HTTP/1.0.
    #[cold]
    fn version_09(&mut self, b: &[u8], end: usize, o: &H1Options) -> Result<usize, Stop> {
        if !o.accept_unsafe || self.method != Method::Get || self.target.is_empty() {
            return Err(Stop::Bad(Reason::Version, end));
        }
        let next = line_feed(b, end)?;
        self.version = Version::Http10;
        self.len = next;
        Ok(next)
    }

    #[inline]
    fn request_version(&mut self, b: &[u8], at: usize, o: &H1Options) -> Result<VersionLine, Stop> {
        let found = |version| VersionLine { version, slot: Slot::raw(at, 8), next: at + 10, sound: true };
        match b.get(at..at + 10) {
            Some(b"HTTP/1.1\r\n") => Ok(found(Version::Http11)),
            Some(b"HTTP/1.0\r\n") => Ok(found(Version::Http10)),
            _ => self.odd_version(b, at, o),
        }
    }

    #[cold]
    fn odd_version(&mut self, b: &[u8], at: usize, o: &H1Options) -> Result<VersionLine, Stop> {
        let end = at + b[at..].iter().take_while(|c| is_version_byte(**c)).count();
        match b.get(end) {
            None => return Err(Stop::More),
            Some(b'\r' | b'\n') => {}
            Some(_) => return Err(Stop::Bad(Reason::Version, end)),
        }
        let next = line_feed(b, end)?;
        let slot = Slot::raw(at, end - at);
        let sound = next == end + 2;
        match &b[at..end] {
            b"HTTP/1.1" => Ok(VersionLine { version: Version::Http11, slot, next, sound }),
            b"HTTP/1.0" => Ok(VersionLine { version: Version::Http10, slot, next, sound }),
            // A higher minor version is spoken to, and passed on, as the highest we know (RFC 9110 section 2.5).
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => {
                Ok(VersionLine { version: Version::Http11, slot, next, sound: false })
            }
            b"HTTP/2.0"
                if self.method_slot.len() == 3 && b[self.method_slot.start()..].starts_with(b"PRI * ") =>
            {
                Err(Stop::Bad(Reason::Http2Preface, self.method_slot.start()))
            }
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] if !o.accept_unsafe => {
                Err(Stop::Bad(Reason::VersionUnsupported, at))
            }
            [b'H', b'T', b'T', b'P', b'/', b'2'..=b'9', b'.', b'0'..=b'9'] => {
                Ok(VersionLine { version: Version::Http11, slot, next, sound: false })
            }
            _ if o.accept_unsafe && at != end => {
                self.seen |= Seen::FOREIGN;
                Ok(VersionLine { version: Version::Http10, slot, next, sound })
            }
            _ => Err(Stop::Bad(Reason::Version, at)),
        }
    }

    pub(super) fn status_line(&mut self, b: &[u8], line: usize, o: &H1Options) -> Result<usize, Stop> {
        let version_end = match b.get(line..line + 9) {
            Some(b"HTTP/1.1 ") => {
                self.version = Version::Http11;
                line + 8
            }
            Some(b"HTTP/1.0 ") => {
                self.version = Version::Http10;
                line + 8
            }
            _ => self.odd_status_version(b, line, o)?,
        };
        self.version_slot = Slot::raw(line, version_end - line);
        let (code, mut sound) = skip_blanks(b, version_end);
        let code_end = self.status_code(b, code, o)?;
        let mut reason = code_end;
        let mut blank = false;
        if token::is_blank(b[code_end]) {
            (reason, blank) = skip_blanks(b, code_end);
        }
        let mut end = token::value_end(b, reason);
        while o.accept_unsafe && end < b.len() && !matches!(b[end], b'\r' | b'\n') {
            end = token::value_end(b, end + 1);
        }
        let next = line_feed(b, end)?;
        self.reason = Slot::raw(reason, end - reason);
        // The blank behind the code is not optional, and HAProxy always writes a reason.
        sound &= blank && end > reason;
        if sound && next == end + 2 && self.minor_is_ours(b) {
            self.start_line = Slot::raw(line, next - line);
        } else if self.status > 999 {
            // Passed on as it came or not at all.
            return Err(Stop::Bad(Reason::StatusLine, code));
        }
        Ok(next)
    }

    fn minor_is_ours(&self, b: &[u8]) -> bool {
        self.seen.contains(Seen::FOREIGN)
            || b.get(self.version_slot.start()..self.version_slot.end())
                == Some(self.version.name().as_bytes())
    }

    #[cold]
    fn odd_status_version(&mut self, b: &[u8], line: usize, o: &H1Options) -> Result<usize, Stop> {
        let end = line + b[line..].iter().take_while(|c| is_version_byte(**c)).count();
        match b.get(end) {
            None => return Err(Stop::More),
            Some(b' ' | b'\t') => {}
            Some(_) => return Err(Stop::Bad(Reason::StatusLine, end)),
        }
        match &b[line..end] {
            b"HTTP/1.0" => self.version = Version::Http10,
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => self.version = Version::Http11,
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                return Err(Stop::Bad(Reason::VersionUnsupported, line));
            }
            _ if o.accept_unsafe && end > line => {
                self.version = Version::Http10;
                self.seen |= Seen::FOREIGN;
            }
            _ => return Err(Stop::Bad(Reason::Version, line)),
        }
        Ok(end)
    }

    /// Three digits; more when violations are accepted and the number fits 16 bits.
    fn status_code(&mut self, b: &[u8], code: usize, o: &H1Options) -> Result<usize, Stop> {
        let mut end = code;
        let mut status = 0u16;
        while let Some(digit @ b'0'..=b'9') = b.get(end) {
            let grown = status.checked_mul(10).and_then(|s| s.checked_add(u16::from(digit - b'0')));
            match grown {
                Some(grown) if end < code + 3 || o.accept_unsafe => status = grown,
                _ => return Err(Stop::Bad(Reason::StatusLine, end)),
            }
            end += 1;
        }
        match b.get(end) {
            None => Err(Stop::More),
            Some(b' ' | b'\t' | b'\r' | b'\n') if end >= code + 3 && status >= 100 => {
                self.status = status;
                Ok(end)
            }
            Some(_) => Err(Stop::Bad(Reason::StatusLine, end)),
        }
    }
}

/// The end of the target: a blank or the end of the line.
#[inline]
fn target_end(b: &[u8], target: usize, o: &H1Options) -> Result<usize, Stop> {
    let mut end = token::target_end(b, target);
    loop {
        match b.get(end) {
            Some(b' ' | b'\t' | b'\r' | b'\n') => return Ok(end),
            None => return Err(Stop::More),
            Some(b'#' | 0x80..) if o.accept_unsafe => end = token::target_end(b, end + 1),
            Some(_) => return Err(Stop::Bad(Reason::Target, end)),
        }
    }
}

/// The first byte from `at` on that is no blank, and whether exactly one space was skipped.
#[inline]
fn skip_blanks(b: &[u8], at: usize) -> (usize, bool) {
    let mut end = at;
    while b.get(end).copied().is_some_and(token::is_blank) {
        end += 1;
    }
    (end, end == at + 1 && b[at] == b' ')
}

/// The start of the next line; `at` is where this one ends.
fn line_feed(b: &[u8], at: usize) -> Result<usize, Stop> {
    match (b.get(at), b.get(at + 1)) {
        (Some(b'\n'), _) => Ok(at + 1),
        (Some(b'\r'), Some(b'\n')) => Ok(at + 2),
        (None, _) | (Some(b'\r'), None) => Err(Stop::More),
        (Some(b'\r'), _) => Err(Stop::Bad(Reason::BareCr, at)),
        _ => Err(Stop::Bad(Reason::StatusLine, at)),
    }
}

fn is_version_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'/' | b'.')
}
