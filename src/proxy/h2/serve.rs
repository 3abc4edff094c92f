//! The task of a client's HTTP/2 connection: reads it, begins a task for each request, writes what all of them send, and
//! ends it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::rc::Rc;
use std::task::Poll;

use crate::base::Nanos;
use crate::base::buf::{BODY_SIZE, Buf, HEAD_SIZE};
use crate::base::clock::{MS, SEC};
use crate::config::Proxy;
use crate::http::h2::{Code, Connection, Event};
use crate::http::{BodyLen, Head};
use crate::rt::NEVER;
use crate::rules::track::ERROR;
use crate::stick::Data;

use super::super::access;
use super::super::downstream::Downstream;
use super::super::end::{self, Cause, End};
use super::super::route::Route;
use super::super::session::{Current, Session};
use super::super::sticking;
use super::super::transaction;
use super::super::transfer::Patience;
use super::client::Rejection;
use super::mux::{Lane, Mux};
use super::options;

/// What a peer whose connection ends by an error may still have on its way, and for how long it is read: a close before
/// that would reset the connection, and what it is told with it.
const LINGER_BYTES: usize = 1 << 20;
const LINGER: Nanos = SEC;

/// A client that ends its direction behind a request is answered if that takes no longer; else it has left.
const GRACE: Nanos = 100 * MS;

/// What the connection has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// All is said but for what streams still send.
    Leaving,
    /// Over by an error, which is to be sent.
    Over,
}

struct Server {
    session: Rc<Session>,
    mux: Rc<Mux>,
    current: Current,
    /// Where the next head is made.
    head: Head,
    /// What was read and has to wait until streams have ended: their number is limited, whoever ended them.
    rest: Buf,
    /// Requests that nobody serves yet.
    begun: VecDeque<Request>,
    phase: Phase,
    /// Until when a stream must have been opened, while there is none.
    idle_until: Nanos,
    was_idle: bool,
    /// Streams were told that the client has left.
    has_parted: bool,
    /// Faults of the client that what it is tracked by knows of.
    glitches: u32,
}

/// A request whose task is to begin.
struct Request {
    current: Current,
    lane: Rc<Lane>,
    head: Head,
    /// What it is answered with at once; 0: it is served.
    refused: u16,
}

/// Serves a connection whose client speaks HTTP/2 from its first byte on. `first`: what was read of it already.
pub async fn run(session: Session, current: Current, first: Option<Buf>) {
    let proxy = current.view.config().proxy(current.front);
    let machine =
        Connection::new(options::of_client(&current.view.config().global.tune, session.worker.random()));
    let idle_until = limit(&session, proxy.timeouts.http_request, proxy, session.accepted);
    let mux = Rc::new(Mux::new(session.link.clone(), machine));
    let _ = session.mux.set(mux.clone());
    let mut server = Server {
        session: Rc::new(session),
        mux,
        current,
        head: Head::default(),
        rest: Buf::default(),
        begun: VecDeque::new(),
        phase: Phase::Open,
        idle_until,
        was_idle: true,
        has_parted: false,
        glitches: 0,
    };
    if let Some(first) = first {
        server.take(first);
    }
    poll_fn(|_| {
        let polled = server.poll();
        server.serve_some(polled.is_ready());
        polled
    })
    .await;
    server.mux.lose();
    if server.phase == Phase::Over && !server.session.is_mute.get() {
        linger(&server.mux).await;
    }
}

/// This timeout from `since` on, or that of the client.
fn limit(session: &Session, ms: u64, proxy: &Proxy, since: Nanos) -> Nanos {
    let ms = if ms > 0 { ms } else { proxy.timeouts.client };
    if ms == 0 { NEVER } else { since.max(session.accepted).saturating_add(ms.saturating_mul(MS)) }
}

