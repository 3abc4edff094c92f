//! The bytes of an HTTP check's request, as HAProxy's HTTP/1 side writes them.

use super::rule::Request;

/// `state` is the value of `X-Haproxy-Server-State` with `http-check send-state`.
pub fn encode(request: &Request, state: Option<&str>) -> Vec<u8> {
    let method = request.method.as_deref().unwrap_or("OPTIONS");
    let version = request.version.as_deref().unwrap_or("HTTP/1.0");
    let host = request.headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value.as_str());
    let uri = with_authority(request.uri.as_deref().unwrap_or("/"), host);
    let body = request.body.as_deref().unwrap_or_default();

    let mut out = format!("{method} {uri} {version}\r\n").into_bytes();
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    };
    // An authority in the request line makes the Host field when none was given.
    if host.is_none()
        && let Some((_, authority, _)) = split_absolute(&uri)
    {
        field("host", authority);
    }
    let mut has_connection = false;
    for (name, value) in &request.headers {
        if name == "connection" {
            // Keep-alive is not spoken: only "close" is worth sending.
            has_connection = true;
            if !value.eq_ignore_ascii_case("close") {
                continue;
            }
        }
        field(name, value);
    }
    if let Some(state) = state {
        field("x-haproxy-server-state", state);
    }
    let is_bodyless = matches!(method, "OPTIONS" | "GET" | "HEAD" | "DELETE");
    if !is_bodyless || !body.is_empty() {
        field("content-length", &body.len().to_string());
    }
    // HTTP/1.0 closes anyway.
    if !has_connection && version != "HTTP/1.0" {
        field("connection", "close");
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
        String::from_utf8(encode(request, None)).unwrap()
    }

    fn request(method: &str, uri: &str, version: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: Some(method.to_owned()),
            uri: Some(uri.to_owned()),
            version: Some(version.to_owned()),
            headers: headers.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
            body: None,
        }
    }

    /// Requests recorded from HAProxy 2.6.12.
    #[test]
    fn requests_are_those_of_haproxy() {
        assert_eq!(text(&Request::default()), "OPTIONS / HTTP/1.0\r\n\r\n");
        let mut r = request("GET", "/x", "HTTP/1.1", &[("host", "www"), ("x-foo", "bar")]);
        r.body = Some(b"abc".to_vec());
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
            String::from_utf8(encode(&Request::default(), Some("UP 1/3"))).unwrap(),
            "OPTIONS / HTTP/1.0\r\nx-haproxy-server-state: UP 1/3\r\n\r\n"
        );
    }
}
