//! Which messages are compressed, by what algorithm, and what their heads say then.

use super::algorithm::Algorithm;
use crate::http::{BodyLen, Head, Method, Version};

/// What `compression` lines say of one direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Direction {
    /// As written. What is written last is preferred where a client has no preference.
    pub algorithms: Vec<Algorithm>,
    /// Beginnings of `Content-Type`; none: all.
    pub types: Vec<Box<[u8]>>,
    /// Shorter bodies are left alone.
    pub least: u64,
}

/// The `compression` lines of a section.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub request: Direction,
    pub response: Direction,
    /// Servers are not told that the client takes compressed responses.
    pub offload: bool,
    /// `compression direction`.
    pub of_requests: bool,
    pub of_responses: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        let (request, response) = Default::default();
        Settings { request, response, offload: false, of_requests: false, of_responses: true }
    }
}

/// The response's algorithm, as far as the request has a say in it. The settings are the backend's and the frontend's.
pub fn offer(req: &Head, settings: [Option<&Settings>; 2]) -> Option<Algorithm> {
    let mut lists = settings.into_iter().flatten().filter(|s| s.of_responses).map(|s| &s.response.algorithms);
    let algorithms = lists.find(|list| !list.is_empty())?;
    if req.field(b"user-agent").is_some_and(is_confused) {
        return None;
    }
    let mut best = (0, None);
    for element in req.list_values(b"accept-encoding") {
        let (name, weight) = weighed(element);
        let is_meant = |a: &&Algorithm| name == b"*" || name.eq_ignore_ascii_case(a.coding().as_bytes());
        if weight > best.0
            && let Some(algorithm) = algorithms.iter().rev().find(is_meant)
        {
            best = (weight, Some(*algorithm));
        }
    }
    let identity = || algorithms.contains(&Algorithm::Identity).then_some(Algorithm::Identity);
    best.1.or_else(identity)
}

/// Says that it takes compressed bodies and does not: old browsers, except for some whose names are near theirs.
fn is_confused(agent: &[u8]) -> bool {
    if !agent.starts_with(b"Mozilla/4") {
        return false;
    }
    let Some(at) = memchr::memmem::find(agent, b"MSIE ") else { return true };
    match agent.get(at + 5) {
        Some(b'7'..=b'9') => false,
        Some(b'6') => memchr::memmem::find(agent, b"SV1").is_none(),
        _ => true,
    }
}

/// An element of `Accept-Encoding`: its name and its weight in thousandths. A weight that is none counts as 1.
pub fn weighed(element: &[u8]) -> (&[u8], u32) {
    let mut parts = element.split(|b| *b == b';');
    let name = parts.next().unwrap_or_default().trim_ascii();
    for part in parts {
        let part = part.trim_ascii();
        let Some((b'q' | b'Q', value)) = part.split_first() else { continue };
        let Some(value) = value.trim_ascii_start().strip_prefix(b"=") else { continue };
        return (name, thousandths(value.trim_ascii()));
    }
    (name, 1000)
}

fn thousandths(value: &[u8]) -> u32 {
    let (whole, digits) = match value {
        [b'0'] => return 0,
        [b'0', b'.', digits @ ..] => (0, digits),
        _ => return 1000,
    };
    let mut unit = 100;
    let mut sum = whole;
    for digit in digits.iter().take(3) {
        if !digit.is_ascii_digit() {
            return 1000;
        }
        sum += u32::from(digit - b'0') * unit;
        unit /= 10;
    }
    sum
}

/// The response may be compressed, by what it says itself.
pub fn is_eligible(res: &Head, req: &Head, settings: [Option<&Settings>; 2]) -> bool {
    let has_length = matches!(res.body, BodyLen::Length(1..) | BodyLen::Chunked);
    if res.version < Version::Http11
        || req.version < Version::Http11
        || req.method == Method::Head
        || !(200..=203).contains(&res.status)
        || !has_length
        || !has_one_validator(res)
    {
        return false;
    }
    let directions = settings.map(|s| s.map(|s| &s.response));
    is_compressible(res, directions)
}

