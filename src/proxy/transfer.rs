//! Moving bytes from one connection to the other: through a pooled buffer while there are few, inside the kernel once
//! there are many.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::LazyLock;
use std::task::Poll;

use crate::base::Shards;
use crate::base::buf::{BODY_SIZE, Buf, HEAD_SIZE, roomy};
use crate::base::clock::{MS, Nanos};
use crate::base::shard::MAX_WORKERS;
use crate::conn::Link;
use crate::http::Chunks;
use crate::model::counters::Count;
use crate::os::pipe::Pipe;
use crate::rt::{NEVER, Rt};

use super::passage::{Leaving, Passage};

/// Size of a buffer for a body that its receiver has no room for: as much as is read ahead.
const STALLED_SIZE: usize = 4 * 1024;

/// The size of the buffer for what is read next of a message whose receiver takes `window` bytes now: little is held of what
/// would only wait. `large`: much is expected.
pub(super) fn buffer_for(large: bool, window: usize) -> usize {
    match window {
        ..STALLED_SIZE => STALLED_SIZE,
        // Four frames, as the standard's window has it.
        n if large && n >= BODY_SIZE - HEAD_SIZE - 1 => BODY_SIZE,
        _ => HEAD_SIZE,
    }
}

/// From this many bytes on a body is spliced rather than copied.
pub const SPLICE_FROM: u64 = 256 * 1024;
const PIPE_SIZE: usize = 1 << 20;
/// Most bytes that one direction reads before others have their turn, however fast its ends are.
const SHARE: usize = 128 * 1024;
/// The same for bulk, which is cheapest in large pieces: when nobody else has anything to do, and when many have.
const BULK_SHARE: usize = 1 << 20;
const LEAST_SHARE: usize = 16 * 1024;
const PIPES_KEPT: usize = 32;

/// Bytes that went to sockets through pipes, by worker.
static SPLICED: LazyLock<Shards<Count>> = LazyLock::new(|| Shards::new(MAX_WORKERS));

/// Bytes that all workers have sent through pipes.
pub fn spliced_bytes() -> u64 {
    SPLICED.iter().map(Count::value).sum()
}

thread_local! {
    static PIPES: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

fn take_pipe() -> Option<Pipe> {
    PIPES.with(|p| p.borrow_mut().pop()).or_else(|| Pipe::new(PIPE_SIZE).ok())
}

fn keep_pipe(pipe: Pipe) {
    PIPES.with(|p| {
        let mut list = p.borrow_mut();
        if pipe.held == 0 && list.len() < PIPES_KEPT {
            list.push(pipe);
        }
    });
}

/// Which of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// Until when each side may stay silent; any transfer on a side, in either direction, renews it.
pub struct Patience {
    client_ms: Cell<u64>,
    server_ms: Cell<u64>,
    client_until: Cell<Nanos>,
    server_until: Cell<Nanos>,
}

fn later(now: Nanos, ms: u64) -> Nanos {
    if ms == 0 { NEVER } else { now.saturating_add(ms.saturating_mul(MS)) }
}

impl Patience {
    pub fn new(now: Nanos, client_ms: u64, server_ms: u64) -> Self {
        Patience {
            client_ms: Cell::new(client_ms),
            server_ms: Cell::new(server_ms),
            client_until: Cell::new(later(now, client_ms)),
            server_until: Cell::new(later(now, server_ms)),
        }
    }

    /// Begins anew with these timeouts.
    pub fn restart(&self, now: Nanos, client_ms: u64, server_ms: u64) {
        self.change(Side::Client, client_ms, now);
        self.change(Side::Server, server_ms, now);
    }

    pub fn until(&self, side: Side) -> Nanos {
        match side {
            Side::Client => self.client_until.get(),
            Side::Server => self.server_until.get(),
        }
    }

    pub fn renew(&self, side: Side, now: Nanos) {
        match side {
            Side::Client => self.client_until.set(later(now, self.client_ms.get())),
            Side::Server => self.server_until.set(later(now, self.server_ms.get())),
        }
    }

    /// Changes a side's timeout from now on (`timeout tunnel`, `client-fin`).
    pub fn change(&self, side: Side, ms: u64, now: Nanos) {
        match side {
            Side::Client => self.client_ms.set(ms),
            Side::Server => self.server_ms.set(ms),
        }
        self.renew(side, now);
    }
}

/// What ends a body.
pub enum Extent {
    /// This many more bytes.
    Length(u64),
    Chunked(Box<Chunks>),
    /// The end of the stream.
    Close,
}

impl Extent {
    /// Nothing more is to come.
    pub fn is_done(&self) -> bool {
        match self {
            Extent::Length(n) => *n == 0,
            Extent::Chunked(chunks) => chunks.is_done(),
            Extent::Close => false,
        }
    }
}

/// Why a transfer did not finish.
#[derive(Debug)]
pub enum Broken {
    Read(io::Error),
    Write(io::Error),
    /// The stream ended inside the body.
    Short,
    /// Chunked coding violated.
    Malformed,
}

/// How the bytes of a body get from one side to the other; chosen for each direction when the head is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPath {
    /// Inside the kernel, once there are many.
    Splice,
    /// Through a buffer.
    Copy,
    /// Through filters.
    Filtered,
}

