//! Requests: read within bounds, answered, and what all answers have.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION};
use hyper::{Method, Request, StatusCode};

use crate::catalog::acl::store;
use crate::catalog::agent::standing::first_answer;
use crate::catalog::api::{Api, Forwarder};
use crate::catalog::cluster::server;
use crate::catalog::endpoints::{Found, find};
use crate::catalog::request::budget::{Share, no_room};
use crate::catalog::request::{Answer, Budget, Call, Fault, Outcome, Params, Route, Wire, is_text, zip};
use crate::conn;
use crate::conn::http::{Limits, Listener, TwoLengths};

/// A connection may be silent, or take for a head, this long: longer than clients keep idle ones (Go: 90 s), so that it is
/// they who close; less when others wait for its place.
const HEAD: Duration = Duration::from_secs(300);
/// For the handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A body must have come within that time.
const BODY: Duration = Duration::from_secs(30);
/// What is read of a body that is too large before the connection is given up, so that the client reads why.
const DRAIN: usize = 8 << 20;
/// A head may have that many bytes; a URL with a filter is a few.
const HEAD_BYTES: usize = 64 << 10;
/// A peer may take nothing of an answer for so long, in milliseconds.
const PATIENCE_MS: u32 = 60_000;

/// Serves until it is dropped.
pub async fn serve(listeners: Vec<Listener>, api: Arc<Api>) {
    let mut keeping = tokio::task::JoinSet::new();
    keeping.spawn(server::keep(api.clone()));
    let limits = Limits {
        connections: api.settings.connections,
        handshake: HANDSHAKE,
        head: HEAD,
        head_bytes: HEAD_BYTES,
        patience_ms: PATIENCE_MS,
        drain: Duration::ZERO,
    };
    let handler = move |request| respond(api.clone(), request);
    conn::http::serve(listeners, limits, handler, std::future::pending()).await;
    while keeping.join_next().await.is_some() {}
}

async fn respond(api: Arc<Api>, mut request: Request<Incoming>) -> Wire {
    // The same without the body, which is left out on the wire (RFC 9110 section 9.3.2).
    if request.method() == Method::HEAD {
        *request.method_mut() = Method::GET;
    }
    let forwarder = api.forwarder.get().cloned();
    if let Some(forwarder) = forwarder.as_ref().filter(|forwarder| forwarder.takes(request.uri().path())) {
        return pass_on(&api, &**forwarder, request).await;
    }
    let changes = request.method() != Method::GET;
    let policy = if api.settings.write_token.is_some() { "deny" } else { "allow" };
    let takes_gzip = zip::is_taken(request.headers());
    let (answers, zipping) = (api.answers.clone(), api.zipping.clone());
    let mut answer = answer(api, request).await.unwrap_or_else(Answer::from);
    if takes_gzip {
        answer = zip::zipped(answer, &answers, &zipping).await;
    }
    if let Err(fault) = answer.hold(&answers) {
        answer = Answer::from(fault).with("retry-after", "1");
    }
    if let Some(forwarder) = forwarder.filter(|_| changes && answer.status.is_success()) {
        forwarder.settled().await;
    }
    answer.headers.insert("x-consul-default-acl-policy", HeaderValue::from_static(policy));
    answer.headers.insert("vary", HeaderValue::from_static("Accept-Encoding"));
    answer.into_wire()
}

async fn pass_on(api: &Api, forwarder: &dyn Forwarder, request: Request<Incoming>) -> Wire {
    let (head, body) = request.into_parts();
    let mut share = Share::default();
    let slow = |_| Fault::new(StatusCode::REQUEST_TIMEOUT, "the body took too long");
    let body = tokio::time::timeout(BODY, collect(&api.bodies, &mut share, DRAIN, body))
        .await
        .map_err(slow)
        .flatten();
    match body {
        Ok(body) => forwarder.pass(head, body).await,
        Err(fault) => Answer::from(fault).into_wire(),
    }
}

