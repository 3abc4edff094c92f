//! What a server answered to an HTTP check, as far as it has arrived.

use std::borrow::Cow;
use std::mem::MaybeUninit;

/// Most header fields of an answer that is accepted (`tune.http.maxhdr`).
const FIELDS_MAX: usize = 101;

/// A response whose head is complete.
#[derive(Debug, Default)]
pub struct Answer<'a> {
    pub status: u16,
    pub reason: &'a str,
    /// Values are without spaces around them.
    pub fields: Vec<(&'a str, &'a [u8])>,
    /// Without transfer coding.
    pub body: Cow<'a, [u8]>,
    /// The body is complete by its framing.
    pub is_whole: bool,
}

/// How far an answer is.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The head is not complete.
    Partial,
    Invalid,
    Head(Answer<'a>),
}

/// Reads the bytes received up to now. `is_head` tells that the request was `HEAD`: no body follows.
pub fn parse(mut bytes: &[u8], is_head: bool) -> Progress<'_> {
    loop {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let how = httparse::ParserConfig::default();
        let end = match how.parse_response_with_uninit_headers(&mut response, bytes, &mut fields) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Progress::Partial,
            Err(_) => return Progress::Invalid,
        };
        let status = response.code.unwrap_or(0);
        if (100..200).contains(&status) && status != 101 {
            // An interim response: the real one follows, behind however many of these.
            bytes = &bytes[end..];
            continue;
        }
        let fields = response.headers.iter().map(|field| (field.name, field.value.trim_ascii())).collect();
        let reason = response.reason.unwrap_or("");
        let mut answer = Answer { status, reason, fields, ..Answer::default() };
        answer.read_body(&bytes[end..], is_head);
        return Progress::Head(answer);
    }
}

impl<'a> Answer<'a> {
    fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| *v)
    }

    fn read_body(&mut self, bytes: &'a [u8], is_head: bool) {
        if is_head || matches!(self.status, 101 | 204 | 304) {
            self.is_whole = true;
            return;
        }
        let coding = self.field("transfer-encoding").map(<[u8]>::to_ascii_lowercase);
        if coding.is_some_and(|c| c.ends_with(b"chunked")) {
            let (body, is_whole) = unchunk(bytes);
            (self.body, self.is_whole) = (body.into(), is_whole);
            return;
        }
        let length =
            self.field("content-length").and_then(|v| std::str::from_utf8(v).ok()?.parse::<usize>().ok());
        match length {
            Some(length) => {
                self.body = bytes[..bytes.len().min(length)].into();
                self.is_whole = bytes.len() >= length;
            }
            None => self.body = bytes.into(),
        }
    }
}

/// The data of the chunks that are complete or begun, and whether the last one was seen.
fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(bytes) {
        if size == 0 {
            return (body, true);
        }
        let rest = &bytes[start..];
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        body.extend_from_slice(&rest[..rest.len().min(size)]);
        match size.checked_add(2).and_then(|end| rest.get(end..)) {
            Some(next) => bytes = next,
            None => break,
        }
    }
    (body, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> Answer<'_> {
        match parse(bytes, false) {
            Progress::Head(a) => a,
            other => panic!("{other:?}"),
        }
    }

    /// As many as fit into what is read of an answer, on the little stack that a thread has.
    #[test]
    fn interim_responses_are_passed_over_however_many_they_are() {
        let bytes = [b"HTTP/1.1 100\r\n\r\n".repeat(1024), b"HTTP/1.1 204\r\n\r\n".to_vec()].concat();
        let read = move || head(&bytes).status;
        let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(read).unwrap();
        assert_eq!(thread.join().unwrap(), 204);
    }

    #[test]
    fn bodies_by_their_framing() {
        let a = head(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd");
        assert_eq!((a.status, a.reason, &*a.body, a.is_whole), (200, "OK", &b"abc"[..], true));
        let a = head(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabcd");
        assert_eq!((&*a.body, a.is_whole), (&b"abcd"[..], false));
        let a =
            head(b"HTTP/1.1 503\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n");
        assert_eq!((a.status, a.reason, &*a.body, a.is_whole), (503, "", &b"abcde"[..], true));
        assert!(!head(b"HTTP/1.0 200 OK\r\n\r\nabc").is_whole);
        assert_eq!(head(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\n\r\n").status, 404);
    }

    #[test]
    fn garbage_and_fragments() {
        assert!(matches!(parse(b"HTTP/1.1 200 OK\r\nConte", false), Progress::Partial));
        assert!(matches!(parse(b"", false), Progress::Partial));
        for bytes in [
            &b"garbage\r\n\r\n"[..],
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
            b"SSH-2.0-x\r\n",
        ] {
            assert!(matches!(parse(bytes, false), Progress::Invalid), "{}", bytes.escape_ascii());
        }
    }
}
