//! `Source`: a socket as epoll tells of it, and who of a worker's tasks waits for it.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::RawFd;

use crate::os::epoll::{self, Epoll};
use crate::os::socket;

/// Number of a task in its worker; numbers are used again.
pub type TaskId = u32;

/// The number of no task.
pub const NOBODY: TaskId = u32::MAX;

/// So many places are made at once.
const BLOCK: usize = 32;

/// What epoll said of a socket, and who waits for more.
pub(super) struct Source {
    pub readable: Cell<bool>,
    pub writable: Cell<bool>,
    /// The peer ended its direction, or the connection broke: a read will say so.
    pub closed: Cell<bool>,
    /// Reset, or closed in both directions.
    pub broken: Cell<bool>,
    registered: Cell<bool>,
    out_armed: Cell<bool>,
    used: Cell<bool>,
    reader: Cell<TaskId>,
    writer: Cell<TaskId>,
    /// Sockets at this place before.
    generation: Cell<u32>,
    slot: u32,
    /// Whose connection it is ([`Sources::shut_down`]), and its descriptor; 0: nobody's.
    owner: Cell<(u64, RawFd)>,
}

/// The sockets of a worker. A place is used again and never given back, as its worker is not: who has one looks nothing up.
#[derive(Default)]
pub(super) struct Sources {
    all: RefCell<Vec<&'static Source>>,
    free: RefCell<Vec<&'static Source>>,
}

impl Source {
    fn at(slot: u32) -> Source {
        Source {
            readable: Cell::new(false),
            writable: Cell::new(false),
            closed: Cell::new(false),
            broken: Cell::new(false),
            registered: Cell::new(false),
            out_armed: Cell::new(false),
            used: Cell::new(false),
            reader: Cell::new(NOBODY),
            writer: Cell::new(NOBODY),
            generation: Cell::new(0),
            slot,
            owner: Cell::new((0, -1)),
        }
    }

    fn begin(&self, readable: bool, writable: bool) {
        self.readable.set(readable);
        self.writable.set(writable);
        self.closed.set(false);
        self.broken.set(false);
        self.registered.set(false);
        self.out_armed.set(false);
        self.used.set(true);
        self.reader.set(NOBODY);
        self.writer.set(NOBODY);
        self.generation.set(self.generation.get().wrapping_add(1));
        self.owner.set((0, -1));
    }

    /// What epoll is to name it by: what it has yet to say of an earlier socket at this place is not of this one.
    fn token(&self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.slot)
    }

    /// Nothing is known of the socket but that it can be written, as of a new one.
    pub fn forget(&self) {
        self.readable.set(false);
        self.writable.set(true);
        self.closed.set(false);
        self.broken.set(false);
        self.reader.set(NOBODY);
        self.writer.set(NOBODY);
    }

    /// It is one of those that [`Sources::shut_down`] ends together.
    pub fn set_owner(&self, owner: u64, fd: RawFd) {
        self.owner.set((owner, fd));
    }

    /// This task waits for the socket to become readable or writable; it is registered when that is the first wait of its
    /// kind.
    #[inline]
    pub fn wait(&self, task: TaskId, write: bool, (epoll, fd): (&Epoll, RawFd)) -> io::Result<()> {
        if write {
            self.writer.set(task);
        } else {
            self.reader.set(task);
        }
        if self.registered.get() && (!write || self.out_armed.get()) {
            return Ok(());
        }
        self.register(epoll, fd, write)
    }

    #[inline(never)]
    fn register(&self, epoll: &Epoll, fd: RawFd, write: bool) -> io::Result<()> {
        let armed = write || self.out_armed.get();
        self.out_armed.set(armed);
        let bits = epoll::IN | epoll::RDHUP | epoll::EDGE | if armed { epoll::OUT } else { 0 };
        match self.registered.replace(true) {
            false => epoll.add(fd, bits, self.token()),
            true => epoll.modify(fd, bits, self.token()),
        }
    }

    /// This task reads the socket, if it is registered: whether it is.
    pub fn goes_on_watching(&self, task: TaskId) -> bool {
        if self.registered.get() {
            self.reader.set(task);
        }
        self.registered.get()
    }

    /// Registration of a listener, woken on one worker at a time when `exclusive`.
    pub fn add_listener(&self, epoll: &Epoll, fd: RawFd, exclusive: bool) -> io::Result<()> {
        self.registered.set(true);
        let bits = epoll::IN | epoll::EDGE | if exclusive { epoll::EXCLUSIVE } else { 0 };
        epoll.add(fd, bits, self.token())
    }

    /// This task wants to hear of connections.
    pub fn note_listener(&self, task: TaskId) {
        self.reader.set(task);
    }

    pub fn unregister(&self, epoll: &Epoll, fd: RawFd) {
        if self.registered.replace(false) {
            let _ = epoll.remove(fd);
        }
    }
}

impl Sources {
    pub fn add(&self, readable: bool, writable: bool) -> &'static Source {
        let free = self.free.borrow_mut().pop();
        let source = free.unwrap_or_else(|| self.grow());
        source.begin(readable, writable);
        source
    }

    /// Makes a block of places; the first of them.
    #[cold]
    fn grow(&self) -> &'static Source {
        let mut all = self.all.borrow_mut();
        let first = all.len() as u32;
        let block: &'static [Source; BLOCK] =
            Box::leak(Box::new(std::array::from_fn(|n| Source::at(first + n as u32))));
        all.extend(block);
        let [source, rest @ ..] = block;
        self.free.borrow_mut().extend(rest.iter().rev());
        source
    }

    pub fn end(&self, source: &'static Source) {
        source.used.set(false);
        self.free.borrow_mut().push(source);
    }

    /// Ends all connections of an owner in both directions. Returns how many.
    pub fn shut_down(&self, owner: u64) -> u32 {
        let all = self.all.borrow();
        let ended = all.iter().filter(|s| s.used.get() && s.owner.get().0 == owner && owner != 0);
        ended.map(|s| socket::shutdown_both(s.owner.get().1)).count() as u32
    }

    /// Who is to be woken for what epoll said: who reads, and who writes.
    pub fn note(&self, event: epoll::Event) -> (TaskId, TaskId) {
        let all = self.all.borrow();
        let Some(source) = all.get(event.token as u32 as usize) else { return (NOBODY, NOBODY) };
        if !source.used.get() || source.token() != event.token {
            return (NOBODY, NOBODY);
        }
        let broken = event.bits & (epoll::HUP | epoll::ERR) != 0;
        let readable = broken || event.bits & (epoll::IN | epoll::RDHUP) != 0;
        let writable = broken || event.bits & epoll::OUT != 0;
        if broken || event.bits & epoll::RDHUP != 0 {
            source.closed.set(true);
        }
        if broken {
            source.broken.set(true);
        }
        let mut woken = (NOBODY, NOBODY);
        if readable {
            source.readable.set(true);
            woken.0 = source.reader.replace(NOBODY);
        }
        if writable {
            source.writable.set(true);
            woken.1 = source.writer.replace(NOBODY);
        }
        woken
    }
}
