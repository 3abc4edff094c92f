//! `Upstream`: what a stream sends its request to and receives the response from, and the stream's `Hold` on the server
//! behind it.
//!
//! It is an HTTP/1 connection to a server, or a stream of an HTTP/2 connection, from which a response is read as HTTP/1
//! has it. In TCP mode only its link is used, and what is to be sent before anything else.

use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use crate::base::Nanos;
use crate::base::clock::MS;
use crate::conn::Link;
use crate::conn::link::Stopped;
use crate::http::{Head, Hop, Slices};
use crate::model::Cut;

use super::end::Cause;
use super::h2::H2Server;
use super::server::ServerSlot;
use super::session::Session;

/// The server's side of a stream.
pub enum Upstream {
    H1(H1Server),
    H2(Box<H2Server>),
}

/// An HTTP/1 connection to a server.
pub struct H1Server {
    link: Rc<Link>,
    /// Requests the connection carried before this one.
    uses: u32,
    /// What is to be sent before anything else on it (`send-proxy`).
    preface: Vec<u8>,
    /// The name that the server was asked for with TLS.
    name: u64,
}

impl Upstream {
    /// A connection that carried `uses` requests before. `name`: the server was asked for that with TLS.
    pub fn h1(link: Rc<Link>, uses: u32, preface: Vec<u8>, name: u64) -> Upstream {
        Upstream::H1(H1Server { link, uses, preface, name })
    }

    /// The connection itself.
    #[inline]
    pub fn link(&self) -> &Rc<Link> {
        match self {
            Upstream::H1(server) => &server.link,
            Upstream::H2(server) => &server.link,
        }
    }

    /// Requests that it carried before this one.
    pub fn uses(&self) -> u32 {
        match self {
            Upstream::H1(server) => server.uses,
            Upstream::H2(server) => server.uses,
        }
    }

    /// An idle connection was taken: it may have ended without our knowing.
    pub fn is_reused(&self) -> bool {
        self.uses() > 0
    }

    /// What is to be sent before anything else: once.
    pub fn take_preface(&mut self) -> Vec<u8> {
        match self {
            Upstream::H1(server) => std::mem::take(&mut server.preface),
            Upstream::H2(_) => Vec::new(),
        }
    }

    /// The request's head, and the first `have` bytes of its body behind it in its buffer, in one write. Tells how many
    /// bytes of the request that were.
    pub async fn send_head(
        &mut self,
        req: &Head,
        hop: Hop,
        have: usize,
        until: Nanos,
    ) -> Result<usize, Stopped> {
        let preface = match self {
            Upstream::H1(server) => std::mem::take(&mut server.preface),
            Upstream::H2(server) => {
                return server.send(req, req.rest().get(..have).unwrap_or_default(), until).await;
            }
        };
        if preface.is_empty()
            && let Some(whole) = req.as_received(hop, have)
        {
            return self.link().send_all(whole, false, until).await.map(|()| whole.len());
        }
        let mut slices = Slices::new();
        slices.push(&preface);
        req.slices(hop, &mut slices);
        slices.push(req.rest().get(..have).unwrap_or_default());
        self.link().send_slices(slices.as_mut_slice(), until).await.map(|()| slices.len() - preface.len())
    }

    /// The request's head, with other bytes behind it than those that came.
    pub async fn send_message(
        &mut self,
        req: &Head,
        hop: Hop,
        body: &[u8],
        until: Nanos,
    ) -> Result<usize, Stopped> {
        let preface = match self {
            Upstream::H1(server) => std::mem::take(&mut server.preface),
            Upstream::H2(server) => return server.send(req, body, until).await,
        };
        let mut slices = Slices::new();
        slices.push(&preface);
        req.slices(hop, &mut slices);
        slices.push(body);
        self.link().send_slices(slices.as_mut_slice(), until).await.map(|()| slices.len() - preface.len())
    }

    /// Bytes of the response into `room`.
    #[inline]
    pub fn poll_recv(&self, room: &mut [u8], until: Nanos) -> Poll<io::Result<usize>> {
        self.link().poll_recv(room, until)
    }
}

/// A stream's hold on a server: one of its slots, and the connection that carries the request.
pub struct Hold {
    pub slot: ServerSlot,
    pub upstream: Upstream,
    /// Of the server when the connection was chosen.
    epoch: u32,
    /// The server's last responses did not fit a small buffer.
    pub large_responses: bool,
    /// The last byte of the request was sent.
    pub request_sent: bool,
    /// What is known of the response allows the connection to be used again.
    pub keep: bool,
    /// The request, or part of it, went to the server.
    pub was_used: bool,
    /// The connection is of use to this client alone.
    pub is_private: bool,
    /// The connection is not the stream's any more.
    released: bool,
}

impl Hold {
    pub fn new(slot: ServerSlot, upstream: Upstream, epoch: u32) -> Hold {
        Hold {
            slot,
            upstream,
            epoch,
            large_responses: false,
            request_sent: false,
            keep: false,
            was_used: false,
            is_private: false,
            released: false,
        }
    }

    /// The connection itself.
    #[inline]
    pub fn link(&self) -> &Rc<Link> {
        self.upstream.link()
    }

    /// How a stream ends whose server's sessions were shut down.
    pub fn cut(&self) -> Option<Cause> {
        match self.slot.server().live.cut(self.epoch)? {
            Cut::Moved => None,
            Cut::Killed => Some(Cause::Killed),
            Cut::Down => Some(Cause::ServerDown),
            Cut::Up => Some(Cause::ServerUp),
        }
    }

    /// Ends the server's part. The connection goes back to the pool, or to the session that alone may use it, if it is
    /// intact: request and response went through it whole. No other one must ever meet another request.
    pub fn release(&mut self, session: &Session) {
        if std::mem::replace(&mut self.released, true) {
            return;
        }
        let live = &self.slot.server().live;
        live.used.fetch_sub(1, Ordering::Relaxed);
        let Upstream::H1(upstream) = &self.upstream else { return };
        if self.keep && self.request_sent && live.is_up() {
            let past = (upstream.uses + 1, self.epoch);
            let link = (upstream.link.clone(), upstream.name);
            let worker = session.worker;
            if self.is_private {
                session.keep_own(self.slot.server(), link, past);
            } else if self.slot.server().spec.max_reuse.is_none_or(|most| past.0 <= most) {
                worker.pools.keep(self.slot.server(), link, past, worker.rt.now() / MS);
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.released {
            self.slot.server().live.used.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
