//! Checks by HTTP: 2xx passes, 429 warns, everything else is critical.

use std::collections::BTreeMap;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::conn::http::{Connection, Ending, beginning};
use crate::region::map::{Health, Name};

use super::machine::{Finding, OUTPUT_MAX};
use super::{socket, tls};

/// Most redirections followed.
const REDIRECTS_MAX: usize = 10;

#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) skip_verify: bool,
    pub(super) redirects: bool,
}

/// What a server answered.
struct Answer {
    status: hyper::StatusCode,
    location: Option<String>,
    text: String,
}

type Fields = BTreeMap<Name, Vec<Name>>;

pub(super) async fn check(url: &str, method: &str, fields: &Fields, body: &str, how: How) -> Finding {
    let method = if method.is_empty() { "GET" } else { method };
    let fail = |what: String| Finding::critical(format!("{method} {url}: {what}"));
    let mut uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(e) => return fail(format!("{e}")),
    };
    let (mut verb, mut content) = (method.to_owned(), body);
    for _ in 0..=REDIRECTS_MAX {
        let answer = match ask(&uri, &verb, fields, content, how.skip_verify).await {
            Ok(answer) => answer,
            Err(what) => return fail(what),
        };
        let code = answer.status.as_u16();
        let next =
            answer.location.as_deref().filter(|_| how.redirects && matches!(code, 301..=303 | 307 | 308));
        let Some(next) = next else { return judge(url, method, &answer) };
        // As browsers do it: what redirects to another place with 303 (and 301, 302) is then only looked at.
        if code < 304 && verb != "HEAD" {
            (verb, content) = ("GET".to_owned(), "");
        }
        match redirected(&uri, next) {
            Some(next) => uri = next,
            None => return fail(format!("redirected to {next:?}, which is no URL")),
        }
    }
    fail(format!("stopped after {REDIRECTS_MAX} redirects"))
}

fn judge(url: &str, method: &str, answer: &Answer) -> Finding {
    let status = match answer.status.as_u16() {
        200..=299 => Health::Passing,
        429 => Health::Warning,
        _ => Health::Critical,
    };
    Finding::new(status, format!("HTTP {method} {url}: {} Output: {}", answer.status, answer.text))
}

/// Where `location`, in an answer from `from`, leads.
fn redirected(from: &Uri, location: &str) -> Option<Uri> {
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let absolute = match location {
        whole if whole.contains("://") => whole.to_owned(),
        other_host if other_host.starts_with("//") => format!("{scheme}:{other_host}"),
        path if path.starts_with('/') => format!("{scheme}://{authority}{path}"),
        query if query.starts_with('?') => format!("{scheme}://{authority}{}{query}", from.path()),
        relative => format!("{scheme}://{authority}{folder}/{relative}"),
    };
    absolute.parse().ok()
}

async fn ask(
    uri: &Uri,
    method: &str,
    fields: &Fields,
    body: &str,
    skip_verify: bool,
) -> Result<Answer, String> {
    let host = uri.host().filter(|host| !host.is_empty()).ok_or("the URL names no host")?;
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err("the URL is neither http nor https".to_owned()),
    };
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let request = request(uri, method, fields, body)?;
    let stream = socket::connect(&format!("{host}:{port}")).await.map_err(|e| e.to_string())?;
    if secure {
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let stream =
            tls::connect(stream, name, &[b"http/1.1"], skip_verify).await.map_err(|e| e.to_string())?;
        return send(stream, request).await;
    }
    send(stream, request).await
}

fn request(uri: &Uri, method: &str, fields: &Fields, body: &str) -> Result<Request<Full<Bytes>>, String> {
    let target = uri.path_and_query().map_or("/", |p| p.as_str());
    let mut builder = Request::builder().method(method).uri(target);
    let has = |name: &str| fields.keys().any(|key| key.eq_ignore_ascii_case(name));
    if let Some(authority) = uri.authority().filter(|_| !has("host")) {
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        builder = builder.header("host", host);
    }
    for (name, default) in [("user-agent", "Isobar Health Check"), ("accept", "text/plain, text/*, */*")] {
        if !has(name) {
            builder = builder.header(name, default);
        }
    }
    for (name, values) in fields {
        for value in values {
            builder = builder.header(&**name, &**value);
        }
    }
    builder.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).map_err(|e| e.to_string())
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Nothing is left of it when the check times out.
    let mut connection = Connection::over(stream, Ending::Cut).await.map_err(|e| e.to_string())?;
    let (head, body) = connection.ask(request).await.map_err(|e| e.to_string())?.into_parts();
    let location = head.headers.get("location").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let text = beginning(body, OUTPUT_MAX).await;
    Ok(Answer { status: head.status, location, text: String::from_utf8_lossy(&text).into_owned() })
}