impl BodyPath {
    /// What these two connections allow.
    pub fn between(from: &Link, to: &Link) -> BodyPath {
        if from.can_splice() && to.can_splice() { BodyPath::Splice } else { BodyPath::Copy }
    }
}

/// One direction.
pub struct Way {
    from: Rc<Link>,
    /// `None`: what comes is thrown away.
    to: Option<Rc<Link>>,
    from_side: Side,
    to_side: Side,
    patience: Rc<Patience>,
    extent: Extent,
    buf: Buf,
    pipe: Option<Pipe>,
    path: BodyPath,
    passage: Option<Box<Passage>>,
    /// Bytes written to `to`.
    pub moved: u64,
    /// Bytes behind the end of the body that were read with it.
    pub surplus: Vec<u8>,
    /// The last read filled its buffer.
    full: bool,
    /// Bytes that this poll may still read, and whether they are a share of bulk.
    share: usize,
    is_bulk: bool,
    ended: bool,
}

impl Way {
    pub fn new(
        (from, from_side): (Rc<Link>, Side),
        (to, to_side): (Rc<Link>, Side),
        patience: Rc<Patience>,
        extent: Extent,
    ) -> Self {
        let path = BodyPath::between(&from, &to);
        let ended = matches!(extent, Extent::Length(0));
        Way {
            from,
            to: Some(to),
            from_side,
            to_side,
            patience,
            extent,
            buf: Buf::default(),
            pipe: None,
            path,
            passage: None,
            moved: 0,
            surplus: Vec::new(),
            full: false,
            share: 0,
            is_bulk: false,
            ended,
        }
    }

    /// What comes goes through filters.
    pub fn through(mut self, passage: Option<Box<Passage>>) -> Self {
        if passage.is_some() {
            self.path = BodyPath::Filtered;
        }
        self.passage = passage;
        self
    }

    /// A body that nobody takes: it is thrown away as it comes.
    pub fn drain((from, from_side): (Rc<Link>, Side), patience: Rc<Patience>, extent: Extent) -> Self {
        let mut way = Way::new((from.clone(), from_side), (from, from_side), patience, extent);
        way.discard();
        way
    }

    /// Bytes received already that are to be sent first and count as part of the body.
    pub fn begin_with(&mut self, bytes: Buf) -> Result<(), Broken> {
        self.buf = bytes;
        self.measure()
    }

    /// Lets the rest come in and throws it away: nobody takes it any more, but the sender is to come to its end.
    pub fn discard(&mut self) {
        self.to = None;
        self.path = BodyPath::Copy;
        self.passage = None;
        self.release();
    }

    /// Whether the rest is thrown away.
    pub fn is_discarding(&self) -> bool {
        self.to.is_none()
    }

    /// What follows is no message any more: the direction goes on until the stream ends, with what was read behind the
    /// body.
    pub fn into_tunnel(mut self, patience: Rc<Patience>) -> Way {
        if !self.surplus.is_empty() {
            let mut buf = Buf::take(self.buf.len() + self.surplus.len());
            buf.push(self.buf.data());
            buf.push(&self.surplus);
            self.buf = buf;
            self.surplus = Vec::new();
        }
        self.patience = patience;
        self.extent = Extent::Close;
        self.ended = false;
        self
    }

    /// The source has ended, everything read was written.
    pub fn is_done(&self) -> bool {
        self.ended && self.buf.is_empty() && self.pipe.as_ref().is_none_or(|p| p.held == 0)
    }

