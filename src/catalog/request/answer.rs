//! What is answered, before it is put on the wire.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::catalog::request::budget::Budget;
use crate::catalog::request::fault::Fault;
use crate::catalog::request::rows::Rows;
use crate::region::map::Index;

pub type Wire = Response<Either<Full<Bytes>, Stream>>;

/// A body that is never here whole: each piece is sent as it comes.
#[derive(Debug)]
pub enum Stream {
    /// It ends when its sender is dropped.
    Pieces(mpsc::Receiver<Bytes>),
    /// Each piece is made when the client has taken the one before.
    Rows(Rows),
    /// Another's answer.
    Passed(Incoming),
}

impl Body for Stream {
    type Data = Bytes;
    /// What breaks off must not look as if it were whole: the connection is cut.
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            Stream::Pieces(from) => from.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
            Stream::Rows(rows) => {
                Poll::Ready(rows.next().map(|piece| piece.map(Frame::data).map_err(Into::into)))
            }
            Stream::Passed(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Stream::Pieces(_) | Stream::Rows(_) => SizeHint::default(),
            Stream::Passed(body) => body.size_hint(),
        }
    }
}

pub const JSON: &str = "application/json";
pub const TEXT: &str = "text/plain; charset=utf-8";

/// An answer: status, body, and the headers that tell a client how current it is.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub kind: &'static str,
    pub body: Bytes,
    /// Instead of the body: a list that is long.
    pub rows: Option<Rows>,
    /// Instead of the body: what goes on without an end.
    pub stream: Option<Stream>,
    /// The body counts already among what large answers may hold.
    pub is_held: bool,
    pub headers: HeaderMap,
}

impl Answer {
    pub fn json(value: &impl Serialize) -> Result<Self, Fault> {
        let body = serde_json::to_vec(value).map_err(|e| Fault::internal(e.to_string()))?;
        Ok(Answer::raw(JSON, body))
    }

    pub fn raw(kind: &'static str, body: impl Into<Bytes>) -> Self {
        Answer {
            status: StatusCode::OK,
            kind,
            body: body.into(),
            rows: None,
            stream: None,
            is_held: false,
            headers: HeaderMap::new(),
        }
    }

    /// What goes on until its sender is dropped.
    pub fn stream(kind: &'static str, from: mpsc::Receiver<Bytes>) -> Self {
        Answer { stream: Some(Stream::Pieces(from)), ..Answer::raw(kind, Bytes::new()) }
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
        if let Some(rows) = self.rows.take() {
            match rows.collect::<Result<Vec<Bytes>, _>>() {
                Ok(pieces) => self.body = pieces.concat().into(),
                Err(e) => return Answer::from(Fault::internal(e.to_string())),
            }
        }
        if self.kind == JSON
            && let Ok(value) = serde_json::from_slice::<serde_json::Value>(&self.body)
            && let Ok(text) = serde_json::to_string_pretty(&value)
        {
            self.body = Bytes::from(text + "\n");
        }
        self
    }

    /// Counts what it takes until it is sent, or says that there is no room for it.
    pub fn hold(&mut self, budget: &Budget) -> Result<(), Fault> {
        if let Some(rows) = &mut self.rows {
            return rows.hold(budget);
        }
        if !std::mem::replace(&mut self.is_held, true) {
            self.body = budget.hold(std::mem::take(&mut self.body))?;
        }
        Ok(())
    }

    pub fn into_wire(self) -> Wire {
        let stream = self.rows.map(Stream::Rows).or(self.stream);
        let body = stream.map_or_else(|| Either::Left(Full::new(self.body)), Either::Right);
        let mut response = Response::new(body);
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
