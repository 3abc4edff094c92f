//! `Entry`: a response as it is stored. It does not change, and whoever sends it holds it while it may be gone from the
//! cache already.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::vary::Secondary;
use crate::base::Nanos;
use crate::base::clock::SEC;
use crate::http::{BodyLen, Head, Version};

/// Of what an entry needs beside its bytes.
const OVERHEAD: u64 = 256;
/// Memory is counted in pieces of this size.
pub const BLOCK: u64 = 1024;

/// A stored body: what came, in the pieces in which it came.
pub type Body = Vec<Bytes>;

/// The memory that entries take, of one cache.
pub type Used = Arc<AtomicU64>;

/// Memory taken for an entry, given back when the last who holds it is done.
#[derive(Debug)]
pub struct Share {
    used: Used,
    bytes: u64,
}

impl Share {
    /// Nothing yet.
    pub fn of(used: &Used) -> Share {
        Share { used: used.clone(), bytes: 0 }
    }

    pub fn blocks(&self) -> u64 {
        self.bytes / BLOCK
    }

    /// The share is to be large enough for so many bytes: how many more it takes.
    pub fn lacks(&self, bytes: u64) -> u64 {
        ((bytes + OVERHEAD).div_ceil(BLOCK) * BLOCK).saturating_sub(self.bytes)
    }

    /// Takes more, if all shares together stay within `most`.
    pub fn grow(&mut self, by: u64, most: u64) -> bool {
        let more = |used: u64| Some(used + by).filter(|used| *used <= most);
        let done = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        self.bytes += if done { by } else { 0 };
        done
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The head of a stored response.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub version: Version,
    pub reason: Box<[u8]>,
    /// Lines of `name: value`, ended by line feeds, as few allocations as there can be.
    pub fields: Box<[u8]>,
    /// How the body came.
    pub body: BodyLen,
}

impl Stored {
    /// What is kept of a head: all but fields of one hop, and the age, which is another one each time.
    pub fn of(res: &Head) -> Stored {
        let mut fields = Vec::new();
        let is_kept =
            |name: &[u8]| !name.eq_ignore_ascii_case(b"age") && !name.eq_ignore_ascii_case(b"connection");
        for (name, value) in res.fields().filter(|(name, _)| is_kept(name)) {
            [name, b":", value, b"\n"].iter().for_each(|part| fields.extend_from_slice(part));
        }
        Stored {
            version: res.version,
            reason: res.bytes(res.reason).into(),
            fields: fields.into(),
            body: res.body,
        }
    }

    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.split(|b| *b == b'\n').filter_map(|line| {
            let at = memchr::memchr(b':', line)?;
            Some((&line[..at], &line[at + 1..]))
        })
    }
}

/// When a response was made, and how long it is good.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// When it came.
    pub stored: Nanos,
    /// Its age then, in seconds.
    pub age_s: u64,
    /// From here on it is not used any more.
    pub expires: Nanos,
    /// What `If-Modified-Since` is compared with, in seconds since the epoch.
    pub modified_s: u64,
}

/// A stored response.
#[derive(Debug)]
pub struct Entry {
    pub hash: u64,
    pub key: Box<[u8]>,
    pub secondary: Secondary,
    pub head: Stored,
    pub etag: Option<Box<[u8]>>,
    pub times: Times,
    pub body: Body,
    pub len: u64,
    pub share: Share,
    /// When it was used last, as a number that grows.
    pub used_at: AtomicU64,
}

impl Entry {
    pub fn is_fresh(&self, now: Nanos) -> bool {
        now < self.times.expires
    }

    /// In seconds.
    pub fn age(&self, now: Nanos) -> u64 {
        self.times.age_s + now.saturating_sub(self.times.stored) / SEC
    }

    /// What is stored of it, in bytes.
    pub fn size(&self) -> u64 {
        self.len + self.head.fields.len() as u64 + self.key.len() as u64
    }
}
