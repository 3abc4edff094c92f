//! Passes requests on to a member, and to another when it is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Body;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::members::{Failed, Members};
use crate::catalog::{self, Answer, Stream, Wire};
use crate::conn;
use crate::conn::http::Bounds;
use crate::region::Seat;
use crate::region::map::{Index, Topic};

/// A request that nobody takes is tried for so long.
const TRIES: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// What changes something is answered within that time, or given up.
const CHANGE: Duration = Duration::from_secs(65);
/// A registration waits so long for the cluster to know of it; later it comes to know.
const SETTLE: Duration = Duration::from_secs(3);
/// An answer that is longer, or that does not say how long it is, is never here whole: it is passed on as the client takes it.
const SHORT: u64 = 64 << 10;

/// Of this connection, not of the request.
const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// What the cluster answers for, though it is said of an agent.
const OF_THE_CLUSTER: [&str; 4] =
    ["/v1/agent/members", "/v1/agent/force-leave", "/v1/agent/connect", "/v1/agent/join"];

pub(super) struct MemberForwarder {
    pub(super) seat: Seat,
    pub(super) members: Arc<Members>,
    /// The index of this node's own map up to which the catalog says the same.
    pub(super) told: watch::Receiver<Index>,
}

impl catalog::Forwarder for MemberForwarder {
    fn takes(&self, path: &str) -> bool {
        let is_under =
            |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        !path.starts_with("/v1/agent/") || OF_THE_CLUSTER.iter().any(|root| is_under(root))
    }

    fn pass(&self, head: Parts, body: Bytes) -> Pin<Box<dyn Future<Output = Wire> + Send + '_>> {
        Box::pin(async move {
            let body = match head.uri.path() {
                "/v1/session/create" => with_node(body, self.seat.node_name()),
                _ => body,
            };
            self.somewhere(&head, body).await.unwrap_or_else(|why| {
                let text = format!("no member of the cluster answers: {why}");
                Answer::text(text).with_status(StatusCode::INTERNAL_SERVER_ERROR).into_wire()
            })
        })
    }

    fn settled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let index = self.seat.map().index_of(&Topic::Node(self.seat.node_name().clone()));
            let mut told = self.told.clone();
            let _ = tokio::time::timeout(SETTLE, told.wait_for(|told| *told >= index)).await;
        })
    }
}

impl MemberForwarder {
    /// Asks members until one answers. What may have arrived is sent again only if it changes nothing.
    async fn somewhere(&self, head: &Parts, body: Bytes) -> Result<Wire, String> {
        let reads = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let until = tokio::time::sleep(TRIES).deadline();
        let mut tried = 0;
        loop {
            let mut watch = self.members.watch();
            let address = watch.borrow_and_update().clone();
            let request = self.request(head, &body, &address).map_err(|e| e.to_string())?;
            let exchange = self.exchange(&address, request);
            let outcome = if reads {
                tokio::select! {
                    outcome = exchange => outcome,
                    // It was found not to answer: a query that waits there waits for nothing.
                    _ = watch.changed() => continue,
                }
            } else {
                let late = |_| Failed { was_sent: true, why: format!("{address}: no answer in time") };
                tokio::time::timeout(CHANGE, exchange).await.map_err(late).flatten()
            };
            let failed = match outcome {
                Ok(wire) => return Ok(wire),
                Err(failed) => failed,
            };
            self.members.next(&address);
            if failed.was_sent && !reads {
                return Err(format!("{}; it may have been done", failed.why));
            }
            tried += 1;
            let now = tokio::time::sleep(Duration::ZERO).deadline();
            if now >= until {
                return Err(failed.why);
            }
            if tried % self.members.len().max(1) == 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn request(
        &self,
        head: &Parts,
        body: &Bytes,
        address: &str,
    ) -> hyper::http::Result<Request<Full<Bytes>>> {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut request =
            Request::builder().method(&head.method).uri(target).body(Full::new(body.clone()))?;
        *request.headers_mut() = end_to_end(&head.headers);
        // A page's own requests are told from others' by it, so it stays as the client said it.
        if !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, HeaderValue::from_str(address)?);
        }
        let has_token = request.headers().contains_key("x-consul-token")
            || request.headers().contains_key(AUTHORIZATION)
            || head.uri.query().is_some_and(|q| q.split('&').any(|pair| pair.starts_with("token=")));
        if let Some(token) = self.members.token.as_ref().filter(|_| !has_token) {
            request.headers_mut().insert("x-consul-token", HeaderValue::from_str(token)?);
        }
        Ok(request)
    }

