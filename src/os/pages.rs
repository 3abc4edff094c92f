//! Memory in large pages, and in mappings of its own.
#![allow(unsafe_code)]

use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Less than this gains nothing.
const LEAST: usize = 4 << 20;
const PAGE: usize = 4096;

/// Asks the kernel to put a vector's room into large pages, where that is long. Reads that are spread over many megabytes
/// miss the TLB with each, else. It is best asked before the room is written to; a kernel that has no such pages changes
/// nothing.
pub fn prefer_large<T>(room: &Vec<T>) {
    let bytes = room.capacity() * size_of::<T>();
    if bytes < LEAST {
        return;
    }
    let start = (room.as_ptr() as usize).next_multiple_of(PAGE);
    let end = (room.as_ptr() as usize + bytes) / PAGE * PAGE;
    // SAFETY: the range lies inside an allocation that the vector owns, and the advice changes no byte of it.
    unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
}

/// Words in a mapping of their own. It grows without being copied and goes back to the kernel when it is dropped, and no
/// more does with it: a heap gives back all that is free below its end, many megabytes at once, while whoever freed the
/// last piece waits.
pub struct Words {
    start: NonNull<u32>,
    len: usize,
}

// SAFETY: the mapping is owned, and is what a boxed slice would be.
unsafe impl Send for Words {}
// SAFETY: as above; it is changed through `&mut` alone.
unsafe impl Sync for Words {}

impl Default for Words {
    fn default() -> Words {
        Words { start: NonNull::dangling(), len: 0 }
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({})", self.len)
    }
}

impl Words {
    /// Makes room for this many at least. Those that are new are 0, and cost nothing before they are touched.
    pub fn grow(&mut self, least: usize) {
        let bytes = (least * size_of::<u32>()).next_multiple_of(PAGE);
        if bytes <= self.bytes() {
            return;
        }
        // SAFETY: a new private mapping, or this one moved with what is in it, which nobody borrows; both are of whole
        // pages, aligned to one, and zeroed where they are new.
        let start = unsafe {
            if self.len == 0 {
                let (access, kind) =
                    (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
                libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0)
            } else {
                libc::mremap(self.start.as_ptr().cast(), self.bytes(), bytes, libc::MREMAP_MAYMOVE)
            }
        };
        match NonNull::new(start.cast()) {
            Some(at) if start != libc::MAP_FAILED => self.start = at,
            _ => handle_alloc_error(Layout::array::<u8>(bytes).unwrap_or(Layout::new::<u8>())),
        }
        self.len = bytes / size_of::<u32>();
    }

    fn bytes(&self) -> usize {
        self.len * size_of::<u32>()
    }
}

impl Deref for Words {
    type Target = [u32];

    #[inline]
    fn deref(&self) -> &[u32] {
        // SAFETY: the mapping has so many initialized words, or there are none and the pointer is aligned.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Words {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u32] {
        // SAFETY: as in `deref`; `&mut self` says that nobody else looks.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the mapping is this one's, of this size, and nothing refers to it any more.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `/proc/self/smaps` says of the mapping that holds an address: the flags of its pages.
    fn flags(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_inside = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let hex = |text: &str| usize::from_str_radix(text, 16).ok();
            match range.and_then(|(start, end)| Some(hex(start)?..hex(end)?)) {
                Some(range) => is_inside = range.contains(&address),
                None if is_inside && line.starts_with("VmFlags:") => return line.into(),
                None => {}
            }
        }
        panic!("no mapping")
    }

    #[test]
    fn long_vectors_are_asked_for_and_keep_what_they_hold() {
        let mut long = vec![7u64; 4 << 20];
        prefer_large(&long);
        long[1] = 8;
        assert!(long.iter().enumerate().all(|(i, n)| *n == if i == 1 { 8 } else { 7 }));
        let middle = &raw const long[2 << 20] as usize;
        // A kernel without such pages refuses.
        if std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            assert!(flags(middle).contains(" hg"), "{}", flags(middle));
        }
        prefer_large(&Vec::<u64>::new());
        prefer_large(&vec![0u8; 100]);
    }

    #[test]
    fn words_grow_with_what_is_in_them() {
        let mut words = Words::default();
        assert_eq!((words.len(), words.first()), (0, None));
        words.grow(1);
        assert_eq!(words.len(), PAGE / 4);
        for least in [2000, 5000, 1 << 20, 7] {
            let last = words.len() - 1;
            words[last] = last as u32;
            words.grow(least);
            assert!(words.len() >= least);
            assert_eq!(words[last], last as u32, "what was there stays");
            assert!(words[last + 1..].iter().all(|word| *word == 0), "what is new is 0");
        }
        assert_eq!(words.iter().filter(|word| **word != 0).count(), 4);
    }
}
