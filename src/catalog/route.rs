//! How a request finds its handler: each endpoint is one struct literal beside the function that serves it.

use std::pin::Pin;

use hyper::Method;

use super::answer::Answer;
use super::call::Call;
use super::fault::Fault;
use super::params::decode_path;

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

/// Every endpoint, family by family; the first that matches serves.
pub const FAMILIES: &[&[Route]] = &[
    super::kv::ROUTES,
    super::health::ROUTES,
    super::list::ROUTES,
    super::register::ROUTES,
    super::agent::ROUTES,
    super::agent_service::ROUTES,
    super::agent_check::ROUTES,
    super::agent_health::ROUTES,
    super::maintenance::ROUTES,
    super::session::ROUTES,
    super::txn::ROUTES,
    super::query::ROUTES,
    super::event::ROUTES,
    super::coordinate::ROUTES,
    super::status::ROUTES,
    super::operator::ROUTES,
    super::entry::ROUTES,
    super::mesh::ROUTES,
    super::acl::ROUTES,
    super::belonging::ROUTES,
    super::cluster::ROUTES,
    super::region::ROUTES,
    super::outpost::ROUTES,
    super::document::ROUTES,
    super::live::ROUTES,
    super::index::ROUTES,
];

pub fn routes() -> impl Iterator<Item = &'static Route> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// What became of looking for a handler.
pub enum Found {
    Route {
        route: &'static Route,
        args: Vec<String>,
    },
    /// The path is there, with these methods.
    WrongMethod(Vec<&'static Method>),
    Nothing,
}

pub fn find(method: &Method, path: &str) -> Found {
    let mut allowed = Vec::new();
    for route in routes() {
        let Some(args) = matched(route.path, path) else { continue };
        if route.methods.contains(method) {
            return Found::Route { route, args };
        }
        allowed.extend(route.methods);
    }
    if allowed.is_empty() { Found::Nothing } else { Found::WrongMethod(allowed) }
}

/// The captured pieces, decoded, if the path is of that pattern.
fn matched(pattern: &str, path: &str) -> Option<Vec<String>> {
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
        let args = |pattern, path| matched(pattern, path);
        assert_eq!(args("/v1/kv/*key", "/v1/kv/a//b%20c"), Some(vec!["a//b c".to_owned()]));
        assert_eq!(args("/v1/kv/*key", "/v1/kv/"), Some(vec![String::new()]));
        assert_eq!(args("/v1/kv/*key", "/v1/kv"), None);
        assert_eq!(args("/v1/query/:id/execute", "/v1/query/a%2Fb/execute"), Some(vec!["a/b".to_owned()]));
        assert_eq!(args("/v1/query/:id/execute", "/v1/query//execute"), None);
        assert_eq!(args("/v1/query", "/v1/query"), Some(vec![]));
        assert_eq!(args("/v1/query", "/v1/query/"), None);
    }

    #[test]
    fn every_route_is_told_apart_and_documented() {
        for (n, route) in routes().enumerate() {
            assert!(route.path.starts_with('/') && !route.doc.is_empty(), "{}", route.path);
            let same = |other: &&Route| {
                other.path == route.path && other.methods.iter().any(|m| route.methods.contains(m))
            };
            assert_eq!(routes().take(n).filter(same).count(), 0, "{} twice", route.path);
        }
    }

    #[test]
    fn no_route_stands_before_another_of_its_kind() {
        for route in routes() {
            let piece = |part: &'static str| if part.starts_with([':', '*']) { "x" } else { part };
            let path = route.path.split('/').map(piece).collect::<Vec<_>>().join("/");
            for method in route.methods {
                let Found::Route { route: found, .. } = find(method, &path) else { panic!("{path}") };
                assert_eq!(found.path, route.path, "{method} {path}");
            }
        }
    }

    #[test]
    fn wrong_methods_say_which_are_right() {
        assert!(
            matches!(find(&Method::POST, "/v1/agent/self"), Found::WrongMethod(m) if m == [&Method::GET])
        );
        assert!(matches!(find(&Method::GET, "/v1/none"), Found::Nothing));
    }
}
