//! The task of a server's HTTP/2 connection: reads and writes it for the streams of all clients that use it.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::rc::Rc;
use std::task::Poll;

use crate::base::Nanos;
use crate::base::buf::{BODY_SIZE, Buf};
use crate::base::clock::MS;
use crate::http::Head;
use crate::http::h2::{Code, Event};
use crate::rt::NEVER;

use super::mux::{Mux, State};

/// A connection to a server.
pub struct Dialled {
    mux: Rc<Mux>,
    /// What goes before anything else (`send-proxy`), and how much of it went.
    preface: Vec<u8>,
    preface_at: usize,
    /// How long it is kept without a stream.
    idle_ms: u64,
    /// How long the server may take nothing, while there is something for it.
    write_ms: u64,
    head: Head,
    was_idle: bool,
    idle_until: Nanos,
}

impl Dialled {
    /// `preface` goes before anything else; it is kept for `idle_ms` without a stream, and the server may take nothing
    /// for `write_ms`.
    pub fn new(mux: Rc<Mux>, preface: Vec<u8>, (idle_ms, write_ms): (u64, u64)) -> Dialled {
        let idle_until = mux.rt().after_ms(idle_ms.max(1000));
        Dialled {
            mux,
            preface,
            preface_at: 0,
            idle_ms,
            write_ms,
            head: Head::default(),
            was_idle: true,
            idle_until,
        }
    }

    /// Serves it to its end.
    pub async fn run(mut self) {
        self.mux.task.set(self.mux.rt().current_task());
        poll_fn(|_| self.poll()).await;
        self.mux.settle(State::Lost);
        self.mux.lose();
    }

    fn poll(&mut self) -> Poll<()> {
        loop {
            let is_idle = self.mux.is_idle();
            if is_idle && !self.was_idle {
                self.idle_until = self.mux.rt().after_ms(self.idle_ms);
                self.head = Head::default();
            }
            self.was_idle = is_idle;
            if self.write().is_err() {
                return Poll::Ready(());
            }
            let (is_over, is_done, is_backed_up) = {
                let machine = self.mux.machine.borrow();
                (machine.is_over(), machine.is_done() && is_idle, machine.is_backed_up())
            };
            let is_sent = self.mux.machine.borrow().output().is_empty();
            if is_sent && (is_over || is_done) {
                return Poll::Ready(());
            }
            if is_over || is_backed_up {
                return Poll::Pending;
            }
            match self.read() {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn write(&mut self) -> Result<(), ()> {
        while let Some(rest) = self.preface.get(self.preface_at..).filter(|rest| !rest.is_empty()) {
            match self.mux.link.poll_send(rest, true, NEVER) {
                Poll::Ready(Ok(n)) => self.preface_at += n,
                Poll::Ready(Err(_)) => return Err(()),
                Poll::Pending => return Ok(()),
            }
        }
        // What is written first shows that the connection stands.
        self.mux.flush(|| self.write_ms, || self.mux.settle(State::Up))
    }

    /// Reads and takes what there is. False: the connection has ended.
    fn read(&mut self) -> Poll<bool> {
        // While something is to be sent, the time for that counts (`Mux::flush`).
        let is_waiting = self.mux.is_idle() && self.mux.machine.borrow().output().is_empty();
        let until = if is_waiting { self.idle_until } else { NEVER };
        let mut buf = if self.mux.link.is_readable() { Buf::take(BODY_SIZE) } else { Buf::default() };
        match self.mux.link.poll_recv(buf.room(), until) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(n @ 1..)) => {
                buf.advance(n);
                self.take(buf.data());
                Poll::Ready(true)
            }
            Poll::Ready(Err(e)) if e.kind() == ErrorKind::TimedOut => {
                self.mux.machine.borrow_mut().leave(true);
                Poll::Ready(true)
            }
            Poll::Ready(_) => Poll::Ready(false),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let now_ms = self.mux.rt().now() / MS;
        let mut at = 0;
        loop {
            let event = self.mux.machine.borrow_mut().receive(now_ms, bytes, &mut at, &mut self.head);
            let Some(event) = event else { break };
            self.deliver(event, bytes);
        }
        self.mux.machine.borrow_mut().released(|id| self.mux.wake(id));
        self.mux.wake_waiters();
    }

    fn deliver(&mut self, event: Event, bytes: &[u8]) {
        let lane = |stream| self.mux.lane(stream);
        match event {
            Event::Head { stream, end } => {
                if let Some(lane) = lane(stream) {
                    lane.received_head(&self.head, end);
                }
            }
            Event::Data { stream, range, end } => match lane(stream) {
                Some(lane) => lane.received(&bytes[range], end),
                None => self.mux.machine.borrow_mut().consumed(stream, range.len()),
            },
            Event::Trailers { stream } => {
                if let Some(lane) = lane(stream) {
                    lane.received_trailers(&self.head);
                }
            }
            Event::Reset { stream, code: Code::REFUSED_STREAM, .. } => {
                if let Some(lane) = lane(stream) {
                    lane.refuse();
                }
            }
            Event::Reset { stream, .. } | Event::Malformed { stream } | Event::Refused { stream, .. } => {
                if let Some(lane) = lane(stream) {
                    lane.lose();
                }
            }
            Event::GoAway { last, .. } => self.mux.refuse_above(last),
            Event::Over(_) => self.mux.lose(),
        }
    }
}
