//! Per-worker shards: each worker writes its own, readers sum them.

use std::cell::Cell;

/// Most data workers (and shards) a process can have; shard 0 belongs to every other thread.
pub const MAX_WORKERS: usize = 64;

/// Number of a data worker, from 1; 0 stands for the control threads together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WorkerId(pub u16);

thread_local! {
    static WORKER: Cell<u16> = const { Cell::new(0) };
}

impl WorkerId {
    /// Names the calling thread; called once at the start of a data worker.
    pub fn enter(self) {
        WORKER.with(|w| w.set(self.0));
    }

    pub fn current() -> WorkerId {
        WorkerId(WORKER.with(Cell::get))
    }
}

/// A value on cache lines of its own.
#[repr(align(64))]
#[derive(Default, Debug)]
pub struct Padded<T>(pub T);

/// One `T` a worker.
#[derive(Debug)]
pub struct Shards<T> {
    list: Box<[Padded<T>]>,
}

impl<T: Default> Shards<T> {
    /// One shard for the control threads and one for each of `workers` data workers.
    pub fn new(workers: usize) -> Self {
        Shards { list: (0..=workers.min(MAX_WORKERS)).map(|_| Padded::default()).collect() }
    }
}

impl<T> Shards<T> {
    /// The calling thread's shard (shard 0 for threads that are not data workers, or beyond the range).
    pub fn mine(&self) -> &T {
        let i = WorkerId::current().0 as usize;
        &self.list.get(i).unwrap_or(&self.list[0]).0
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.list.iter().map(|p| &p.0)
    }
}
