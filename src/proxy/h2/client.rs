//! `H2Client`: a stream of a client's HTTP/2 connection, as a downstream.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::rc::Rc;

use crate::base::Nanos;
use crate::conn::Link;
use crate::conn::link::Stopped;
use crate::http::h2::Code;
use crate::http::{BodyLen, Head, Method};

use super::super::downstream::H1Client;
use super::mux::{Bytes, Lane};

/// One request of an HTTP/2 connection.
pub struct H2Client {
    pub lane: Rc<Lane>,
    /// What the stream reads and writes besides heads, as a connection of HTTP/1 has it.
    pub bytes: H1Client,
    link: Rc<Link>,
    /// The request cannot be served, and is answered with this status; 0 if it can.
    pub refused: u16,
    /// It came with HEAD.
    asked_head: bool,
}

/// A rule wants nothing more of this client (`reject`, `silent-drop`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    Told,
    Silent,
}

impl H2Client {
    pub fn new(lane: Rc<Lane>, refused: u16) -> H2Client {
        let link = Rc::new(Link::Carried(Box::new(Bytes(lane.clone()))));
        H2Client { lane, bytes: H1Client::new(link.clone()), link, refused, asked_head: false }
    }

    /// The head is there since the stream is. What has come of its body is put behind it.
    pub fn receive_head(&mut self, req: &mut Head) {
        self.asked_head = req.method == Method::Head;
        if matches!(req.body, BodyLen::Length(1..) | BodyLen::Chunked)
            && req.buf.room_len() > 0
            && let Some(Ok(n)) = self.link.try_recv(req.buf.room())
        {
            req.buf.advance(n);
        }
    }

    /// A head, and bytes of its body. Tells how many bytes of a message of HTTP/1 that were, about.
    pub async fn send(&self, res: &Head, body: &[u8], until: Nanos) -> Result<usize, Stopped> {
        let is_final = res.status >= 200;
        let end = is_final
            && (self.asked_head
                || matches!(res.status, 204 | 304)
                || matches!(res.body, BodyLen::None | BodyLen::Length(0)));
        if self.lane.respond(res, end).is_err() {
            return Err((0, ErrorKind::ConnectionReset.into()));
        }
        if !end && !body.is_empty() {
            self.link.send_all(body, false, until).await?;
        }
        Ok(res.len + body.len())
    }

    /// The stream's end: says what is left to say, and lets go of it. `is_whole`: the response came to its end, as
    /// far as it does not say so itself.
    pub async fn conclude(&self, is_whole: bool, rejection: Option<Rejection>, until: Nanos) {
        let (has_begun, is_raw) = self.lane.stand();
        match rejection {
            _ if has_begun => {}
            Some(Rejection::Told) => self.lane.abort(),
            Some(Rejection::Silent) => self.lane.vanish(),
            None => {}
        }
        let code = match () {
            () if !has_begun || (is_raw && !is_whole) => Some(Code::CANCEL),
            () => None,
        };
        poll_fn(|_| self.lane.poll_end(until, code)).await;
    }
}
