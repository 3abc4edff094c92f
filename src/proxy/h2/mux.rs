//! `Mux`: an HTTP/2 connection as its streams share it, and `Lane`: one of them.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::Poll;

use crate::base::Nanos;
use crate::conn::Link;
use crate::conn::link::{Carriage, Carried};
use crate::http::h2::{Code, Connection, Gone};
use crate::http::{BodyLen, Head};
use crate::rt::{NEVER, Rt, TaskId};

use super::incoming::{Ended, Incoming};
use super::outgoing::Outgoing;
use super::websocket;

/// A connection that carries streams.
pub struct Mux {
    pub link: Rc<Link>,
    pub machine: RefCell<Connection>,
    lanes: RefCell<Vec<Rc<Lane>>>,
    /// Reads and writes the connection.
    pub(super) task: Cell<TaskId>,
    /// The peer has ended its direction: from when on it counts as one that has left.
    pub(super) left_at: Cell<Nanos>,
    /// Of a server's connection: how it stands, and who waits for that to change.
    pub(super) state: Cell<State>,
    waiters: RefCell<Vec<TaskId>>,
    /// Until when the peer must take something of what there is for it.
    write_until: Cell<Nanos>,
    /// Streams that it has carried, or is to carry.
    pub(super) uses: Cell<u32>,
}

/// How a connection to a server stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It is under way.
    #[default]
    Opening,
    Up,
    Lost,
}

/// A stream of a connection.
pub struct Lane {
    /// Its number; 0 before it has one.
    id: Cell<u32>,
    mux: Rc<Mux>,
    /// Serves the stream.
    pub(super) task: Cell<Option<TaskId>>,
    incoming: RefCell<Incoming>,
    outgoing: RefCell<Outgoing>,
    /// The client asked for a WebSocket in the words of HTTP/1: what it is to be answered with.
    accept: RefCell<Option<String>>,
}

impl Mux {
    pub fn new(link: Rc<Link>, machine: Connection) -> Mux {
        let task = Cell::new(link.rt().current_task());
        Mux {
            link,
            machine: RefCell::new(machine),
            lanes: RefCell::default(),
            task,
            left_at: Cell::new(NEVER),
            state: Cell::default(),
            waiters: RefCell::default(),
            write_until: Cell::new(NEVER),
            uses: Cell::new(0),
        }
    }