impl Server {
    fn poll(&mut self) -> Poll<()> {
        loop {
            self.note_idle();
            if self.write().is_err() {
                return Poll::Ready(());
            }
            let has_output = !self.mux.machine.borrow().output().is_empty();
            if self.is_finished() && !has_output {
                return Poll::Ready(());
            }
            if self.phase == Phase::Over || (has_output && self.mux.machine.borrow().is_backed_up()) {
                return Poll::Pending;
            }
            if self.is_half_closed() {
                self.part();
                return Poll::Pending;
            }
            match self.read() {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Nothing is left to be done but to send what is there.
    fn is_finished(&self) -> bool {
        let machine = self.mux.machine.borrow();
        let no_more = self.phase == Phase::Leaving || self.is_half_closed() || machine.is_done();
        machine.is_over() || (no_more && self.mux.is_idle())
    }

    fn is_half_closed(&self) -> bool {
        self.mux.left_at.get() != NEVER
    }

    /// Streams of a client that has ended its direction hear of it when its time is over: once.
    fn part(&mut self) {
        let (at, rt) = (self.mux.left_at.get(), self.mux.rt());
        if rt.now() < at {
            rt.arm(at);
        } else if !std::mem::replace(&mut self.has_parted, true) {
            self.mux.wake_all();
        }
    }

    fn write(&mut self) -> Result<(), ()> {
        self.mux.flush(|| self.timeouts_client(), || {})
    }

    fn timeouts_client(&self) -> u64 {
        self.current.view.config().proxy(self.current.front).timeouts.client
    }

    /// Reads and takes what there is. False: the connection has ended.
    fn read(&mut self) -> Poll<bool> {
        if !self.rest.is_empty() {
            return self.go_on();
        }
        // While something is to be sent, the time for that counts (`Mux::flush`).
        let is_waiting = self.mux.is_idle() && self.mux.machine.borrow().output().is_empty();
        let until = if is_waiting { self.idle_until } else { NEVER };
        let mut buf = if self.mux.link.is_readable() { Buf::take(BODY_SIZE) } else { Buf::default() };
        match self.mux.link.poll_recv(buf.room(), until) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => {
                self.mux.end_receiving(self.mux.rt().now() + GRACE);
                Poll::Ready(!self.mux.is_idle() || !self.mux.machine.borrow().output().is_empty())
            }
            Poll::Ready(Ok(n)) => {
                buf.advance(n);
                self.take(buf);
                Poll::Ready(true)
            }
            Poll::Ready(Err(e)) if e.kind() == ErrorKind::TimedOut => {
                self.mux.machine.borrow_mut().leave(true);
                self.phase = Phase::Leaving;
                Poll::Ready(true)
            }
            Poll::Ready(Err(_)) => Poll::Ready(false),
        }
    }

    /// What was read before is taken once a stream has ended.
    fn go_on(&mut self) -> Poll<bool> {
        if self.is_full() {
            let _ = self.mux.link.watch();
            return if self.mux.link.is_broken() { Poll::Ready(false) } else { Poll::Pending };
        }
        let rest = std::mem::take(&mut self.rest);
        self.take(rest);
        Poll::Ready(true)
    }

    /// There are as many tasks as streams may live: those of streams that were reset count while they run.
    fn is_full(&self) -> bool {
        self.mux.lanes() >= self.mux.machine.borrow().most_streams() as usize
    }

    /// Hands bytes to the machine, and does what comes of them.
    fn take(&mut self, mut buf: Buf) {
        let now_ms = self.mux.rt().now() / MS;
        let mut at = 0;
        loop {
            let is_full = self.is_full();
            let mut machine = self.mux.machine.borrow_mut();
            machine.hold(is_full);
            let event = machine.receive(now_ms, buf.data(), &mut at, &mut self.head);
            drop(machine);
            let Some(event) = event else { break };
            self.react(event, buf.data());
        }
        if at < buf.len() {
            buf.consume(at);
            self.rest = buf;
        }
        let mut machine = self.mux.machine.borrow_mut();
        machine.released(|id| self.mux.wake(id));
        let glitches = machine.glitches();
        drop(machine);
        if glitches != self.glitches {
            let new = u64::from(glitches.saturating_sub(self.glitches));
            self.glitches = glitches;
            sticking::count(&self.session, &[(Data::GlitchCnt, new), (Data::GlitchRate, new)]);
        }
    }

    fn react(&mut self, event: Event, bytes: &[u8]) {
        match event {
            Event::Head { stream, end } => self.begin(stream, end, 0),
            Event::Refused { stream, status, end } => self.begin(stream, end, status),
            Event::Data { stream, range, end } => match self.mux.lane(stream) {
                Some(lane) => lane.received(&bytes[range], end),
                None => self.mux.machine.borrow_mut().consumed(stream, range.len()),
            },
            Event::Trailers { stream } => {
                if let Some(lane) = self.mux.lane(stream) {
                    lane.received_trailers(&self.head);
                }
            }
            Event::Reset { stream, .. } => {
                if let Some(lane) = self.mux.lane(stream) {
                    lane.lose();
                }
            }
            Event::Malformed { .. } => {
                sticking::count(&self.session, &sticking::REQUEST);
                sticking::count(&self.session, &ERROR);
                self.count_fault();
            }
            Event::GoAway { .. } => {}
            Event::Over(code) => {
                self.phase = Phase::Over;
                if code != Code::NO_ERROR {
                    self.count_fault();
                }
                self.mux.lose();
            }
        }
    }

    /// What was no request is counted and logged as one that could not be read.
    fn count_fault(&self) {
        let (session, current) = (&*self.session, &self.current);
        let proxy = current.view.config().proxy(current.front);
        proxy.live.front.counters.mine().err_req.inc();
        let mut txn = session.take_txn(proxy);
        session.lend_vars(&txn);
        let now = self.mux.rt().now();
        (txn.timers.request_start, txn.timers.closed) = (now, now);
        txn.request_date_us = session.worker.date_us();
        txn.is_malformed = true;
        txn.set_end(End::new(Cause::Proxy, end::Phase::Request, 0).flags());
        let route = Route::new(&current.view, current.front);
        access::log(session, &mut txn, &route, (None, None), true);
        session.keep_txn(txn);
    }

    /// A request: it is to have a task of its own, and has the newest configuration.
    fn begin(&mut self, id: u32, end: bool, refused: u16) {
        if let Some(newest) = self.session.renew() {
            self.current = newest;
        }
        let lane = self.mux.open(id, self.head.body == BodyLen::Chunked, end);
        let current = Current { view: self.current.view.clone(), front: self.current.front };
        let head = std::mem::take(&mut self.head);
        self.begun.push_back(Request { current, lane, head, refused });
    }

    /// Begins the tasks of requests, as many as may begin in this turn; `all`: nobody asks for them again.
    fn serve_some(&mut self, all: bool) {
        while !self.begun.is_empty() {
            if !all && !self.session.worker.may_begin() {
                return self.mux.rt().again();
            }
            let Some(request) = self.begun.pop_front() else { return };
            self.mux.rt().spawn(serve(self.session.clone(), request));
        }
        if self.mux.is_idle() {
            self.begun = VecDeque::new();
        }
    }

    /// Notes that the last stream has ended, or the first has begun; and that the listener is gone.
    fn note_idle(&mut self) {
        let is_idle = self.mux.is_idle();
        if is_idle && !self.was_idle {
            let proxy = self.current.view.config().proxy(self.current.front);
            let times = &proxy.timeouts;
            let ms = if times.http_keep_alive > 0 { times.http_keep_alive } else { times.http_request };
            self.idle_until = limit(&self.session, ms, proxy, self.mux.rt().now());
        }
        self.was_idle = is_idle;
        if self.mux.machine.borrow().is_over() {
            self.phase = Phase::Over;
            self.mux.lose();
        } else if self.phase == Phase::Open && !self.session.is_over() {
            // A process that stops gives each connection a time of its own.
            if let Some(at) = self.session.ends_at() {
                self.mux.rt().arm(at);
            }
        } else if self.phase == Phase::Open {
            // What is on its way is let in; who has nothing on its way may go.
            let mut machine = self.mux.machine.borrow_mut();
            machine.leave(false);
            if is_idle {
                machine.leave(true);
                self.phase = Phase::Leaving;
            }
        }
    }
}

/// One request from its head to its log line.
async fn serve(session: Rc<Session>, request: Request) {
    let Request { current, lane, head, refused } = request;
    let rt = session.worker.rt;
    lane.task.set(Some(rt.current_task()));
    let front = current.view.config().proxy(current.front);
    let client_ms = front.timeouts.client;
    let mut txn = session.take_txn(front);
    session.lend_vars(&txn);
    txn.req = head;
    let mut down = Downstream::h2(lane, refused);
    let patience = Rc::new(Patience::new(0, 0, 0));
    transaction::run(&session, &mut down, &mut txn, &current, &patience).await;
    let (cause, status) = (txn.termination[0], txn.status);
    session.keep_txn(txn);
    if let Downstream::H2(client) = &down {
        let silent = if session.is_mute.get() { Rejection::Silent } else { Rejection::Told };
        let rejection = (cause == b'P' && status == 0).then_some(silent);
        client.conclude(cause == b'-', rejection, rt.after_ms(client_ms)).await;
    }
}

/// Lets the client read what it was told.
async fn linger(mux: &Mux) {
    mux.link.shutdown_write();
    let until = mux.rt().now().saturating_add(LINGER);
    let mut left = LINGER_BYTES;
    while left > 0 && mux.link.readable(until).await.is_ok() {
        let mut buf = Buf::take(HEAD_SIZE);
        match mux.link.recv(buf.room(), until).await {
            Ok(n @ 1..) => left = left.saturating_sub(n),
            _ => return,
        }
    }
}
