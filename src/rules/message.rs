//! A whole response kept in memory: an error file or a built-in answer, taken apart once.

use bytes::Bytes;

use crate::http::status::default_answer;

use super::txn::{Reply, ReplyBody};

/// Reads `HTTP/1.x <status> <reason>`, fields and body. Nothing at all is an answer too: the connection just closes.
pub fn parse(raw: &[u8]) -> Result<Reply, String> {
    if raw.is_empty() {
        return Ok(Reply { body: ReplyBody::Raw(Bytes::new()), close: true, ..Reply::default() });
    }
    let (line, mut rest) = cut_line(raw).ok_or("unable to parse headers (error offset: 0)")?;
    let (version, line) = line.split_at_checked(9).ok_or("unable to parse headers (error offset: 0)")?;
    if !version.starts_with(b"HTTP/") || version[8] != b' ' {
        return Err(format!("invalid http version ({})", String::from_utf8_lossy(&version[..8])));
    }
    let (code, reason) = line.split_at_checked(3).ok_or("unable to parse headers (error offset: 9)")?;
    let status = std::str::from_utf8(code).ok().and_then(|c| c.parse::<u16>().ok()).filter(|s| *s >= 100);
    let status = status.ok_or("unable to parse headers (error offset: 9)")?;
    if status < 200 && status != 101 {
        return Err(format!("invalid http status code for an error message ({status})"));
    }
    let mut reply = Reply { status, reason: Some(reason.trim_ascii().into()), ..Reply::default() };
    let mut length = None;
    loop {
        let offset = raw.len() - rest.len();
        let bad = || format!("unable to parse headers (error offset: {offset})");
        let (line, tail) = cut_line(rest).ok_or_else(bad)?;
        rest = tail;
        if line.is_empty() {
            break;
        }
        let colon = memchr::memchr(b':', line).filter(|at| *at > 0).ok_or_else(bad)?;
        let (name, value) = (line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii());
        match &name[..] {
            b"content-length" => {
                let text = std::str::from_utf8(value).map_err(|_| bad())?;
                length = Some(text.parse::<usize>().map_err(|_| bad())?);
                if !matches!(status, 101 | 204 | 304) && !reply.fields.iter().any(|(n, _)| **n == *name) {
                    reply.fields.push((name.into(), value.into()));
                }
            }
            b"transfer-encoding" => return Err("chunk-encoded payload not supported".into()),
            b"connection" | b"keep-alive" | b"proxy-connection" => {
                reply.close |= value.eq_ignore_ascii_case(b"close");
            }
            _ => reply.fields.push((name.into(), value.into())),
        }
    }
    check_length(status, length, rest.len())?;
    if !rest.is_empty() {
        reply.body = ReplyBody::Bytes(Bytes::copy_from_slice(rest));
    }
    Ok(reply)
}

fn check_length(status: u16, announced: Option<usize>, found: usize) -> Result<(), String> {
    match announced {
        _ if matches!(status, 204 | 304) && found > 0 => Err("message payload not expected".into()),
        Some(0) if found > 0 => Err("message payload not expected".into()),
        Some(n) if n != found && !matches!(status, 204 | 304) => {
            Err(format!("payload size does not match the announced content-length ({found} != {n})"))
        }
        _ => Ok(()),
    }
}

/// A line without its end, and what follows.
fn cut_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', bytes)?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

/// The answer that stands for a status when nothing else is configured; 500 for a status without one.
pub fn built_in(status: u16) -> Reply {
    let raw = default_answer(status).or_else(|| default_answer(500)).unwrap_or_default();
    // The built-in texts are well formed (tests walk them).
    parse(&raw).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_apart() {
        let raw = b"HTTP/1.0 403 Forbidden\r\nCache-Control: no-cache\r\nConnection: close\r\nX-Err: a\r\n\r\n<html>";
        let reply = parse(raw).unwrap();
        assert_eq!(reply.status, 403);
        assert_eq!(reply.reason.as_deref(), Some(&b"Forbidden"[..]));
        assert!(reply.close);
        let fields: Vec<_> = reply.fields.iter().map(|(n, v)| (&n[..], &v[..])).collect();
        assert_eq!(fields, [(&b"cache-control"[..], &b"no-cache"[..]), (b"x-err", b"a")]);
        assert!(matches!(reply.body, ReplyBody::Bytes(b) if b == "<html>"));
        assert!(matches!(parse(b"").unwrap().body, ReplyBody::Raw(b) if b.is_empty()));
    }

    #[test]
    fn broken_files_are_refused() {
        for raw in [
            "hello",
            "HTTP/1.1 20",
            "HTTP/1.1 403 No\r\nbroken\r\n\r\n",
            "HTTP/1.1 403 No\r\ncontent-length: 3\r\n\r\nab",
            "HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\nab",
            "HTTP/1.1 403 No\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ] {
            assert!(parse(raw.as_bytes()).is_err(), "{raw}");
        }
    }

    #[test]
    fn every_built_in_answer_parses() {
        for status in crate::http::status::answer_statuses() {
            let reply = built_in(status);
            assert_eq!(reply.status, status);
            assert!(matches!(reply.body, ReplyBody::Bytes(b) if !b.is_empty()));
        }
        assert_eq!(built_in(418).status, 500);
    }
}
