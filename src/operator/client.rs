//! The API of a running node, from the command line: one request at a time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::conn::http::{Connection, Peer};
use crate::tls::{Files, Secure};

/// Longer than any change takes: a rollout waits for every node.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A connection has all that time too, and never ends the request before it.
const CONNECT: Duration = TIMEOUT.saturating_add(Duration::from_secs(1));

/// Bytes of an answer.
const LIMIT: usize = 64 << 20;

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Where to ask, and as whom.
pub(super) struct Api {
    address: String,
    token: Option<String>,
    /// `https`.
    secure: Option<Secure>,
}

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

impl Api {
    /// Flags win over `ISOBAR_HTTP_ADDR`, `ISOBAR_HTTP_TOKEN`, `ISOBAR_CACERT`, `ISOBAR_CLIENT_CERT` and
    /// `ISOBAR_CLIENT_KEY`, these over Consul's variables, these over port 8500 here. TLS is spoken to an address that
    /// begins with `https://`, and with a CA file or Consul's `CONSUL_HTTP_SSL=true` to one that says nothing.
    pub(super) fn new(flag: impl Fn(&str) -> Option<String>) -> Result<Api, String> {
        let variable = |name: &str| {
            let found = ["ISOBAR", "CONSUL"].iter().find_map(|of| std::env::var(format!("{of}_{name}")).ok());
            found.filter(|value| !value.is_empty())
        };
        let said = |name: &str, as_variable: &str| flag(name).or_else(|| variable(as_variable));
        let address = said("--http-addr", "HTTP_ADDR").unwrap_or_else(|| "127.0.0.1:8500".to_owned());
        let files = Files {
            ca: said("--ca-file", "CACERT"),
            crt: said("--crt", "CLIENT_CERT"),
            key: flag("--crt").map_or_else(|| variable("CLIENT_KEY"), |_| None),
        };
        let wanted = flag("--ca-file").is_some()
            || variable("HTTP_SSL").is_some_and(|text| ["true", "1"].contains(&text.as_str()));
        let (is_secure, address) = match address.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some((scheme, _)) => return Err(format!("{address}: nothing is asked by {scheme:?}")),
            None => (wanted, address.as_str()),
        };
        let address = address.trim_end_matches('/').to_owned();
        let secure = || files.client().and_then(|client| Secure::new(client, &address));
        let secure = is_secure.then(secure).transpose().map_err(|e| e.to_string())?;
        Ok(Api { address, token: said("--token", "HTTP_TOKEN"), secure })
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        self.json(Method::GET, path, Bytes::new())
    }

    pub(super) fn put(&self, path: &str, body: impl Into<Bytes>) -> Result<Value, String> {
        self.json(Method::PUT, path, body.into())
    }

    pub(super) fn delete(&self, path: &str) -> Result<Value, String> {
        self.json(Method::DELETE, path, Bytes::new())
    }

    /// The body as it came.
    pub(super) fn raw(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, String> {
        self.raw_within(method, path, body, LIMIT)
    }

    /// The same, of at most `limit` bytes.
    pub(super) fn raw_within(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: usize,
    ) -> Result<Bytes, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| format!("cannot start: {e}"))?;
        let (status, body) = runtime.block_on(async {
            match tokio::time::timeout(TIMEOUT, self.ask(method, path, body, limit)).await {
                Ok(answer) => answer.map_err(|e| format!("{}: {e}", self.address)),
                Err(_) => Err(format!("{}: no answer within {} s", self.address, TIMEOUT.as_secs())),
            }
        })?;
        if status.is_success() {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body).trim().to_owned();
        Err(if text.is_empty() { format!("{}: {status}", self.address) } else { text })
    }

    fn json(&self, method: Method, path: &str, body: Bytes) -> Result<Value, String> {
        let body = self.raw(method, path, body)?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|e| format!("{}: not the answer of a node: {e}", self.address))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: usize,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let peer = Peer::Tcp(&self.address);
        let opening = Connection::open(peer, self.secure.as_ref(), CONNECT).await;
        let mut connection = opening.map_err(|e| {
            anyhow::anyhow!(
                "{e}\nA node is named with --http-addr=HOST:PORT or ISOBAR_HTTP_ADDR; its address is what 'http-api' says in \
                 its configuration."
            )
        })?;
        let mut request = Request::builder().method(method).uri(path).header("Host", &self.address);
        if let Some(token) = &self.token {
            request = request.header("X-Consul-Token", token);
        }
        let (head, body) = connection.exchange(request.body(Full::new(body))?, limit).await?;
        Ok((head.status, body))
    }
}