    fn rt(&self) -> &'static Rt {
        self.from.rt()
    }

    /// Accounts the bytes of `buf`, all of them new, to the body; what lies behind its end goes to `surplus`.
    fn measure(&mut self) -> Result<(), Broken> {
        if self.path == BodyPath::Filtered {
            return self.filter();
        }
        let fresh = self.buf.data();
        let used = match &mut self.extent {
            Extent::Length(left) => {
                let used = (*left).min(fresh.len() as u64);
                *left -= used;
                self.ended = *left == 0;
                used as usize
            }
            Extent::Chunked(chunks) => {
                let scan = chunks.scan(fresh).map_err(|_| Broken::Malformed)?;
                self.ended = chunks.is_done();
                scan.consumed
            }
            Extent::Close => fresh.len(),
        };
        if used < fresh.len() {
            self.surplus.extend_from_slice(&fresh[used..]);
            self.buf.truncate(used);
        }
        Ok(())
    }

    /// The same where filters look at them: `buf` gets what goes on.
    fn filter(&mut self) -> Result<(), Broken> {
        let Some(passage) = self.passage.as_mut() else { return Ok(()) };
        let (now, mut out) = (self.from.rt().now(), Vec::new());
        let used = passage.take(&mut self.extent, self.buf.data(), now, &mut out)?;
        self.ended = self.extent.is_done();
        self.surplus.extend_from_slice(&self.buf.data()[used..]);
        if passage.leaving() == Leaving::AsCame {
            self.buf.truncate(used);
        } else {
            self.refill(&out);
        }
        Ok(())
    }

    /// What goes on is this.
    fn refill(&mut self, bytes: &[u8]) {
        self.buf = Buf::take(roomy(bytes.len()));
        self.buf.push(bytes);
    }

    /// Moves what can be moved now, up to a share of the turn. Ready when the body is through.
    pub fn poll(&mut self) -> Poll<Result<(), Broken>> {
        (self.share, self.is_bulk) = (SHARE, false);
        loop {
            match self.poll_flush() {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
            if self.ended {
                self.release();
                return Poll::Ready(Ok(()));
            }
            if self.share == 0 {
                // More may be there: what carries it stays at hand.
                self.rt().again();
                return Poll::Pending;
            }
            match self.poll_fill() {
                Poll::Ready(Ok(())) => {}
                other => {
                    // Nothing in flight: memory goes back while the peer is silent.
                    self.release();
                    return other;
                }
            }
        }
    }

    fn release(&mut self) {
        self.buf = Buf::default();
        if let Some(pipe) = self.pipe.take() {
            keep_pipe(pipe);
        }
    }

    fn poll_flush(&mut self) -> Poll<Result<(), Broken>> {
        let Some(to) = self.to.clone() else {
            self.note_written(self.buf.len());
            self.buf.clear();
            return Poll::Ready(Ok(()));
        };
        let until = self.patience.until(self.to_side);
        while !self.buf.is_empty() {
            match to.poll_send(self.buf.data(), false, until) {
                Poll::Ready(Ok(n)) => {
                    self.buf.consume(n);
                    self.note_written(n);
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(Broken::Write(e))),
                Poll::Pending => return Poll::Pending,
            }
        }
        while let Some(pipe) = self.pipe.as_mut().filter(|p| p.held > 0) {
            match to.poll_splice_out(pipe, false, until) {
                Poll::Ready(Ok(n)) => {
                    SPLICED.mine().add(n as u64);
                    self.note_written(n);
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(Broken::Write(e))),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn note_written(&mut self, n: usize) {
        self.moved += n as u64;
        self.patience.renew(self.to_side, self.rt().now());
    }

    /// What comes next is bulk: from here on the turn's share is that of bulk, and those with less go first.
    fn note_bulk(&mut self) {
        if !self.is_bulk {
            (self.share, self.is_bulk) = (bulk_share(self.rt().beside_bulk()), true);
        }
    }

    /// Splicing pays for what is long: a body known to be, or a stream that has filled a buffer.
    fn wants_splice(&self) -> bool {
        self.path == BodyPath::Splice
            && match &self.extent {
                Extent::Length(left) => *left >= SPLICE_FROM || (self.pipe.is_some() && *left > 0),
                Extent::Chunked(_) => false,
                Extent::Close => self.full || self.pipe.is_some(),
            }
    }

    fn poll_fill(&mut self) -> Poll<Result<(), Broken>> {
        if self.wants_splice() {
            if self.pipe.is_none() {
                self.pipe = take_pipe();
                self.buf = Buf::default();
            }
            if self.pipe.is_some() {
                self.note_bulk();
                return self.poll_splice();
            }
            self.path = BodyPath::Copy;
        }
        self.poll_copy()
    }

    fn poll_splice(&mut self) -> Poll<Result<(), Broken>> {
        let Some(pipe) = self.pipe.as_mut() else { return Poll::Ready(Ok(())) };
        let max = match &self.extent {
            Extent::Length(left) => (*left).min(pipe.size as u64) as usize,
            _ => pipe.size,
        };
        let max = max.min(self.share);
        match self.from.poll_splice_in(pipe, max, self.patience.until(self.from_side)) {
            Poll::Ready(Ok(0)) => self.end_of_stream(),
            Poll::Ready(Ok(n)) => {
                self.share = self.share.saturating_sub(n);
                self.patience.renew(self.from_side, self.rt().now());
                if let Extent::Length(left) = &mut self.extent {
                    *left = left.saturating_sub(n as u64);
                    self.ended = *left == 0;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(e)) if e.raw_os_error() == Some(libc::EINVAL) => {
                // Some sockets cannot be spliced.
                self.path = BodyPath::Copy;
                self.release();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(Broken::Read(e))),
            Poll::Pending => {
                self.full = false;
                Poll::Pending
            }
        }
    }

    fn poll_copy(&mut self) -> Poll<Result<(), Broken>> {
        if self.full {
            self.note_bulk();
        }
        let window = self.to.as_ref().map_or(usize::MAX, |to| to.window());
        let size = self.wanted_size(window);
        if self.buf.capacity() != size {
            self.buf = Buf::take(size);
        }
        self.buf.clear();
        // Not limited to the body: a read that is not short would have to be followed by another one.
        let room = self.buf.room();
        let most = room.len().min(window.max(STALLED_SIZE));
        match self.from.poll_recv(&mut room[..most], self.patience.until(self.from_side)) {
            Poll::Ready(Ok(0)) => self.end_of_stream(),
            Poll::Ready(Ok(n)) => {
                self.share = self.share.saturating_sub(n);
                self.full = n == self.buf.capacity() && n >= HEAD_SIZE;
                self.buf.advance(n);
                self.patience.renew(self.from_side, self.rt().now());
                Poll::Ready(self.measure())
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(Broken::Read(e))),
            Poll::Pending => {
                self.full = false;
                Poll::Pending
            }
        }
    }

    /// The size of the buffer that is read into next.
    fn wanted_size(&self, window: usize) -> usize {
        let is_long = matches!(&self.extent, Extent::Length(left) if *left > HEAD_SIZE as u64);
        let large = self.full || is_long || self.buf.capacity() >= BODY_SIZE;
        buffer_for(large, window)
    }

    fn end_of_stream(&mut self) -> Poll<Result<(), Broken>> {
        if matches!(self.extent, Extent::Close) {
            self.ended = true;
            if let Some(passage) = self.passage.as_mut() {
                let mut out = Vec::new();
                passage.finish(self.from.rt().now(), &mut out);
                self.refill(&out);
            }
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(Broken::Short))
    }
}

/// How much bulk moves in a turn beside so many others. It falls with their square: so many wait for it in each turn,
/// and there are so many more turns to wait for.
fn bulk_share(others: usize) -> usize {
    let crowd = 1 + others.min(BULK_SHARE / LEAST_SHARE);
    (BULK_SHARE / (crowd * crowd)).max(LEAST_SHARE)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::base::clock::{self, SEC};
    use crate::conn::link::{Carriage, Carried};

    /// A connection as if accepted, and its peer, over TCP: there is room for more than a share.
    fn tcp_pair(rt: &'static Rt) -> (Rc<Link>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let peer = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        let (ours, _) = listener.accept().expect("a connection");
        for end in [&ours, &peer] {
            end.set_nonblocking(true).expect("O_NONBLOCK");
        }
        (Rc::new(Link::accepted(rt, ours.into())), peer)
    }

    fn drain(peer: &mut TcpStream) -> usize {
        let mut all = Vec::new();
        match peer.read_to_end(&mut all) {
            Err(e) if e.kind() != ErrorKind::WouldBlock => panic!("{e}"),
            _ => all.len(),
        }
    }

    #[test]
    fn buffers_are_as_large_as_their_receiver_has_room() {
        for (large, window, size) in [
            (true, usize::MAX, BODY_SIZE),
            (true, 65_535, BODY_SIZE),
            (true, 65_000, HEAD_SIZE),
            (false, usize::MAX, HEAD_SIZE),
            (true, STALLED_SIZE, HEAD_SIZE),
            (true, 0, STALLED_SIZE),
            (false, 1, STALLED_SIZE),
        ] {
            assert_eq!(buffer_for(large, window), size, "{large} {window}");
        }
    }

    /// A receiver that takes so much more and no other byte.
    struct Shut(Link, Cell<usize>);

    impl Carried for Shut {
        fn poll_recv(&self, _: &mut [u8], _: Nanos) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
        fn poll_send(&self, bytes: &[u8], _: Nanos) -> Poll<io::Result<usize>> {
            let n = bytes.len().min(self.1.get());
            self.1.set(self.1.get() - n);
            if n == 0 { Poll::Pending } else { Poll::Ready(Ok(n)) }
        }
        fn is_readable(&self) -> bool {
            false
        }
        fn window(&self) -> usize {
            self.1.get()
        }
        fn has_ended(&self, _: bool) -> bool {
            false
        }
        fn shutdown_write(&self) {}
        fn carrier(&self) -> &Link {
            &self.0
        }
        fn carriage(&self) -> Carriage {
            Carriage::default()
        }
    }

    /// What its receiver has no room for stays with its sender.
    #[test]
    fn a_stalled_transfer_holds_little() {
        for window in [0, 1_000, 20_000, 65_535, 200_000] {
            let rt = Rt::start_by_hand();
            let ((from, mut server), (other, _peer)) = (tcp_pair(rt), tcp_pair(rt));
            let carrier = Rc::into_inner(other).expect("nobody else has it");
            let to = Rc::new(Link::Carried(Box::new(Shut(carrier, Cell::new(window)))));
            let patience = Rc::new(Patience::new(rt.now(), 0, 0));
            let mut way =
                Way::new((from, Side::Server), (to, Side::Client), patience, Extent::Length(1 << 30));
            let held = Rc::new(Cell::new(0));
            let record = held.clone();
            let sent = Rc::new(Cell::new(0));
            let moved = sent.clone();
            rt.spawn(poll_fn(move |_| {
                let polled = way.poll();
                assert!(polled.is_pending());
                record.set(way.buf.capacity());
                moved.set(way.moved);
                Poll::<()>::Pending
            }));
            let patience = clock::now_ns() + 10 * SEC;
            while sent.get() < window as u64 && clock::now_ns() < patience {
                while server.write(&[b'x'; 64 * 1024]).is_ok() {}
                rt.settle();
            }
            while server.write(&[b'x'; 64 * 1024]).is_ok() {}
            rt.settle();
            assert_eq!(sent.get(), window as u64);
            assert!((1..=HEAD_SIZE).contains(&held.get()), "{window}: {} bytes", held.get());
        }
    }

    #[test]
    fn bulk_gives_way_to_those_beside_it() {
        for (others, kib) in [(0, 1024), (1, 256), (3, 64), (7, 16), (60, 16), (usize::MAX, 16)] {
            assert_eq!(bulk_share(others), kib * 1024, "beside {others}");
        }
    }

    /// However fast both ends are, one poll reads a share and no more, spliced or not.
    #[test]
    fn a_transfer_moves_a_share_in_a_turn() {
        for path in [BodyPath::Copy, BodyPath::Splice] {
            let rt = Rt::start_by_hand();
            let ((from, mut client), (to, mut server)) = (tcp_pair(rt), tcp_pair(rt));
            let patience = Rc::new(Patience::new(rt.now(), 0, 0));
            let sides = ((from, Side::Client), (to, Side::Server));
            let mut way = Way::new(sides.0, sides.1, patience, Extent::Close);
            way.path = path;
            let polls: Rc<RefCell<Vec<u64>>> = Rc::default();
            let record = polls.clone();
            rt.spawn(async move {
                let mut before = 0;
                let ended = poll_fn(|_| {
                    let polled = way.poll();
                    record.borrow_mut().push(way.moved - before);
                    before = way.moved;
                    polled
                });
                ended.await.expect("both ends are well");
            });
            let (mut sent, mut received) = (0, 0);
            let bytes = vec![b'x'; 64 * 1024];
            for _ in 0..100 {
                while let Ok(n) = client.write(&bytes) {
                    sent += n;
                }
                rt.turn_once();
                received += drain(&mut server);
            }
            drop(client);
            // The kernel hands on what it holds in its own time.
            let patience = clock::now_ns() + 10 * SEC;
            while received < sent && clock::now_ns() < patience {
                rt.settle();
                received += drain(&mut server);
            }
            assert_eq!(received, sent, "{path:?}");
            let most = *polls.borrow().iter().max().expect("it was polled");
            // What a poll before could not write comes first.
            assert!(most <= (2 * BULK_SHARE + BODY_SIZE) as u64, "{most} bytes in one poll");
            assert!(sent > 4 * BULK_SHARE, "{sent} bytes are too few to tell");
        }
    }
}
