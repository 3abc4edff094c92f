//! `Mux`: a client's HTTP/2 connection as its streams share it, and `Lane`: one of them.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::Poll;

use crate::base::Nanos;
use crate::conn::Link;
use crate::conn::link::Carried;
use crate::http::Head;
use crate::http::h2::{Code, Connection, Gone};
use crate::rt::{Rt, TaskId};

use super::incoming::{Ended, Incoming};
use super::outgoing::Outgoing;

/// A connection that carries streams.
pub struct Mux {
    pub link: Rc<Link>,
    pub machine: RefCell<Connection>,
    lanes: RefCell<Vec<Rc<Lane>>>,
    /// Reads and writes the connection.
    pub(super) task: Cell<TaskId>,
    /// The client has ended its direction.
    pub(super) half: Cell<bool>,
}

/// A stream of a connection.
pub struct Lane {
    pub id: u32,
    mux: Rc<Mux>,
    /// Serves the stream.
    pub(super) task: Cell<Option<TaskId>>,
    incoming: RefCell<Incoming>,
    outgoing: RefCell<Outgoing>,
}

impl Mux {
    pub fn new(link: Rc<Link>, machine: Connection) -> Mux {
        let task = Cell::new(link.rt().current_task());
        Mux { link, machine: RefCell::new(machine), lanes: RefCell::default(), task, half: Cell::new(false) }
    }

    pub fn rt(&self) -> &'static Rt {
        self.link.rt()
    }

    /// A stream that was opened. `chunked`: the length of its body is not known. `end`: it has none.
    pub fn open(self: &Rc<Mux>, id: u32, chunked: bool, end: bool) -> Rc<Lane> {
        let ended = if end { Ended::Whole } else { Ended::No };
        let lane = Rc::new(Lane {
            id,
            mux: self.clone(),
            task: Cell::new(None),
            incoming: RefCell::new(Incoming::of(chunked, ended)),
            outgoing: RefCell::default(),
        });
        self.lanes.borrow_mut().push(lane.clone());
        lane
    }

    /// A live stream.
    pub fn lane(&self, id: u32) -> Option<Rc<Lane>> {
        let lanes = self.lanes.borrow();
        lanes.iter().rev().find(|lane| lane.id == id).cloned()
    }

    /// Streams that are being served.
    pub fn is_idle(&self) -> bool {
        self.lanes.borrow().is_empty()
    }

    /// No stream receives or sends any more.
    pub fn lose(&self) {
        for lane in self.lanes.borrow().iter() {
            lane.lose();
        }
    }

    /// Wakes every stream: what they look at has changed.
    pub fn wake_all(&self) {
        self.lanes.borrow().iter().for_each(|lane| lane.wake());
    }

    /// There is something to send.
    fn touch(&self) {
        self.rt().wake(self.task.get());
    }

    fn forget(&self, id: u32) {
        let mut lanes = self.lanes.borrow_mut();
        if let Some(at) = lanes.iter().position(|lane| lane.id == id) {
            lanes.swap_remove(at);
        }
        if lanes.is_empty() {
            *lanes = Vec::new();
        }
    }
}

impl Lane {
    pub fn wake(&self) {
        if let Some(task) = self.task.get() {
            self.mux.rt().wake(task);
        }
    }

    pub fn received(&self, bytes: &[u8], end: bool) {
        let mut incoming = self.incoming.borrow_mut();
        incoming.push(bytes);
        if end {
            incoming.ended = Ended::Whole;
        }
        self.wake();
    }

    pub fn received_trailers(&self, head: &Head) {
        self.incoming.borrow_mut().end_with(head.fields());
        self.wake();
    }

    /// The stream was reset, or the connection is lost.
    pub fn lose(&self) {
        self.incoming.borrow_mut().ended = Ended::Reset;
        self.wake();
    }

    fn is_lost(&self) -> bool {
        self.incoming.borrow().ended == Ended::Reset
    }

