//! `Downstream`: what a stream receives its request from and sends its response to.
//!
//! It is an HTTP/1 connection of a client, or a stream of an HTTP/2 connection, whose link reads and writes bodies as
//! HTTP/1 has them. In TCP mode the bytes of the connection are no messages, and only its link and what was read ahead
//! are used.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::Poll;

use crate::base::buf::{Buf, HEAD_SIZE};
use crate::base::clock::Nanos;
use crate::conn::Link;
use crate::conn::link::Stopped;
use crate::http::{BodyLen, Chunks, H1Options, Head, Hop, Parse, Reason, Slices};
use crate::model::ProxyId;

use super::h2::H2Client;
use super::h2::mux::Lane;
use super::transfer::Extent;

/// The client's side of a stream.
pub enum Downstream {
    H1(H1Client),
    H2(Box<H2Client>),
}

/// How much of a request was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    /// What lies in its buffer; nobody took a body from it.
    Buffered,
    /// Its body is being forwarded.
    Partly,
    /// All of it, by forwarding: it cannot be sent again.
    Streamed,
}

/// An HTTP/1 connection of a client.
pub struct H1Client {
    link: Rc<Link>,
    /// Bytes that came behind the last request, or were read ahead in TCP mode.
    pending: Option<Buf>,
    received: Received,
    /// Until when the next request must have begun.
    idle_until: Nanos,
    /// TCP rules have looked at the first request before the connection became HTTP; the backend that they chose.
    chosen: Option<Option<ProxyId>>,
    /// Its leaving was to be told of soon: the next time it is looked for.
    was_asked_for: Cell<bool>,
}

/// Why a request head was not received.
pub enum Unread {
    /// It is malformed or too long, at this place of its buffer: answered with this status.
    Bad {
        status: u16,
        at: usize,
    },
    Timeout,
    Closed,
    /// It is the preface of HTTP/2, which lies where the next request is looked for.
    Preface,
}

impl H1Client {
    pub(super) fn new(link: Rc<Link>) -> H1Client {
        H1Client {
            link,
            pending: None,
            received: Received::Buffered,
            idle_until: 0,
            chosen: None,
            was_asked_for: Cell::new(false),
        }
    }
}

impl Downstream {
    pub fn h1(link: Rc<Link>) -> Downstream {
        Downstream::H1(H1Client::new(link))
    }

    /// A stream of an HTTP/2 connection. `refused`: what its request is answered with at once; 0: it is served.
    pub fn h2(lane: Rc<Lane>, refused: u16) -> Downstream {
        Downstream::H2(Box::new(H2Client::new(lane, refused)))
    }

    #[inline]
    fn client(&self) -> &H1Client {
        match self {
            Downstream::H1(client) => client,
            Downstream::H2(client) => &client.bytes,
        }
    }

    #[inline]
    fn client_mut(&mut self) -> &mut H1Client {
        match self {
            Downstream::H1(client) => client,
            Downstream::H2(client) => &mut client.bytes,
        }
    }

    /// One of many on its connection: it can be given up alone, and nobody waits for what is still to come of it.
    pub fn is_one_of_many(&self) -> bool {
        matches!(self, Downstream::H2(_))
    }

    /// The connection itself.
    #[inline]
    pub fn link(&self) -> &Rc<Link> {
        &self.client().link
    }

    /// The client has left: its connection is reset or, where that counts (`abortonclose`), it has ended its direction.
    #[inline]
    pub fn has_left(&self, aborts: bool) -> bool {
        self.link().has_ended(aborts)
    }

    /// Makes the task run again when the client leaves.
    pub fn watch(&self) {
        let _ = self.link().watch();
    }

    /// The same of one that may soon have its answer: it may be gone for a while before the task runs, as to be told of
    /// that costs as much as a read or two.
    pub fn watch_soon(&self) {
        let client = self.client();
        if client.link.goes_on_watching() {
            return;
        }
        if client.was_asked_for.replace(true) {
            self.watch();
        } else {
            client.link.rt().wake_soon();
        }
    }

