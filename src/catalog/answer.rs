//! What is answered, before it is put on the wire.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::fault::Fault;
use crate::region::map::Index;

pub type Wire = Response<Full<Bytes>>;

pub const JSON: &str = "application/json";
pub const TEXT: &str = "text/plain; charset=utf-8";

/// An answer: status, body, and the headers that tell a client how current it is.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub kind: &'static str,
    pub body: Bytes,
    pub headers: HeaderMap,
}

impl Answer {
    pub fn json(value: &impl Serialize) -> Result<Self, Fault> {
        let body = serde_json::to_vec(value).map_err(|e| Fault::internal(e.to_string()))?;
        Ok(Answer::raw(JSON, body))
    }

    pub fn raw(kind: &'static str, body: impl Into<Bytes>) -> Self {
        Answer { status: StatusCode::OK, kind, body: body.into(), headers: HeaderMap::new() }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Answer::raw(TEXT, text.into())
    }

    /// `true` or `false`, as a condition held or not.
    pub fn held(held: bool) -> Self {
        Answer::raw(JSON, if held { "true" } else { "false" })
    }

    /// 200 without a body: what an agent answers to a command.
    pub fn done() -> Self {
        Answer::raw(TEXT, Bytes::new())
    }

    /// 404 without a body, for what clients read as `None`.
    pub fn absent() -> Self {
        Answer::done().with_status(StatusCode::NOT_FOUND)
    }

    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    pub fn with_number(mut self, name: &'static str, value: u64) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        self
    }

    /// The index of what was read; never 0, which a client may not wait for.
    pub fn with_index(self, index: Index) -> Self {
        self.with_number("x-consul-index", index.max(1))
    }

    /// The same with its JSON indented (`?pretty`).
    pub fn pretty(mut self) -> Self {
        if self.kind == JSON
            && let Ok(value) = serde_json::from_slice::<serde_json::Value>(&self.body)
            && let Ok(text) = serde_json::to_string_pretty(&value)
        {
            self.body = Bytes::from(text + "\n");
        }
        self
    }

    pub fn into_wire(self) -> Wire {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        response
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        Answer::text(fault.text).with_status(fault.status)
    }
}