/// What holds for messages of both directions.
fn is_compressible(head: &Head, directions: [Option<&Direction>; 2]) -> bool {
    if head.field(b"content-encoding").is_some() {
        return false;
    }
    if head.list_values(b"cache-control").any(|v| v.eq_ignore_ascii_case(b"no-transform")) {
        return false;
    }
    let least = directions.iter().flatten().map(|d| d.least).find(|n| *n > 0).unwrap_or(0);
    if matches!(head.body, BodyLen::Length(n) if n < least) {
        return false;
    }
    let mut lists = directions.iter().flatten().map(|d| &d.types);
    let types = lists.find(|types| !types.is_empty());
    let begins = |value: &[u8], with: &[u8]| {
        value.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    match (head.list_value(b"content-type", 1), types) {
        (None, types) => types.is_none(),
        (Some(kind), _) if begins(kind, b"multipart") => false,
        (Some(kind), Some(types)) => types.iter().any(|t| begins(kind, t)),
        (Some(_), None) => true,
    }
}

/// No more than one entity tag, and one that is well-formed: it can be made weak.
fn has_one_validator(res: &Head) -> bool {
    let mut tags = res.values(b"etag");
    match (tags.next(), tags.next()) {
        (None, _) => true,
        (Some(tag), None) => {
            let quoted = tag.strip_prefix(b"W/").unwrap_or(tag);
            quoted.len() >= 2 && quoted.starts_with(b"\"") && quoted.ends_with(b"\"")
        }
        _ => false,
    }
}

/// Tells the client: the tag is weak from now on, and how long the body gets is not known.
pub fn announce_response(res: &mut Head, algorithm: Algorithm) {
    let is_tag =
        |(name, value): (&[u8], &[u8])| name.eq_ignore_ascii_case(b"etag") && value.starts_with(b"\"");
    let tag = res.fields().position(is_tag);
    if let Some(at) = tag {
        let weak = [b"W/", res.bytes(res.fields[at].value)].concat();
        res.set_value(at, &weak);
    }
    res.become_chunked();
    res.add(b"vary", b"Accept-Encoding");
    if algorithm != Algorithm::Identity {
        res.add(b"content-encoding", algorithm.coding().as_bytes());
    }
}

/// How the request's body is compressed on its way to the server, if it is.
pub fn request_algorithm(req: &Head, settings: [Option<&Settings>; 2]) -> Option<Algorithm> {
    let settings = settings.map(|s| s.filter(|s| s.of_requests));
    let mut lists = settings.iter().flatten().map(|s| &s.request.algorithms);
    let algorithm = *lists.find(|list| !list.is_empty())?.first()?;
    let has_length = matches!(req.body, BodyLen::Length(1..) | BodyLen::Chunked);
    let directions = settings.map(|s| s.map(|s| &s.request));
    let may =
        req.version >= Version::Http11 && !req.upgrade && has_length && is_compressible(req, directions);
    may.then_some(algorithm)
}

/// Tells the server.
pub fn announce_request(req: &mut Head, algorithm: Algorithm) {
    if algorithm != Algorithm::Identity {
        req.set(b"content-encoding", algorithm.coding().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Algorithm::{Deflate, Gzip, Identity, RawDeflate};

    fn request(fields: &[(&str, &str)]) -> Head {
        let mut head = Head::default();
        fields.iter().for_each(|(name, value)| head.add(name.as_bytes(), value.as_bytes()));
        head
    }

    fn of(algorithms: &[Algorithm]) -> Settings {
        let response = Direction { algorithms: algorithms.to_vec(), ..Direction::default() };
        Settings { response, ..Settings::default() }
    }

    #[test]
    fn the_client_chooses_among_what_is_offered() {
        let (all, both) = (of(&[Gzip, Deflate, RawDeflate]), of(&[Gzip, Deflate]));
        let (one, none) = (of(&[Gzip]), of(&[Gzip, Identity]));
        let table: &[(&Settings, &str, Option<Algorithm>)] = &[
            (&all, "*", Some(RawDeflate)),
            (&all, "deflate", Some(RawDeflate)),
            (&all, "gzip;q=0.5, deflate;q=0.8", Some(RawDeflate)),
            (&all, "deflate, gzip", Some(RawDeflate)),
            (&both, "deflate;q=0.2, gzip", Some(Gzip)),
            (&both, "*;q=0, gzip;q=0.750, deflate;q=0.500", Some(Gzip)),
            (&both, "*;q=0, gzip;q=0.500, deflate;q=0.750", Some(Deflate)),
            (&one, "GZIP", Some(Gzip)),
            (&one, "gzip ; q=0.1", Some(Gzip)),
            (&one, "gzip;q=0", None),
            (&one, "gzip;q=0.000", None),
            (&one, "gzip;q=abc", Some(Gzip)),
            (&one, "x-gzip", None),
            (&one, "identity, gzip;q=0.1", Some(Gzip)),
            (&one, "", None),
            (&none, "br", Some(Identity)),
        ];
        for (settings, accepts, expected) in table {
            let req = request(&[("Accept-Encoding", accepts)]);
            assert_eq!(offer(&req, [Some(settings), None]), *expected, "{accepts}");
            assert_eq!(offer(&req, [None, Some(settings)]), *expected, "{accepts}");
        }
        let req = request(&[("Accept-Encoding", "gzip")]);
        let silent = Settings::default();
        assert_eq!(offer(&req, [Some(&silent), Some(&one)]), Some(Gzip));
        let of_requests = Settings { of_responses: false, of_requests: true, ..one.clone() };
        assert_eq!(offer(&req, [Some(&of_requests), None]), None);
    }

    #[test]
    fn agents_that_do_not_understand_what_they_ask_for() {
        let settings = of(&[Gzip]);
        for (agent, may) in [
            ("Mozilla/4.0", false),
            ("Mozilla/4.0 (compatible; MSIE 7.0)", true),
            ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)", true),
            ("Mozilla/4.0 (compatible; MSIE 6.0)", false),
            ("Mozilla/5.0", true),
        ] {
            let req = request(&[("Accept-Encoding", "gzip"), ("User-Agent", agent)]);
            assert_eq!(offer(&req, [Some(&settings), None]).is_some(), may, "{agent}");
        }
    }

    #[test]
    fn requests_are_compressed_where_lines_say_so() {
        let request = Direction { algorithms: vec![Gzip], types: vec![(*b"text/").into()], least: 10 };
        let settings = Settings { request, of_requests: true, ..Settings::default() };
        let asked = |kind: &str, body| {
            let mut req = Head::default();
            req.body = body;
            req.add(b"content-type", kind.as_bytes());
            request_algorithm(&req, [Some(&settings), None])
        };
        assert_eq!(asked("text/plain", BodyLen::Length(10)), Some(Gzip));
        assert_eq!(asked("Text/plain", BodyLen::Chunked), Some(Gzip));
        assert_eq!(asked("text/plain", BodyLen::Length(9)), None);
        assert_eq!(asked("text/plain", BodyLen::None), None);
        assert_eq!(asked("image/png", BodyLen::Length(10)), None);
        let mut req = Head::default();
        req.body = BodyLen::Length(10);
        req.add(b"content-type", b"text/plain");
        let off = Settings { of_requests: false, ..settings.clone() };
        assert_eq!(request_algorithm(&req, [Some(&off), None]), None);
        req.add(b"content-encoding", b"br");
        assert_eq!(request_algorithm(&req, [Some(&settings), None]), None);
    }
}
