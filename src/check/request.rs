//! The bytes of an HTTP check's request, as HAProxy's HTTP/1 side writes them.

use crate::rules::Ctx;

use super::phrase::Phrase;
use super::rule::Request;

/// A request whose texts are made.
pub struct Filled {
    pub method: String,
    pub uri: String,
    pub version: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// Fills in what `now` tells. A target that comes out empty is `/`.
pub fn fill(request: &Request, now: Option<Ctx<'_>>) -> Filled {
    let headers = request.headers.iter().map(|(name, value)| (name.clone(), value.bytes(now).into_owned()));
    let headers: Vec<(String, Vec<u8>)> = headers.collect();
    let uri = request.uri.as_ref().map(|uri| uri.text(now)).filter(|uri| !uri.is_empty());
    let host = headers.iter().find(|(name, _)| name == "host");
    let host = host.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    Filled {
        method: request.method.clone().unwrap_or_else(|| "OPTIONS".to_owned()),
        uri: with_authority(uri.as_deref().unwrap_or("/"), host.as_deref()),
        version: request.version.clone().unwrap_or_else(|| "HTTP/1.0".to_owned()),
        headers,
        body: request.body.as_ref().map_or_else(Vec::new, |body: &Phrase| body.bytes(now).into_owned()),
    }
}

/// `state` is the value of `X-Haproxy-Server-State` with `http-check send-state`.
pub fn encode(request: &Filled, state: Option<&str>) -> Vec<u8> {
    let Filled { method, uri, version, headers, body } = request;
    let has_host = headers.iter().any(|(name, _)| name == "host");

    let mut out = format!("{method} {uri} {version}\r\n").into_bytes();
    let mut field = |name: &str, value: &[u8]| {
        if !value.is_empty() {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    };
    // An authority in the request line makes the Host field when none was given.
    if !has_host && let Some((_, authority, _)) = split_absolute(uri) {
        field("host", authority.as_bytes());
    }
    let upgrades = headers.iter().any(|(name, value)| name == "upgrade" && !value.is_empty());
    let mut has_connection = false;
    for (name, value) in headers {
        if name == "connection" {
            // Keep-alive is not spoken: only "close" is worth sending, and what asks for another protocol.
            has_connection = true;
            let asks = upgrades && value.eq_ignore_ascii_case(b"upgrade");
            if !asks && !value.eq_ignore_ascii_case(b"close") {
                continue;
            }
        }
        field(name, value);
    }
    if let Some(state) = state {
        field("x-haproxy-server-state", state.as_bytes());
    }
    let is_bodyless = matches!(&**method, "OPTIONS" | "GET" | "HEAD" | "DELETE");
    if !is_bodyless || !body.is_empty() {
        field("content-length", body.len().to_string().as_bytes());
    }
    // HTTP/1.0 closes anyway.
    if !has_connection && version != "HTTP/1.0" {
        field("connection", b"close");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

/// Scheme with `://`, authority and path of an absolute URI.
fn split_absolute(uri: &str) -> Option<(&str, &str, &str)> {
    let scheme = uri.find("://")? + 3;
    if uri.starts_with('/') {
        return None;
    }
    let path = uri[scheme..].find('/').map_or(uri.len(), |at| scheme + at);
    Some((&uri[..scheme], &uri[scheme..path], &uri[path..]))
}

/// An absolute URI takes the authority of the Host field.
fn with_authority(uri: &str, host: Option<&str>) -> String {
    match (split_absolute(uri), host) {
        (Some((scheme, _, path)), Some(host)) => format!("{scheme}{host}{path}"),
        _ => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(request: &Request) -> String {
        String::from_utf8(encode(&fill(request, None), None)).unwrap()
    }

    fn request(method: &str, uri: &str, version: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: Some(method.to_owned()),
            uri: Some(Phrase::fixed(uri)),
            version: Some(version.to_owned()),
            headers: headers.iter().map(|(n, v)| (n.to_string(), Phrase::fixed(v))).collect(),
            body: None,
            ..Request::default()
        }
    }

    /// Requests recorded from HAProxy 2.6.12.
    #[test]
    fn requests_are_those_of_haproxy() {
        assert_eq!(text(&Request::default()), "OPTIONS / HTTP/1.0\r\n\r\n");
        let mut r = request("GET", "/x", "HTTP/1.1", &[("host", "www"), ("x-foo", "bar")]);
        r.body = Some(Phrase::fixed("abc"));
        assert_eq!(
            text(&r),
            "GET /x HTTP/1.1\r\nhost: www\r\nx-foo: bar\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc"
        );
        assert_eq!(
            text(&request("POST", "/p", "HTTP/1.1", &[])),
            "POST /p HTTP/1.1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(
            text(&request("PUT", "/u?q=1", "HTTP/1.1", &[("host", "a.b"), ("connection", "keep-alive")])),
            "PUT /u?q=1 HTTP/1.1\r\nhost: a.b\r\ncontent-length: 0\r\n\r\n"
        );
        assert_eq!(
            text(&request("GET", "http://h.example/x", "HTTP/1.1", &[("host", "other")])),
            "GET http://other/x HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(
            String::from_utf8(encode(&fill(&Request::default(), None), Some("UP 1/3"))).unwrap(),
            "OPTIONS / HTTP/1.0\r\nx-haproxy-server-state: UP 1/3\r\n\r\n"
        );
    }
}
