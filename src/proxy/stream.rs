//! `Stream`: the state of one transaction, HTTP or TCP. Its phases stand in files named like them; `transaction` and
//! `tcp` say their order.

use std::rc::Rc;

use crate::filter::compression::Algorithm;
use crate::http::{Chunks, Method};
use crate::model::{ProxyId, Server};
use crate::rules::{Ctx, Txn};

use super::downstream::Downstream;
use super::end::{Cause, End, Phase};
use super::env::StreamEnv;
use super::route::Route;
use super::session::{Current, Session};
use super::transfer::{Patience, Way};
use super::upstream::Hold;

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    KeepAlive,
    Close,
    /// The client speaks HTTP/2: what it said is ahead of it.
    Http2,
}

/// How far the chunks behind a response's head go, of so many bytes.
pub(super) struct Scanned {
    pub chunks: Box<Chunks>,
    pub consumed: usize,
    pub of: usize,
}

/// A transaction under way.
pub struct Stream<'a> {
    pub s: &'a Session,
    pub down: &'a mut Downstream,
    pub txn: &'a mut Txn,
    pub route: Route<'a>,
    /// The server it has, if any.
    pub hold: Option<Hold>,
    /// The server that failed last.
    pub tried: Option<Server>,
    /// The rest of the request's body on its way to the server.
    pub upload: Option<Way>,
    /// What becomes of that body on its way.
    pub(super) upload_coding: Option<Algorithm>,
    /// The beginning of the response's body, where it is chunked.
    pub(super) scanned: Option<Scanned>,
    pub patience: &'a Rc<Patience>,
    /// The method that the client asked with, whatever rules make of it.
    pub asked: Method,
    /// The client's connection may carry another request after this one.
    pub keep_client: bool,
    /// The response head was sent, in part at least: no other answer can be.
    pub answered: bool,
    /// The server's response has begun to go to the client.
    pub responding: bool,
    /// A service has answered: what is still to come of the request is taken, and the connection goes on.
    pub is_served: bool,
    /// `monitor-uri`: neither logged nor held against anyone.
    pub is_monitor: bool,
    /// The line was written already (`logasap`).
    pub is_logged: bool,
    /// What ended it early, for counters and logs.
    pub end: End,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        s: &'a Session,
        down: &'a mut Downstream,
        txn: &'a mut Txn,
        current: &'a Current,
        patience: &'a Rc<Patience>,
    ) -> Stream<'a> {
        Stream::on(Route::new(&current.view, current.front), s, down, txn, patience)
    }

    /// A stream that goes this way.
    pub(super) fn on(
        route: Route<'a>,
        s: &'a Session,
        down: &'a mut Downstream,
        txn: &'a mut Txn,
        patience: &'a Rc<Patience>,
    ) -> Stream<'a> {
        Stream {
            s,
            down,
            txn,
            route,
            hold: None,
            tried: None,
            upload: None,
            upload_coding: None,
            scanned: None,
            patience,
            asked: Method::Other,
            keep_client: false,
            answered: false,
            responding: false,
            is_served: false,
            is_monitor: false,
            is_logged: false,
            end: End::default(),
        }
    }

    pub fn env<'e>(&'e self) -> StreamEnv<'e> {
        let hold = self.hold.as_ref();
        StreamEnv::of(self.s, &self.route, hold.map(|h| h.slot.server())).over(hold.map(|h| &h.upstream))
    }

    pub fn now(&self) -> u64 {
        self.s.worker.rt.now()
    }

    /// The first `use_backend` that applies.
    pub(super) fn switch(&self) -> Option<ProxyId> {
        let front = self.route.front.front.as_ref()?;
        if front.switching.is_empty() {
            return None;
        }
        let env = self.env();
        let ctx = Ctx { txn: self.txn, env: &env };
        super::route::switch(front, self.route.config, ctx)
    }

    /// Gives the server's connection back.
    pub(super) fn release_server(&mut self) {
        if let Some(hold) = &mut self.hold {
            if self.route.back.options.prefer_last_server {
                self.s.note_server(hold.slot.server());
            }
            hold.release(self.s);
        }
    }

    /// The end of a stream whose server's sessions were shut down is not the server's doing.
    pub(super) fn cut_short(&self, end: End) -> End {
        let of_client =
            matches!(end.cause, Cause::ClientAbort | Cause::ClientTimeout | Cause::Local | Cause::Proxy);
        match self.hold.as_ref().and_then(Hold::cut) {
            Some(cause) if !of_client => {
                End { cause, phase: if end.phase == Phase::None { Phase::Data } else { end.phase }, ..end }
            }
            _ => end,
        }
    }
}