async fn answer(api: Arc<Api>, request: Request<Incoming>) -> Outcome {
    let (head, body) = request.into_parts();
    if head.extensions.get::<TwoLengths>().is_some() {
        return Err(Fault::bad_request("Content-Length with Transfer-Encoding"));
    }
    if !is_text(head.uri.path()) {
        return Err(Fault::bad_request("Invalid URL: the path is not UTF-8"));
    }
    if head.uri.path() == "/v1/kv" {
        return Ok(moved("/v1/kv/", head.uri.query()));
    }
    let (route, args) = match find(&head.method, head.uri.path()) {
        Found::Route { route, args } => (route, args),
        Found::WrongMethod(allowed) => return Ok(wrong_method(&head.method, &allowed)),
        Found::Nothing => {
            let text = "Invalid URL path: not a recognized HTTP API endpoint";
            return Err(Fault::not_found(text));
        }
    };
    let changes = head.method != Method::GET || route.methods.contains(&Method::PUT);
    if changes && is_cross_site(&head.headers) {
        return Err(Fault::forbidden("a page of another site may change nothing"));
    }
    let params = Params::parse(head.uri.query().unwrap_or_default())?;
    first_answer(&api).await;
    let token = token(&head.headers, &params);
    let authority = store::authority(&api, token.as_deref())?;
    // What a request holds counts until it is answered.
    let mut share = Share::default();
    let body = read_body(&api.bodies, &mut share, route, &head.headers, body).await?;
    let call = Call { api, args, params, body, token, authority };
    call.in_datacenter(call.params.text("dc").unwrap_or_default())?;
    let answer = (route.run)(&call).await?;
    Ok(if call.params.has("pretty") { answer.pretty() } else { answer })
}

/// Whether a browser sends this for a page that is not of this server: such pages can send POST, and with old clients'
/// ways GET, without asking first.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            text("host") != Some(authority)
        }
        (None, None) => false,
    }
}

/// As Go's server answers for a path that wants a slash at its end.
fn moved(path: &str, query: Option<&str>) -> Answer {
    let to = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut answer = Answer::done().with_status(StatusCode::MOVED_PERMANENTLY);
    if let Ok(value) = HeaderValue::from_str(&to) {
        answer.headers.insert(LOCATION, value);
    }
    answer
}

fn wrong_method(method: &Method, allowed: &[&'static Method]) -> Answer {
    let list = allowed.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(",");
    let mut answer = match *method {
        Method::OPTIONS => Answer::done(),
        _ => Answer::from(Fault::new(StatusCode::METHOD_NOT_ALLOWED, format!("method {method} not allowed"))),
    };
    if let Ok(value) = HeaderValue::from_str(&list) {
        answer.headers.insert(ALLOW, value);
    }
    answer
}

/// From `X-Consul-Token`, `Authorization: Bearer`, or `?token`, which old clients send.
fn token(headers: &HeaderMap, params: &Params) -> Option<String> {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
    let bearer = header(AUTHORIZATION.as_str()).and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let given = header("x-consul-token").or(bearer).or(params.text("token"));
    given.filter(|token| !token.is_empty()).map(str::to_owned)
}

async fn read_body(
    budget: &Budget,
    share: &mut Share,
    route: &Route,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Bytes, Fault> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|len| len > DRAIN.max(route.body)) {
        return Err(Fault::too_large(route.body));
    }
    let slow = |_| Fault::new(StatusCode::REQUEST_TIMEOUT, "the body took too long");
    tokio::time::timeout(BODY, collect(budget, share, route.body, body)).await.map_err(slow)?
}

/// What a request has beyond what its endpoint reads is an error only where something is read. What comes counts as it
/// comes: one who says that much will come, and is slow to send it, takes nothing from others.
async fn collect(
    budget: &Budget,
    share: &mut Share,
    limit: usize,
    mut body: Incoming,
) -> Result<Bytes, Fault> {
    let mut read = BytesMut::new();
    let mut total = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Fault::bad_request(format!("reading the body: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total <= limit {
            if !budget.grow(share, total) {
                return Err(no_room("Too many bodies are being received"));
            }
            read.extend_from_slice(&data);
        } else if total > DRAIN {
            break;
        }
    }
    if total > limit && (limit > 0 || total > DRAIN) {
        Err(Fault::too_large(limit))
    } else {
        Ok(read.freeze())
    }
}
