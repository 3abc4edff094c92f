//! `H2Server`: a stream of a server's HTTP/2 connection, as an upstream; and the connections of a worker, by server.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;

use crate::base::Nanos;
use crate::config::global::H2Tune;
use crate::conn::Link;
use crate::conn::link::Stopped;
use crate::http::h2::Connection;
use crate::http::{BodyLen, Head, Method};
use crate::model::Server;

use super::dialled::Dialled;
use super::incoming::Incoming;
use super::mux::{Bytes, Lane, Mux, State};
use super::options;

/// One request on a server's HTTP/2 connection. Dropped before its response is whole, it is given up.
pub struct H2Server {
    lane: Rc<Lane>,
    pub link: Rc<Link>,
    /// Requests that the connection carried, or was given, before this one.
    pub uses: u32,
}

impl H2Server {
    /// The request's head, and the first bytes of its body.
    pub async fn send(&self, req: &Head, body: &[u8], until: Nanos) -> Result<usize, Stopped> {
        let opens = req.is_websocket() || req.method == Method::Connect;
        let end = !opens && matches!(req.body, BodyLen::None | BodyLen::Length(0));
        poll_fn(|_| self.lane.poll_request(req, end, until)).await.map_err(|e| (0, e))?;
        self.lane.enlist();
        if !end && !body.is_empty() {
            self.link.send_all(body, false, until).await.map_err(|(n, e)| (req.len + n, e))?;
        }
        Ok(req.len + body.len())
    }
}

impl Drop for H2Server {
    fn drop(&mut self) {
        self.lane.abandon();
    }
}

/// A connection, and of which epoch of its server.
struct Shared {
    mux: Rc<Mux>,
    epoch: u32,
    /// The name that the server was asked for with TLS.
    name: u64,
}

/// Connections that streams of all clients of a worker share, by server.
#[derive(Default)]
pub struct ServerMuxes {
    by_server: RefCell<HashMap<u64, Vec<Shared>, foldhash::fast::FixedState>>,
}

impl ServerMuxes {
    /// A stream of a connection that stands and has room. `name`: the server was asked for that with TLS.
    pub fn take(&self, server: &Server, name: u64) -> Option<H2Server> {
        let epoch = server.live.epoch();
        let mut map = self.by_server.borrow_mut();
        let list = map.get_mut(&server.live.uid)?;
        list.retain(|shared| shared.epoch == epoch && shared.mux.state.get() != State::Lost);
        let most = server.spec.max_reuse.unwrap_or(u32::MAX);
        let free = |mux: &Mux| {
            mux.state.get() == State::Up && mux.machine.borrow().has_room() && mux.uses.get() <= most
        };
        list.iter().find(|shared| shared.name == name && free(&shared.mux)).map(|shared| stream(&shared.mux))
    }

    /// A stream of a connection that is just being made, by these words of `global`. `preface` goes before anything else;
    /// a `shared` one may be used by others too. The server may take nothing for `write_ms`.
    pub fn open(
        &self,
        (server, tune): (&Server, &H2Tune),
        (link, name): (Link, u64),
        preface: Vec<u8>,
        (shared, write_ms, epoch): (bool, u64, u32),
    ) -> H2Server {
        let rt = link.rt();
        let mux = Rc::new(Mux::new(Rc::new(link), Connection::new(options::of_server(tune))));
        let idle_ms = if shared { server.spec.pool_purge_delay_ms } else { 0 };
        mux.task.set(rt.spawn(Dialled::new(mux.clone(), preface, (idle_ms, write_ms)).run()));
        if shared {
            let entry = Shared { mux: mux.clone(), epoch, name };
            self.by_server.borrow_mut().entry(server.live.uid).or_default().push(entry);
        }
        stream(&mux)
    }

    /// Forgets connections that are lost, and servers that have none.
    pub fn purge(&self) {
        self.by_server.borrow_mut().retain(|_, list| {
            list.retain(|shared| shared.mux.state.get() != State::Lost);
            !list.is_empty()
        });
    }
}

fn stream(mux: &Rc<Mux>) -> H2Server {
    let uses = mux.uses.get();
    let lane = mux.reserve(Incoming::default());
    let link = Rc::new(Link::Carried(Box::new(Bytes(lane.clone()))));
    H2Server { lane, link, uses }
}

/// Whether what went wrong tells that the request was not looked at.
pub fn is_refusal(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::ConnectionRefused
}