    /// One question and its answer: the whole of a short one, and the beginning of any other.
    async fn exchange(&self, address: &str, request: Request<Full<Bytes>>) -> Result<Wire, Failed> {
        let (head, body) = self.members.ask(address, request).await?.into_parts();
        let body = if body.size_hint().exact().is_some_and(|length| length <= SHORT) {
            let broken = |e| Failed { was_sent: true, why: format!("{address}: {e}") };
            let whole = conn::http::read(body, Bounds::of(SHORT as usize)).await.map_err(broken)?;
            Either::Left(Full::new(whole))
        } else {
            Either::Right(Stream::Passed(body))
        };
        let mut wire = Response::new(body);
        *wire.status_mut() = head.status;
        *wire.headers_mut() = end_to_end(&head.headers);
        Ok(wire)
    }
}

/// The fields that go from end to end. A body's length is said anew.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    let stays = |name: &HeaderName| {
        let text = name.as_str();
        !HOP_BY_HOP.contains(&text)
            && *name != TRANSFER_ENCODING
            && text != "content-length"
            && !named.iter().any(|n| n == text)
    };
    headers.iter().filter(|(name, _)| stays(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// A session that names no node is one of this node, not of the member that makes it.
fn with_node(body: Bytes, node: &str) -> Bytes {
    let given: Option<Map<String, Value>> = match body.is_empty() {
        true => Some(Map::new()),
        false => serde_json::from_slice(&body).ok(),
    };
    let Some(mut fields) = given else { return body };
    let named = |(name, value): (&String, &Value)| {
        name.eq_ignore_ascii_case("node") && value.as_str().is_some_and(|text| !text.is_empty())
    };
    if fields.iter().any(named) {
        return body;
    }
    fields.retain(|name, _| !name.eq_ignore_ascii_case("node"));
    fields.insert("Node".into(), node.into());
    Value::Object(fields).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Forwarder;
    use crate::region::Direct;

    #[test]
    fn what_is_its_own_stays_here() {
        let forwarder = MemberForwarder {
            seat: Direct::seat("a", ""),
            members: Arc::new(Members::new(vec!["x:1".into()], None, None)),
            told: watch::channel(0).1,
        };
        for path in
            ["/v1/agent/self", "/v1/agent/service/register", "/v1/agent/checks", "/v1/agent/membership"]
        {
            assert!(!forwarder.takes(path), "{path}");
        }
        for path in ["/v1/kv/a", "/ui", "/", "/v1/agent/members", "/v1/agent/connect/ca/roots", "/v1/agentx"]
        {
            assert!(forwarder.takes(path), "{path}");
        }
    }

    #[test]
    fn a_session_is_of_this_node_unless_it_says_otherwise() {
        let of =
            |body: &'static str| String::from_utf8_lossy(&with_node(Bytes::from(body), "a")).into_owned();
        assert_eq!(of(""), r#"{"Node":"a"}"#);
        assert_eq!(of(r#"{"TTL":"10s","node":""}"#), r#"{"Node":"a","TTL":"10s"}"#);
        assert_eq!(of(r#"{"NODE":"b"}"#), r#"{"NODE":"b"}"#);
        assert_eq!(of("no json"), "no json");
    }

    #[test]
    fn fields_of_a_connection_are_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-mine"),
            ("x-mine", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("x-consul-index", "7"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let left = end_to_end(&headers);
        assert_eq!(left.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["x-consul-index"]);
    }
}
