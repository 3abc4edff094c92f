//! What the client needs of a response: status, length, whether the connection ends, and how much is still to come;
//! and what a path asks an origin for.

/// The head of a response.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Bytes of the head itself.
    pub head_len: usize,
    /// `None`: the body is chunked.
    pub body_len: Option<u64>,
    pub close: bool,
}

/// Why bytes are not a head.
#[derive(Debug, PartialEq, Eq)]
pub enum NoHead {
    /// More bytes are needed.
    Partial,
    /// Not HTTP, or a body whose length is not announced.
    Malformed,
}

/// Parses a head at the start of `bytes`.
pub fn head(bytes: &[u8]) -> Result<Head, NoHead> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head_len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Err(NoHead::Partial),
        Err(_) => return Err(NoHead::Malformed),
    };
    let status = response.code.unwrap_or(0);
    let (mut body_len, mut chunked) = (None, false);
    let mut close = response.version == Some(0);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            body_len = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked |= header.value.eq_ignore_ascii_case(b"chunked");
        } else if header.name.eq_ignore_ascii_case("connection") {
            close |= header.value.eq_ignore_ascii_case(b"close");
        }
    }
    if body_len.is_none() && !chunked {
        return Err(NoHead::Malformed);
    }
    Ok(Head { status, head_len, body_len, close })
}

/// The body that a path asks for: `/N` is N bytes, `/CxN` is C chunks of N bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Body {
    /// 0: it is not chunked.
    pub chunks: u64,
    pub size: u64,
}

impl Body {
    pub fn of_path(path: &str) -> Option<Body> {
        let text = path.trim_start_matches('/');
        match text.split_once('x') {
            Some((chunks, size)) => Some(Body { chunks: chunks.parse().ok()?, size: size.parse().ok()? }),
            None => Some(Body { chunks: 0, size: text.parse().ok()? }),
        }
    }

    /// Bytes on the wire, framing and all.
    pub fn wire_len(&self) -> u64 {
        match self.chunks {
            0 => self.size,
            chunks => chunks * (format!("{:x}\r\n\r\n", self.size).len() as u64 + self.size) + 5,
        }
    }

    /// The whole chunked body; an unchunked one is filler.
    pub fn chunked(&self) -> Vec<u8> {
        let chunk =
            [format!("{:x}\r\n", self.size).as_bytes(), &vec![b'x'; self.size as usize], b"\r\n"].concat();
        [chunk.repeat(self.chunks as usize).as_slice(), b"0\r\n\r\n"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_needs_its_blank_line_and_a_length() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        assert_eq!(head(whole), Ok(Head { status: 200, head_len: 57, body_len: Some(5), close: true }));
        assert_eq!(head(&whole[..40]), Err(NoHead::Partial));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\n\r\n"), Err(NoHead::Malformed));
        assert_eq!(head(b"xxxxxxxx"), Err(NoHead::Malformed));
        let chunked = head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(chunked.map(|head| head.body_len), Ok(None));
    }

    #[test]
    fn a_path_asks_for_a_length_or_for_chunks() {
        assert_eq!(Body::of_path("/128").map(|body| body.wire_len()), Some(128));
        let body = Body::of_path("/10x20").expect("ten chunks of twenty bytes");
        assert_eq!(body.chunked().len() as u64, body.wire_len());
        assert!(body.chunked().starts_with(b"14\r\nxx"));
        assert_eq!(Body::of_path("/x"), None);
    }
}