    fn with<T>(&self, f: impl FnOnce(&mut Outgoing, &mut Connection) -> T) -> T {
        let done = f(&mut self.outgoing.borrow_mut(), &mut self.mux.machine.borrow_mut());
        self.mux.touch();
        done
    }

    /// Sends a head. `end`: nothing follows it.
    pub fn respond(&self, head: &Head, end: bool) -> Result<(), Gone> {
        self.with(|outgoing, machine| {
            machine.respond(self.id, head, end)?;
            if head.status >= 200 || head.status == 101 {
                outgoing.begin(head.body, end);
            }
            Ok(())
        })
    }

    /// What the stream's own task still has to say at its end, or that it was given up: by `code`. Ready when the stream
    /// is done with.
    pub fn poll_end(&self, until: Nanos, code: Option<Code>) -> Poll<()> {
        let flushed = match code {
            None if !self.is_lost() => self.with(|outgoing, machine| outgoing.end(self.id, machine)),
            _ => Err(Gone),
        };
        if flushed == Ok(false) && self.wait::<()>(until).is_pending() {
            return Poll::Pending;
        }
        self.with(|outgoing, machine| {
            let code = match code {
                // The answer is whole: what is still to come of the request is not wanted.
                None if outgoing.has_ended() => Code::NO_ERROR,
                None => Code::CANCEL,
                Some(code) => code,
            };
            machine.reset(self.id, code);
        });
        self.mux.forget(self.id);
        Poll::Ready(())
    }

    /// Whether the final head was sent, and whether the body ends where the sender stops.
    pub fn stand(&self) -> (bool, bool) {
        let outgoing = self.outgoing.borrow();
        (outgoing.has_begun(), outgoing.is_raw())
    }

    /// The connection ends with an error: a rule wants nothing more of this client.
    pub fn abort(&self) {
        self.with(|_, machine| machine.abort(Code::ENHANCE_YOUR_CALM));
    }

    fn wait<T>(&self, until: Nanos) -> Poll<io::Result<T>> {
        let rt = self.mux.rt();
        if rt.now() >= until {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        rt.arm(until);
        Poll::Pending
    }

    fn gone() -> io::Error {
        ErrorKind::ConnectionReset.into()
    }
}

/// A stream as the data plane reads and writes it.
pub struct Bytes(pub Rc<Lane>);

impl Carried for Bytes {
    fn poll_recv(&self, room: &mut [u8], until: Nanos) -> Poll<io::Result<usize>> {
        let lane = &*self.0;
        let (n, data, ended) = {
            let mut incoming = lane.incoming.borrow_mut();
            let (n, data) = incoming.read(room);
            (n, data, incoming.ended)
        };
        if data > 0 {
            lane.mux.machine.borrow_mut().consumed(lane.id, data);
            if !lane.mux.machine.borrow().output().is_empty() {
                lane.mux.touch();
            }
        }
        match ended {
            _ if n > 0 => Poll::Ready(Ok(n)),
            Ended::Reset => Poll::Ready(Err(Lane::gone())),
            Ended::Whole => Poll::Ready(Ok(0)),
            Ended::No => lane.wait(until),
        }
    }

    fn poll_send(&self, bytes: &[u8], until: Nanos) -> Poll<io::Result<usize>> {
        let lane = &*self.0;
        if lane.is_lost() {
            return Poll::Ready(Err(Lane::gone()));
        }
        match lane.with(|outgoing, machine| outgoing.send(lane.id, bytes, machine)) {
            Err(Gone) => Poll::Ready(Err(Lane::gone())),
            Ok(0) if !bytes.is_empty() => lane.wait(until),
            Ok(n) => Poll::Ready(Ok(n)),
        }
    }

    fn is_readable(&self) -> bool {
        self.0.incoming.borrow().is_readable()
    }

    fn has_ended(&self, half: bool) -> bool {
        self.0.is_lost() || (half && self.0.mux.half.get())
    }

    fn shutdown_write(&self) {
        let lane = &*self.0;
        let _ = lane.with(|outgoing, machine| outgoing.end(lane.id, machine));
    }

    fn carrier(&self) -> &Link {
        &self.0.mux.link
    }
}
