//! `Rt` driven by hand, for unit tests and for rehearsals (`isobar trace`): time is what the driver says, the loop turns
//! when the driver says, and a connection to a server is what the driver hands out. Peers are plain sockets that the
//! driver reads and writes between two turns, so that it needs no second thread, no process and no waiting.
//!
//! ```ignore
//! let rt = Rt::start_by_hand();
//! let (conn, mut peer) = rt.pair();
//! rt.spawn(async move { conn.recv(&mut room, rt.after_ms(50)).await ... });
//! rt.settle();                    // everything that can run has run, the task waits
//! peer.write_all(b"hello")?;      // as the client
//! rt.settle();                    // ... and it was read
//! rt.pass_ms(50);                 // deadlines come due one after the other
//! ```

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use crate::base::clock::{MS, Nanos};
use crate::base::{WorkerId, clock};
use crate::os::socket::Peer;

use super::runtime::{Rt, Scratch};

#[cfg(test)]
use {
    super::conn::Conn,
    crate::base::clock::SEC,
    crate::base::shard::MAX_WORKERS,
    std::os::unix::net::UnixStream,
    std::sync::atomic::{AtomicU16, Ordering},
};

/// More turns than this without coming to rest is a loop.
const TURNS_TO_REST: usize = 100_000;

/// Gives the socket for a connection to a server at this address.
type Dial = Box<dyn Fn(Peer) -> io::Result<OwnedFd>>;

/// What a driver says of the world outside: time and servers.
#[derive(Default)]
pub(super) struct Told {
    now: Cell<Option<Nanos>>,
    /// How far the loop may let time pass while it waits.
    horizon: Cell<Nanos>,
    dial: RefCell<Option<Dial>>,
    /// Our end of clients' connections.
    local: Cell<Option<SocketAddr>>,
}

impl Told {
    pub(super) fn now(&self) -> Option<Nanos> {
        self.now.get()
    }

    /// Waits as `epoll` does; without an event told time passes instead, up to the horizon.
    pub(super) fn wait(
        &self,
        timeout_ms: i32,
        epoll: impl FnOnce(i32) -> io::Result<bool>,
    ) -> io::Result<()> {
        let Some(now) = self.now.get() else { return epoll(timeout_ms).map(drop) };
        if !epoll(0)? && timeout_ms > 0 {
            // To a whole millisecond, as a timeout of epoll's would end.
            let woken = (now / MS + timeout_ms as u64) * MS;
            self.now.set(Some(woken.min(self.horizon.get()).max(now)));
        }
        Ok(())
    }

    pub(super) fn dial(&self, to: Peer) -> Option<io::Result<OwnedFd>> {
        self.dial.borrow().as_ref().map(|dial| dial(to))
    }
}

impl Rt {
    /// A runtime for the calling thread whose time begins at `now` and moves with [`Rt::pass`] alone.
    pub fn begin_by_hand(worker: WorkerId, now: Nanos) -> io::Result<&'static Rt> {
        let rt = Rt::start_at(worker, now)?;
        rt.told.now.set(Some(now));
        rt.told.horizon.set(now);
        Ok(rt)
    }

    /// Turns until nothing is ready and no socket has news; time stands still. False: it does not come to rest.
    pub fn rest(&'static self) -> io::Result<bool> {
        let mut scratch = Scratch::default();
        for _ in 0..TURNS_TO_REST {
            if !self.turn(&mut scratch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets `ms` milliseconds pass; whatever is due meanwhile runs at its time. False: it does not come to rest.
    pub fn pass(&'static self, ms: u64) -> io::Result<bool> {
        if !self.rest()? {
            return Ok(false);
        }
        let end = self.told.now.get().unwrap_or_else(clock::now_ns) + ms * MS;
        self.told.horizon.set(end);
        let mut scratch = Scratch::default();
        for _ in 0..TURNS_TO_REST {
            let woken = self.turn(&mut scratch)?;
            if !woken && self.told.now.get().is_some_and(|now| now >= end) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// From now on [`Conn::connect`] takes what `dial` gives in place of a connection to the address.
    pub fn dial_with(&self, dial: impl Fn(Peer) -> io::Result<OwnedFd> + 'static) {
        *self.told.dial.borrow_mut() = Some(Box::new(dial));
    }

    /// Whether connections are what [`Rt::dial_with`] gives.
    pub fn is_dialled_by_hand(&self) -> bool {
        self.told.dial.borrow().is_some()
    }

    /// From now on our end of clients' connections is this one.
    pub fn be_at(&self, local: SocketAddr) {
        self.told.local.set(Some(local));
    }

    /// What [`Rt::be_at`] said.
    pub fn said_local(&self) -> Option<SocketAddr> {
        self.told.local.get()
    }
}

#[cfg(test)]
impl Rt {
    /// The runtime of the calling test. Its time stands at one hour and moves with [`Rt::pass_ms`] alone.
    pub fn start_by_hand() -> &'static Rt {
        // Tests that share a process run on threads of their own, each a worker.
        static WORKERS: AtomicU16 = AtomicU16::new(0);
        let worker = WorkerId(WORKERS.fetch_add(1, Ordering::Relaxed) % MAX_WORKERS as u16 + 1);
        Rt::begin_by_hand(worker, 3600 * SEC).expect("epoll and eventfd")
    }

    /// Moves time without a turn, as a task does that computes for long.
    pub fn spend(&self, span: Nanos) {
        let now = self.told.now.get().unwrap_or_else(clock::now_ns) + span;
        self.told.now.set(Some(now));
        self.told.horizon.set(now.max(self.told.horizon.get()));
    }

    /// One turn at the time that is. Tells whether something is ready to run.
    pub fn turn_once(&'static self) -> bool {
        self.turn(&mut Scratch::default()).expect("epoll")
    }

    /// [`Rt::rest`], which a test expects to come.
    pub fn settle(&'static self) {
        assert!(self.rest().expect("epoll"), "the runtime does not come to rest");
    }

    /// [`Rt::pass`], in the same way.
    pub fn pass_ms(&'static self, ms: u64) {
        assert!(self.pass(ms).expect("epoll"), "the runtime does not come to rest");
    }

    /// A connection as if accepted, and its peer, which never blocks.
    pub fn pair(&'static self) -> (Conn, UnixStream) {
        let (ours, peer) = UnixStream::pair().expect("a socket pair");
        for end in [&ours, &peer] {
            end.set_nonblocking(true).expect("O_NONBLOCK");
        }
        (Conn::accepted(self, ours.into()), peer)
    }
}
