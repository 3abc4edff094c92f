//! Pooled byte buffers: they belong to a worker and are held only while data is in flight.

use std::cell::RefCell;

/// Size of a buffer that carries a message head (`tune.bufsize`, 16 KiB unless set).
pub const HEAD_SIZE: usize = 16 * 1024;
/// Size of a buffer that carries a body while it is short.
/// A head and 64 KiB of body fit: the size in which many origins write.
pub const BODY_SIZE: usize = 80 * 1024;
/// Size of a buffer for what is in a full [`BODY_SIZE`] once it is encrypted.
pub const SEALED_SIZE: usize = 96 * 1024;

/// Most free buffers of each standard size that a thread keeps. Two for heads are in use for each request: some hundred
/// streams at once find theirs here.
const KEEP: [usize; 3] = [1024, 128, 64];

thread_local! {
    static FREE: RefCell<[Vec<Box<[u8]>>; 3]> = const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

#[inline]
fn class(size: usize) -> Option<usize> {
    match size {
        HEAD_SIZE => Some(0),
        BODY_SIZE => Some(1),
        SEALED_SIZE => Some(2),
        _ => None,
    }
}

/// The least standard size that has room for so much, if one has.
pub fn roomy(size: usize) -> usize {
    [HEAD_SIZE, BODY_SIZE, SEALED_SIZE].into_iter().find(|standard| *standard >= size).unwrap_or(size)
}

/// Bytes between a read and a write position, in memory that returns to its thread's pool.
/// The default value owns no memory.
#[derive(Debug, Default)]
pub struct Buf {
    mem: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buf {
    /// A buffer of `size` bytes; pooled when `size` is one of the three standard sizes.
    pub fn take(size: usize) -> Buf {
        let pooled = class(size).and_then(|c| FREE.with(|f| f.borrow_mut()[c].pop()));
        let mem = pooled.unwrap_or_else(|| vec![0; size].into_boxed_slice());
        Buf { mem, start: 0, end: 0 }
    }

    pub fn capacity(&self) -> usize {
        self.mem.len()
    }

    /// Bytes not consumed yet.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub fn data(&self) -> &[u8] {
        &self.mem[self.start..self.end]
    }

    /// The bytes not consumed yet, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.mem[self.start..self.end]
    }

    /// Everything written since the last [`Buf::clear`], consumed or not: offsets into it stay valid.
    pub fn written(&self) -> &[u8] {
        &self.mem[..self.end]
    }

    pub fn written_mut(&mut self) -> &mut [u8] {
        &mut self.mem[..self.end]
    }

    /// Position of the first byte not consumed, in [`Buf::written`].
    pub fn start(&self) -> usize {
        self.start
    }

    /// The free room behind the data; what is written there is announced with [`Buf::advance`].
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.mem[self.end..]
    }

    pub fn room_len(&self) -> usize {
        self.mem.len() - self.end
    }

    pub fn advance(&mut self, n: usize) {
        debug_assert!(self.end + n <= self.mem.len());
        self.end = (self.end + n).min(self.mem.len());
    }

    /// Forgets the first `n` unread bytes; room is not regained before [`Buf::clear`] or [`Buf::compact`].
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len());
        self.start = (self.start + n).min(self.end);
    }

    /// Forgets all but the first `n` unread bytes.
    pub fn truncate(&mut self, n: usize) {
        self.end = self.end.min(self.start + n);
    }

    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Moves the unread bytes to the front.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.mem.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Room for `size` bytes in all; what is written keeps its place.
    pub fn grow(&mut self, size: usize) {
        if size > self.mem.len() {
            let mut larger = Buf::take(size);
            larger.push(self.written());
            larger.consume(self.start);
            *self = larger;
        }
    }

    /// Gives back the room behind the data; what is written keeps its place.
    pub fn fit(&mut self) {
        if self.room_len() > 0 {
            let mut fitting = Buf::take(self.end);
            fitting.push(self.written());
            fitting.consume(self.start);
            *self = fitting;
        }
    }

    /// Copies as much of `bytes` as fits and tells how much that was.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.room_len());
        self.mem[self.end..self.end + n].copy_from_slice(&bytes[..n]);
        self.end += n;
        n
    }
}

impl Drop for Buf {
    #[inline]
    fn drop(&mut self) {
        if !self.mem.is_empty() {
            give_back(std::mem::take(&mut self.mem));
        }
    }
}

/// Keeps the memory of a buffer for another one.
fn give_back(mem: Box<[u8]>) {
    let Some(c) = class(mem.len()) else { return };
    // The pool may be gone already when a thread ends.
    let _ = FREE.try_with(|f| {
        let list = &mut f.borrow_mut()[c];
        if list.len() < KEEP[c] {
            list.push(mem);
        }
    });
}
