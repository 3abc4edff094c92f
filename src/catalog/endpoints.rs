//! Every endpoint of the API, and which of them serves a request.

use hyper::Method;

use super::{acl, agent, cluster, event, kv, mesh, registry, session, ui};
use crate::catalog::request::route::captured;
use crate::catalog::request::{Answer, Call, GET, Outcome, Route};

/// The list of endpoints.
const INDEX: &[Route] =
    &[Route { methods: GET, path: "/v1/", body: 0, run: |call| Box::pin(list(call)), doc: "This list." }];

async fn list(_: &Call) -> Outcome {
    let mut text = String::new();
    for route in routes() {
        let methods: Vec<&str> = route.methods.iter().map(|method| method.as_str()).collect();
        text.push_str(&format!("{:<8} {:<44} {}\n", methods.join(","), route.path, route.doc));
    }
    Ok(Answer::text(text))
}

/// Every endpoint, family by family; the first that matches serves.
pub const FAMILIES: &[&[Route]] = &[
    kv::key::ROUTES,
    registry::health::ROUTES,
    registry::list::ROUTES,
    registry::register::ROUTES,
    agent::node::ROUTES,
    agent::monitor::ROUTES,
    agent::service::ROUTES,
    agent::check::ROUTES,
    agent::health::ROUTES,
    agent::maintenance::ROUTES,
    session::endpoint::ROUTES,
    kv::txn::ROUTES,
    registry::query::ROUTES,
    event::ROUTES,
    registry::coordinate::ROUTES,
    cluster::status::ROUTES,
    cluster::operator::ROUTES,
    cluster::archive::ROUTES,
    mesh::entry::ROUTES,
    mesh::intention::ROUTES,
    mesh::chain::ROUTES,
    mesh::absent::ROUTES,
    acl::ROUTES,
    cluster::place::ROUTES,
    cluster::node::ROUTES,
    cluster::region::ROUTES,
    cluster::dns::ROUTES,
    cluster::vip::ROUTES,
    agent::client::ROUTES,
    cluster::document::ROUTES,
    cluster::mirror::ROUTES,
    ui::live::ROUTES,
    ui::summary::ROUTES,
    INDEX,
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
        let Some(args) = captured(route.path, path) else { continue };
        if route.methods.contains(method) {
            return Found::Route { route, args };
        }
        allowed.extend(route.methods);
    }
    if allowed.is_empty() { Found::Nothing } else { Found::WrongMethod(allowed) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
