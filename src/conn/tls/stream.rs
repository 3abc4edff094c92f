//! `Tls`: reads and writes data over a connection, with the deadlines of who does.
//!
//! A write is done when all that it became is with the kernel, so that nobody has to come back for what is left of it.
//! An end of the stream is an end, whether the peer announced it or not.

use std::cell::{RefCell, RefMut};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::task::Poll;

use rustls::{CommonState, HandshakeKind};

use crate::base::Nanos;
use crate::base::buf::{Buf, HEAD_SIZE};
use crate::os::socket;
use crate::rt::Conn;
use crate::tls::{Hello, Material, Verdict};

use super::engine::{Engine, Flow, MOST_AT_ONCE, Step, Wish};
use super::handshake::Fault;

/// Reads in a row that bring no data before nothing more is expected of a peer: records may be empty.
const FRUITLESS: usize = 8;

/// From this size on a piece has a record of its own: that costs less than to copy it.
const LARGE: usize = 4096;

/// A connection that speaks TLS, or is to.
pub struct Tls {
    conn: Conn,
    state: RefCell<State>,
}

pub(super) struct State {
    pub engine: Engine,
    pub flow: Flow,
    /// Hands are shaken.
    pub is_up: bool,
    pub fault: Option<Fault>,
    /// What a client asked for.
    pub hello: Option<Box<Hello>>,
    /// What a client was shown.
    pub material: Option<Arc<Material>>,
    /// What was found when the peer's certificate was looked at.
    pub verdict: Option<Verdict>,
    /// Bytes of the write under way that are encrypted, and that its caller does not know of yet.
    accepted: usize,
    /// How many bytes for the peer lay there when those had been encrypted.
    sealed: usize,
    /// The peer knows that our direction is over, or need not.
    said_bye: bool,
}