    /// The future's outcome, unless the client leaves before.
    pub async fn unless_left<T>(&self, aborts: bool, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(value));
            }
            if self.has_left(aborts) {
                return Poll::Ready(None);
            }
            self.watch_soon();
            Poll::Pending
        })
        .await
    }

    /// Bytes of another request are there already.
    pub fn has_pending(&self) -> bool {
        self.client().pending.is_some()
    }

    /// What was read ahead; in TCP mode it goes to the server first.
    pub fn pending(&mut self) -> &mut Option<Buf> {
        &mut self.client_mut().pending
    }

    /// Sets until when the next request must have begun.
    pub fn idle_until(&mut self, until: Nanos) {
        self.client_mut().idle_until = until;
    }

    pub fn until(&self) -> Nanos {
        self.client().idle_until
    }

    /// The connection becomes HTTP, and its first request goes to this backend, if one was chosen.
    pub fn become_http(&mut self, chosen: Option<ProxyId>) {
        self.client_mut().chosen = Some(chosen);
    }

    /// Once: TCP rules have looked at this request; the backend that they chose.
    pub fn chosen(&mut self) -> Option<Option<ProxyId>> {
        self.client_mut().chosen.take()
    }

    /// First bytes of a request into a pooled buffer. False: there were none, and the buffer is back.
    pub fn receive_first(&mut self, req: &mut Head) -> bool {
        let client = self.client_mut();
        client.received = Received::Buffered;
        if let Some(buf) = client.pending.take() {
            req.buf = buf;
            return true;
        }
        req.buf = Buf::take(HEAD_SIZE);
        match client.link.try_recv(req.buf.room()) {
            Some(Ok(n)) if n > 0 => {
                req.buf.advance(n);
                true
            }
            _ => false,
        }
    }

    /// Reads until the request head is complete. Its buffer grows to `bufsize` at most.
    pub async fn receive_head(
        &mut self,
        req: &mut Head,
        options: &H1Options,
        bufsize: usize,
        until: Nanos,
    ) -> Result<(), Unread> {
        let client = match self {
            Downstream::H1(client) => client,
            Downstream::H2(client) if client.refused > 0 => {
                return Err(Unread::Bad { status: client.refused, at: 0 });
            }
            Downstream::H2(client) => {
                client.receive_head(req);
                return Ok(());
            }
        };
        loop {
            match req.parse_request(options) {
                Parse::Done => return Ok(()),
                Parse::Bad(bad) if bad.reason == Reason::Http2Preface => {
                    client.pending = Some(std::mem::take(&mut req.buf));
                    return Err(Unread::Preface);
                }
                Parse::Bad(bad) => return Err(Unread::Bad { status: bad.status, at: bad.at }),
                Parse::More => {}
            }
            if req.buf.room_len() == 0 {
                if req.buf.start() > 0 {
                    req.buf.compact();
                } else if req.buf.capacity() < bufsize {
                    req.buf.grow(bufsize);
                } else {
                    return Err(Unread::Bad { status: 400, at: req.buf.written().len() });
                }
                continue;
            }
            match client.link.recv(req.buf.room(), until).await {
                Ok(0) => return Err(Unread::Closed),
                Ok(n) => req.buf.advance(n),
                Err(e) if e.kind() == ErrorKind::TimedOut => return Err(Unread::Timeout),
                Err(_) => return Err(Unread::Closed),
            }
        }
    }

    /// More of the request's body behind its head, as far as it fits there. 0: the end of the stream.
    pub async fn receive_body(&mut self, req: &mut Head, until: Nanos) -> io::Result<usize> {
        let n = self.client().link.recv(req.buf.room(), until).await?;
        req.buf.advance(n);
        Ok(n)
    }

    /// The request's body is on its way to the server: what is received of it is not kept.
    pub fn begin_upload(&mut self) {
        self.client_mut().received = Received::Partly;
    }

    /// All of the body was forwarded; what came behind it belongs to the next request.
    pub fn end_upload(&mut self, surplus: Vec<u8>) {
        let client = self.client_mut();
        client.received = Received::Streamed;
        keep(&mut client.pending, &surplus);
    }

    /// The whole request was received.
    pub fn is_whole(&self, req: &Head) -> bool {
        match self.client().received {
            Received::Buffered => matches!(body_at_hand(req), Ok((None, _))),
            Received::Partly => false,
            Received::Streamed => true,
        }
    }

    /// The whole request lies in its buffer, so that it can be sent again.
    pub fn can_repeat(&self, req: &Head) -> bool {
        self.client().received == Received::Buffered && self.is_whole(req)
    }

    /// The request is over: what was read behind it goes on to the next one. False where part of it is still to come,
    /// so that the connection can carry no other.
    pub fn finish(&mut self, req: &Head) -> bool {
        let client = self.client_mut();
        match client.received {
            Received::Partly => false,
            Received::Streamed => true,
            Received::Buffered => match body_at_hand(req) {
                Ok((None, have)) => {
                    keep(&mut client.pending, req.rest().get(have..).unwrap_or_default());
                    true
                }
                _ => false,
            },
        }
    }

    /// The head, and the first `taken` bytes behind it in its buffer, in one write. Tells how many bytes that were.
    pub async fn send_head(
        &self,
        res: &Head,
        hop: Hop,
        taken: usize,
        until: Nanos,
    ) -> Result<usize, Stopped> {
        if let Downstream::H2(client) = self {
            return client.send(res, res.rest().get(..taken).unwrap_or_default(), until).await;
        }
        // Nothing was done to the head: it leaves with the body behind it as one piece.
        if let Some(whole) = res.as_received(hop, taken) {
            return self.link().send_all(whole, false, until).await.map(|()| whole.len());
        }
        let mut slices = Slices::new();
        res.slices(hop, &mut slices);
        slices.push(res.rest().get(..taken).unwrap_or_default());
        self.link().send_slices(slices.as_mut_slice(), until).await.map(|()| slices.len())
    }

    /// A message of the proxy's own. Tells how many bytes it has.
    pub async fn send_message(
        &self,
        res: &Head,
        hop: Hop,
        body: &[u8],
        until: Nanos,
    ) -> Result<usize, Stopped> {
        if let Downstream::H2(client) = self {
            return client.send(res, body, until).await;
        }
        let mut slices = Slices::new();
        res.slices(hop, &mut slices);
        slices.push(body);
        self.link().send_slices(slices.as_mut_slice(), until).await.map(|()| slices.len())
    }

    /// Bytes of a body.
    pub async fn send_data(&self, bytes: &[u8], until: Nanos) -> Result<(), Stopped> {
        self.link().send_all(bytes, false, until).await
    }

    /// Asks for the body (RFC 9110 section 10.1.1).
    pub async fn send_continue(&self, until: Nanos) -> Result<(), Stopped> {
        if let Downstream::H2(client) = self {
            let mut head = Head::default();
            head.begin_response(100, b"", BodyLen::None);
            return client.send(&head, b"", until).await.map(|_| ());
        }
        self.link().send_all(b"HTTP/1.1 100 Continue\r\n\r\n", false, until).await
    }
}

/// Keeps bytes for the next request.
fn keep(pending: &mut Option<Buf>, rest: &[u8]) {
    if !rest.is_empty() && pending.is_none() {
        let mut buf = Buf::take(HEAD_SIZE.max(rest.len()));
        buf.push(rest);
        *pending = Some(buf);
    }
}

/// What of a request's body lies behind its head already, and what is to come. The error is a status.
pub fn body_at_hand(req: &Head) -> Result<(Option<Extent>, usize), u16> {
    match req.body {
        BodyLen::Length(n) => {
            let have = n.min(req.rest().len() as u64);
            let left = n - have;
            Ok(((left > 0).then_some(Extent::Length(left)), have as usize))
        }
        BodyLen::Chunked => {
            let mut chunks = Chunks::new(false);
            match chunks.scan(req.rest()) {
                Ok(scan) if chunks.is_done() => Ok((None, scan.consumed)),
                Ok(scan) => Ok((Some(Extent::Chunked(Box::new(chunks))), scan.consumed)),
                Err(bad) => Err(bad.status),
            }
        }
        _ => Ok((None, 0)),
    }
}
