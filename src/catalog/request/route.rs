//! How a request finds its handler: each endpoint is one struct literal beside the function that serves it.

use std::pin::Pin;

use hyper::Method;

use crate::catalog::request::answer::Answer;
use crate::catalog::request::call::Call;
use crate::catalog::request::fault::Fault;
use crate::catalog::request::params::decode_path;

pub type Outcome = Result<Answer, Fault>;

/// A handler at work. Dropping it, when the peer closes, frees all that it holds.
pub type Work<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// One endpoint.
pub struct Route {
    pub methods: &'static [Method],
    /// Segments; `:name` takes one, `*name` at the end the rest of the path, slashes and all, which may be empty.
    pub path: &'static str,
    /// Bytes of body it reads; above it is 413.
    pub body: usize,
    pub run: for<'a> fn(&'a Call) -> Work<'a>,
    pub doc: &'static str,
}

/// The body of a key's value.
pub const VALUE: usize = 512 << 10;
/// The body of everything else that has one.
pub const DOCUMENT: usize = 1 << 20;

pub const GET: &[Method] = &[Method::GET];
pub const PUT: &[Method] = &[Method::PUT];
pub const POST: &[Method] = &[Method::POST];
pub const DELETE: &[Method] = &[Method::DELETE];
/// What changes something and was once a GET, as old clients still send it.
pub const PUT_OR_GET: &[Method] = &[Method::PUT, Method::GET];
pub const PUT_OR_POST: &[Method] = &[Method::PUT, Method::POST];

/// The captured pieces, decoded, if the path is of that pattern.
pub fn captured(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut args = Vec::new();
    let mut rest = Some(path);
    for wanted in pattern.split('/') {
        let at = rest?;
        if wanted.starts_with('*') {
            args.push(decode_path(at));
            return Some(args);
        }
        let (segment, tail) = match at.split_once('/') {
            Some((segment, tail)) => (segment, Some(tail)),
            None => (at, None),
        };
        if wanted.starts_with(':') {
            if segment.is_empty() {
                return None;
            }
            args.push(decode_path(segment));
        } else if wanted != segment {
            return None;
        }
        rest = tail;
    }
    rest.is_none().then_some(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_capture_segments_and_rests() {
        let args = |pattern, path| captured(pattern, path);
        assert_eq!(args("/v1/kv/*key", "/v1/kv/a//b%20c"), Some(vec!["a//b c".to_owned()]));
        assert_eq!(args("/v1/kv/*key", "/v1/kv/"), Some(vec![String::new()]));
        assert_eq!(args("/v1/kv/*key", "/v1/kv"), None);
        assert_eq!(args("/v1/query/:id/execute", "/v1/query/a%2Fb/execute"), Some(vec!["a/b".to_owned()]));
        assert_eq!(args("/v1/query/:id/execute", "/v1/query//execute"), None);
        assert_eq!(args("/v1/query", "/v1/query"), Some(vec![]));
        assert_eq!(args("/v1/query", "/v1/query/"), None);
    }
}