impl State {
    /// Goes before what is sent next, in the clear.
    pub fn prepend(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let outgoing = &mut self.flow.outgoing;
            if outgoing.capacity() == 0 {
                *outgoing = Buf::take(HEAD_SIZE);
            }
            outgoing.push(bytes);
        }
    }

    /// Data that is there, into `room`, as much as fits. 0: there is none, or it has ended.
    fn take(&mut self, room: &mut [u8]) -> Result<usize, rustls::Error> {
        let mut n = self.flow.take_plain(room);
        while n < room.len() && !self.flow.is_ended && !self.flow.is_starved && !self.flow.incoming.is_empty()
        {
            match self.engine.run(&mut self.flow, Wish::Read(&mut room[n..])) {
                Ok(Step::Read(more)) => n += more,
                Ok(_) => break,
                // What came before it is good; nothing comes after.
                Err(_) if n > 0 => {
                    (self.flow.is_ended, self.said_bye) = (true, true);
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(n)
    }
}

impl Tls {
    pub fn new(conn: Conn) -> Tls {
        let state = State {
            engine: Engine::Raw,
            flow: Flow::default(),
            is_up: false,
            fault: None,
            hello: None,
            material: None,
            verdict: None,
            accepted: 0,
            sealed: 0,
            said_bye: false,
        };
        Tls { conn, state: RefCell::new(state) }
    }

    /// The connection beneath.
    pub fn conn(&self) -> &Conn {
        &self.conn
    }

    pub(super) fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Why the handshake failed, if it did.
    pub fn fault(&self) -> Option<Fault> {
        self.state.borrow().fault.clone()
    }

    /// Whether data may be sent.
    pub fn is_up(&self) -> bool {
        self.state.borrow().is_up
    }

    /// Looks at what was agreed on. `None`: there was no handshake yet.
    pub fn look<T>(&self, f: impl FnOnce(&CommonState) -> T) -> Option<T> {
        self.state.borrow().engine.common().map(f)
    }

    /// Looks at what the client asked for, whatever came of it.
    pub fn hello<T>(&self, f: impl FnOnce(&Hello) -> T) -> Option<T> {
        self.state.borrow().hello.as_deref().map(f)
    }

    /// Whether an earlier session spared both sides a whole handshake.
    pub fn is_resumed(&self) -> bool {
        self.look(|common| common.handshake_kind() == Some(HandshakeKind::Resumed)).unwrap_or_default()
    }

    /// The protocol that both sides agreed on.
    pub fn speaks(&self, protocol: &[u8]) -> bool {
        self.look(|common| common.alpn_protocol() == Some(protocol)) == Some(true)
    }

    /// What a client was shown.
    pub fn material(&self) -> Option<Arc<Material>> {
        self.state.borrow().material.clone()
    }

    /// What was found when the peer's certificate was looked at.
    pub fn verdict(&self) -> Option<Verdict> {
        self.state.borrow().verdict
    }

    /// See [`Link::is_readable`](super::super::Link::is_readable).
    pub fn is_readable(&self) -> bool {
        self.holds_something() || self.conn.is_readable()
    }

    fn holds_something(&self) -> bool {
        let state = self.state.borrow();
        let flow = &state.flow;
        flow.has_plain() || flow.is_ended || (!flow.incoming.is_empty() && !flow.is_starved)
    }

    /// Whether there is no data; what the protocol says beside it is taken in.
    pub fn is_drained(&self) -> bool {
        if self.holds_something() {
            return false;
        }
        let mut state = self.state();
        let mut left = FRUITLESS;
        while self.conn.is_readable() {
            if left == 0 || !state.flow.make_room(false) {
                return false;
            }
            left -= 1;
            match self.conn.try_recv(state.flow.incoming.room()) {
                None => break,
                Some(Ok(n)) if n > 0 => {
                    state.flow.incoming.advance(n);
                    state.flow.is_starved = false;
                }
                Some(_) => {
                    state.flow.is_ended = true;
                    return false;
                }
            }
            let State { engine, flow, .. } = &mut *state;
            match engine.run(flow, Wish::Nothing) {
                Ok(Step::Starved) if !flow.has_plain() => {}
                Ok(_) => return false,
                Err(_) => {
                    flow.is_ended = true;
                    return false;
                }
            }
        }
        state.flow.release();
        // Part of a record is no silence.
        state.flow.incoming.is_empty()
    }

    /// More bytes of the peer, or its end.
    pub(super) fn poll_more(&self, state: &mut State, large: bool, until: Nanos) -> Poll<io::Result<()>> {
        self.fill(state, large, |room| self.conn.poll_recv(room, until))
    }

    fn fill(
        &self,
        state: &mut State,
        large: bool,
        mut read: impl FnMut(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<()>> {
        let flow = &mut state.flow;
        // Without anything to read no buffer is taken for it.
        let read = if self.conn.is_readable() {
            if !flow.make_room(large) {
                return Poll::Ready(Err(ErrorKind::InvalidData.into()));
            }
            read(flow.incoming.room())
        } else {
            read(&mut [])
        };
        match read {
            Poll::Pending => {
                flow.release();
                Poll::Pending
            }
            Poll::Ready(Ok(n)) => {
                flow.incoming.advance(n);
                flow.is_starved = false;
                flow.is_ended |= n == 0;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
        }
    }

    /// Shakes hands, and sees to it that the peer can know.
    pub fn poll_established(&self, until: Nanos) -> Poll<io::Result<()>> {
        match self.poll_handshake(until) {
            Poll::Ready(Ok(())) => self.poll_flush(&mut self.state(), until),
            other => other,
        }
    }

    /// Sends what is there to be sent.
    pub(super) fn poll_flush(&self, state: &mut State, until: Nanos) -> Poll<io::Result<()>> {
        self.poll_flush_more(state, false, until)
    }

    fn poll_flush_more(&self, state: &mut State, more: bool, until: Nanos) -> Poll<io::Result<()>> {
        let outgoing = &mut state.flow.outgoing;
        while !outgoing.is_empty() {
            match self.conn.poll_send(outgoing.data(), more, until) {
                Poll::Ready(Ok(n)) => outgoing.consume(n),
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
        }
        *outgoing = Buf::default();
        Poll::Ready(Ok(()))
    }

    /// See [`Link::poll_recv`](super::super::Link::poll_recv).
    pub fn poll_recv(&self, room: &mut [u8], until: Nanos) -> Poll<io::Result<usize>> {
        match self.poll_handshake(until) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
            Poll::Pending => return Poll::Pending,
        }
        self.receive(room, |room| self.conn.poll_recv(room, until))
    }

    /// See [`Link::try_recv`](super::super::Link::try_recv).
    pub fn try_recv(&self, room: &mut [u8]) -> Option<io::Result<usize>> {
        if !self.is_up() {
            return None;
        }
        let mut left = FRUITLESS;
        let received = self.receive(room, |room| {
            if left == 0 {
                return Poll::Ready(Err(ErrorKind::InvalidData.into()));
            }
            left -= 1;
            self.conn.try_recv(room).map_or(Poll::Pending, Poll::Ready)
        });
        match received {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    fn receive(
        &self,
        room: &mut [u8],
        mut read: impl FnMut(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        loop {
            let taken = state.take(room);
            if state.accepted == 0 && !state.flow.outgoing.is_empty() {
                // An answer of the protocol's own, to new keys or to nonsense: it goes if it can go now.
                self.send_now(&mut state);
            }
            match taken {
                Ok(0) => {}
                Ok(n) => {
                    state.flow.release();
                    return Poll::Ready(Ok(n));
                }
                Err(e) => {
                    state.said_bye = true;
                    state.flow.is_ended = true;
                    return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, e)));
                }
            }
            if state.flow.is_ended {
                state.flow.release();
                return Poll::Ready(Ok(0));
            }
            match self.fill(&mut state, room.len() > HEAD_SIZE, &mut read) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// See [`Link::poll_send`](super::super::Link::poll_send).
    pub fn poll_send(&self, bytes: &[u8], more: bool, until: Nanos) -> Poll<io::Result<usize>> {
        self.poll_send_both(bytes, &[], more, until)
    }

    /// Encrypts the one and then the other, if nothing is under way, and sends what came of them in one piece.
    fn poll_send_both(&self, first: &[u8], rest: &[u8], more: bool, until: Nanos) -> Poll<io::Result<usize>> {
        match self.poll_handshake(until) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
            Poll::Pending => return Poll::Pending,
        }
        let mut state = self.state();
        let first = first.get(..MOST_AT_ONCE).unwrap_or(first);
        let rest = rest.get(..MOST_AT_ONCE - first.len()).unwrap_or(rest);
        let total = first.len() + rest.len();
        if state.accepted == 0 && total > 0 {
            if !state.flow.takes(total) {
                match self.poll_flush(&mut state, until) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let State { engine, flow, .. } = &mut *state;
            for piece in [first, rest].into_iter().filter(|piece| !piece.is_empty()) {
                match engine.run(flow, Wish::Write(piece)) {
                    Ok(Step::Written) => {}
                    Ok(_) => return Poll::Ready(Err(ErrorKind::NotConnected.into())),
                    Err(e) => return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, e))),
                }
            }
            (state.accepted, state.sealed) = (total, state.flow.outgoing.len());
        }
        match self.poll_flush_more(&mut state, more, until) {
            Poll::Ready(Ok(())) => {
                let accepted = std::mem::take(&mut state.accepted);
                Poll::Ready(Ok(accepted.min(total)))
            }
            // Part of it went: who writes is not to think that nothing did. The rest meets the error again.
            Poll::Ready(Err(_)) if state.accepted > 1 && state.flow.outgoing.len() < state.sealed => {
                let accepted = std::mem::take(&mut state.accepted) - 1;
                Poll::Ready(Ok(accepted.min(total)))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes small ones as one record: one for each would cost more than to copy them. What is large is encrypted where
    /// it is.
    pub fn poll_send_slices(&self, slices: &[IoSlice<'_>], until: Nanos) -> Poll<io::Result<usize>> {
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        let (Some(first), second) = (filled.next(), filled.next()) else {
            return self.poll_send(&[], false, until);
        };
        if second.is_none() {
            return self.poll_send(first, false, until);
        }
        let mut record = Buf::take(HEAD_SIZE);
        for slice in slices {
            let n = if slice.len() < LARGE { record.push(slice) } else { 0 };
            if n < slice.len() {
                return self.poll_send_both(record.data(), slice.get(n..).unwrap_or_default(), false, until);
            }
        }
        self.poll_send(record.data(), false, until)
    }

    /// Sends what the kernel takes at once.
    pub(super) fn send_now(&self, state: &mut State) {
        let outgoing = &mut state.flow.outgoing;
        while let Ok(n @ 1..) = socket::send(self.conn.fd(), outgoing.data(), false) {
            outgoing.consume(n);
            if outgoing.is_empty() {
                *outgoing = Buf::default();
                return;
            }
        }
    }

    /// Tells the peer that our direction is over, if it can be told now.
    fn say_bye(&self) {
        let mut state = self.state();
        if !state.is_up || std::mem::replace(&mut state.said_bye, true) {
            return;
        }
        let State { engine, flow, .. } = &mut *state;
        if flow.outgoing.is_empty() && engine.run(flow, Wish::Bye).is_ok() {
            self.send_now(&mut state);
        }
    }

    /// See [`Link::shutdown_write`](super::super::Link::shutdown_write).
    pub fn shutdown_write(&self) {
        self.say_bye();
        self.conn.shutdown_write();
    }

    /// Whatever closes it resets it: nothing is to be said then.
    pub fn set_no_linger(&self) {
        self.state().said_bye = true;
        socket::set_no_linger(self.conn.fd());
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        if self.conn.fd() >= 0 && !self.conn.is_broken() {
            self.say_bye();
        }
    }
}