    pub fn rt(&self) -> &'static Rt {
        self.link.rt()
    }

    /// How the connection stands.
    pub fn carriage(&self) -> Carriage {
        let machine = self.machine.borrow();
        Carriage {
            is_http2: true,
            streams: machine.streams() as u32,
            limit: machine.most_streams(),
            glitches: machine.glitches(),
        }
    }

    /// A stream that was opened. `chunked`: the length of its body is not known. `end`: it has none.
    pub fn open(self: &Rc<Mux>, id: u32, chunked: bool, end: bool) -> Rc<Lane> {
        let ended = if end { Ended::Whole } else { Ended::No };
        let lane = self.reserve(Incoming::of(chunked, ended));
        lane.id.set(id);
        self.lanes.borrow_mut().push(lane.clone());
        lane
    }

    /// A stream that is yet to be opened by us.
    pub fn reserve(self: &Rc<Mux>, incoming: Incoming) -> Rc<Lane> {
        self.uses.set(self.uses.get().saturating_add(1));
        Rc::new(Lane {
            id: Cell::new(0),
            mux: self.clone(),
            task: Cell::new(None),
            incoming: RefCell::new(incoming),
            outgoing: RefCell::default(),
            accept: RefCell::default(),
        })
    }

    /// Sends what the kernel takes, and calls `sent` after each piece. The peer may take nothing for `write_ms`. The error:
    /// the connection is of no use any more.
    pub(super) fn flush(&self, write_ms: impl Fn() -> u64, sent: impl Fn()) -> Result<(), ()> {
        loop {
            let mut machine = self.machine.borrow_mut();
            if machine.output().is_empty() {
                self.write_until.set(NEVER);
                machine.released(|id| self.wake(id));
                return Ok(());
            }
            if self.write_until.get() == NEVER {
                self.write_until.set(self.rt().after_ms(write_ms()));
            }
            match self.link.poll_send(machine.output(), false, self.write_until.get()) {
                Poll::Ready(Ok(n)) => {
                    machine.advance(n);
                    self.write_until.set(NEVER);
                    sent();
                }
                Poll::Ready(Err(_)) => return Err(()),
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// A stream may go on.
    pub(super) fn wake(&self, id: u32) {
        if let Some(lane) = self.lane(id) {
            lane.wake();
        }
    }

    /// The connection stands now, or is lost: who waits for that hears of it.
    pub(super) fn settle(&self, state: State) {
        if self.state.replace(state) != state {
            self.wake_waiters();
        }
    }

    /// Who waits for the connection looks at it again.
    pub(super) fn wake_waiters(&self) {
        for task in self.waiters.take() {
            self.rt().wake(task);
        }
    }

    /// Streams above `last` were not looked at, and may be asked for elsewhere.
    pub(super) fn refuse_above(&self, last: u32) {
        for lane in self.lanes.borrow().iter().filter(|lane| lane.id.get() > last) {
            lane.refuse();
        }
    }

    /// A live stream.
    pub fn lane(&self, id: u32) -> Option<Rc<Lane>> {
        let lanes = self.lanes.borrow();
        lanes.iter().rev().find(|lane| lane.id.get() == id).cloned()
    }

    fn is_of_server(&self) -> bool {
        self.state.get() != State::Opening
    }

    /// No stream is being served.
    pub fn is_idle(&self) -> bool {
        self.lanes.borrow().is_empty()
    }

    /// Streams that are being served, those among them that were reset, too.
    pub(super) fn lanes(&self) -> usize {
        self.lanes.borrow().len()
    }

    /// No stream receives or sends any more.
    pub fn lose(&self) {
        for lane in self.lanes.borrow().iter() {
            lane.lose();
        }
    }

    /// The peer has ended its direction: what it has not said in full it never will, and who waits for an answer is
    /// gone, unless that is about to come.
    pub(super) fn end_receiving(&self, left_at: Nanos) {
        self.left_at.set(left_at);
        for lane in self.lanes.borrow().iter() {
            if lane.incoming.borrow().ended == Ended::No {
                lane.lose();
            }
        }
    }

    /// Wakes every stream: what they look at has changed.
    pub fn wake_all(&self) {
        self.lanes.borrow().iter().for_each(|lane| lane.wake());
    }

    /// There is something to send.
    pub(super) fn touch(&self) {
        self.rt().wake(self.task.get());
    }

    fn forget(&self, id: u32) {
        let mut lanes = self.lanes.borrow_mut();
        if let Some(at) = lanes.iter().position(|lane| lane.id.get() == id) {
            lanes.swap_remove(at);
        }
        if lanes.is_empty() {
            *lanes = Vec::new();
            self.touch();
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

    /// The head of a response, as HTTP/1 has it.
    pub fn received_head(&self, head: &Head, end: bool) {
        let accept = self.accept.borrow();
        let opened =
            accept.as_deref().filter(|_| head.body == BodyLen::Tunnel).map(|a| websocket::opened(head, a));
        let bytes = head.buf.written().get(head.start_line.start()..head.len).unwrap_or_default();
        let bytes = opened.as_deref().unwrap_or(bytes);
        self.incoming.borrow_mut().begin(bytes, head.body == BodyLen::Chunked, end);
        self.wake();
    }

    /// The stream was reset, or the connection is lost. What ended before stays.
    pub fn lose(&self) {
        self.end(Ended::Reset);
    }

    /// The server did not look at the request.
    pub fn refuse(&self) {
        self.end(Ended::Refused);
    }

    fn end(&self, ended: Ended) {
        let mut incoming = self.incoming.borrow_mut();
        if incoming.ended == Ended::No || !self.mux.is_of_server() {
            incoming.ended = ended;
        }
        self.wake();
    }

    fn is_lost(&self) -> bool {
        matches!(self.incoming.borrow().ended, Ended::Reset | Ended::Refused)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Outgoing, &mut Connection) -> T) -> T {
        let done = f(&mut self.outgoing.borrow_mut(), &mut self.mux.machine.borrow_mut());
        self.mux.touch();
        done
    }

    /// Sends a head. `end`: nothing follows it.
    pub fn respond(&self, head: &Head, end: bool) -> Result<(), Gone> {
        self.with(|outgoing, machine| {
            machine.respond(self.id.get(), head, end)?;
            if head.status >= 200 || head.status == 101 {
                outgoing.begin(head.body, end);
            }
            Ok(())
        })
    }

    /// Sends a request, once the connection stands. Ready with what became of it.
    pub fn poll_request(&self, head: &Head, end: bool, until: Nanos) -> Poll<io::Result<()>> {
        match self.mux.state.get() {
            State::Lost => return Poll::Ready(Err(ErrorKind::ConnectionRefused.into())),
            // Whether the server takes WebSockets is in its SETTINGS (RFC 8441 section 3).
            State::Up if !head.is_websocket() || self.mux.machine.borrow().is_greeted() => {}
            State::Up | State::Opening => {
                self.mux.waiters.borrow_mut().push(self.mux.rt().current_task());
                return self.wait(until);
            }
        }
        if head.is_websocket() {
            if !self.mux.machine.borrow().takes_websockets() {
                return Poll::Ready(Err(ErrorKind::Unsupported.into()));
            }
            *self.accept.borrow_mut() = Some(websocket::accept(head));
        }
        let scheme: &[u8] = if self.mux.link.tls().is_some() { b"https" } else { b"http" };
        let asked = self.with(|outgoing, machine| {
            let id = machine.request(head, scheme, end)?;
            let opens = !end && head.body == BodyLen::None;
            outgoing.begin(if opens { BodyLen::Tunnel } else { head.body }, end);
            Ok::<u32, Gone>(id)
        });
        let Ok(id) = asked else { return Poll::Ready(Err(ErrorKind::ConnectionRefused.into())) };
        self.id.set(id);
        self.task.set(Some(self.mux.rt().current_task()));
        Poll::Ready(Ok(()))
    }

    /// From here on it hears of what comes.
    pub fn enlist(self: &Rc<Lane>) {
        self.mux.lanes.borrow_mut().push(self.clone());
    }

    /// Nobody wants what is still to come.
    pub fn abandon(&self) {
        let id = self.id.get();
        if id > 0 {
            self.with(|_, machine| machine.reset(id, Code::CANCEL));
            self.mux.forget(id);
        }
    }

    /// What the stream's own task still has to say at its end, or that it was given up: by `code`. Ready when the stream
    /// is done with.
    pub fn poll_end(&self, until: Nanos, code: Option<Code>) -> Poll<()> {
        let flushed = match code {
            None if !self.is_lost() => self.with(|outgoing, machine| outgoing.end(self.id.get(), machine)),
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
            machine.reset(self.id.get(), code);
        });
        self.mux.forget(self.id.get());
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

    /// The connection ends without a word.
    pub fn vanish(&self) {
        self.with(|_, machine| machine.receive_end());
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
            lane.mux.machine.borrow_mut().consumed(lane.id.get(), data);
            if !lane.mux.machine.borrow().output().is_empty() {
                lane.mux.touch();
            }
        }
        match ended {
            _ if n > 0 => Poll::Ready(Ok(n)),
            Ended::Reset => Poll::Ready(Err(Lane::gone())),
            Ended::Refused => Poll::Ready(Err(ErrorKind::ConnectionRefused.into())),
            Ended::Whole => Poll::Ready(Ok(0)),
            Ended::No => lane.wait(until),
        }
    }

    fn poll_send(&self, bytes: &[u8], until: Nanos) -> Poll<io::Result<usize>> {
        let lane = &*self.0;
        if lane.is_lost() {
            return Poll::Ready(Err(Lane::gone()));
        }
        match lane.with(|outgoing, machine| outgoing.send(lane.id.get(), bytes, machine)) {
            Err(Gone) => Poll::Ready(Err(Lane::gone())),
            Ok(0) if !bytes.is_empty() => lane.wait(until),
            Ok(n) => Poll::Ready(Ok(n)),
        }
    }

    fn is_readable(&self) -> bool {
        self.0.incoming.borrow().is_readable()
    }

    fn window(&self) -> usize {
        match self.0.id.get() {
            0 => usize::MAX,
            id => self.0.mux.machine.borrow().window(id),
        }
    }

    fn has_ended(&self, half: bool) -> bool {
        self.0.is_lost() || (half && self.0.mux.left_at.get() <= self.0.mux.rt().now())
    }

    fn shutdown_write(&self) {
        let lane = &*self.0;
        let _ = lane.with(|outgoing, machine| outgoing.end(lane.id.get(), machine));
    }

    fn carrier(&self) -> &Link {
        &self.0.mux.link
    }

    fn carriage(&self) -> Carriage {
        self.0.mux.carriage()
    }
}
