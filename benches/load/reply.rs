//! What the client needs of a response: status, length, whether the connection ends, and how much is still to come.

/// The head of a response.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Bytes of the head itself.
    pub head_len: usize,
    pub body_len: u64,
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
    let mut body_len = None;
    let mut close = response.version == Some(0);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            body_len = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
        } else if header.name.eq_ignore_ascii_case("connection") {
            close |= header.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Head { status, head_len, body_len: body_len.ok_or(NoHead::Malformed)?, close })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_needs_its_blank_line_and_a_length() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        assert_eq!(head(whole), Ok(Head { status: 200, head_len: 57, body_len: 5, close: true }));
        assert_eq!(head(&whole[..40]), Err(NoHead::Partial));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\n\r\n"), Err(NoHead::Malformed));
        assert_eq!(head(b"xxxxxxxx"), Err(NoHead::Malformed));
    }
}
