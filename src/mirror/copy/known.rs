//! Which repository of a registry has a blob, as far as this process saw, and which blobs are on their way there: what
//! is sent once is mounted from then on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::mirror::digest::Digest;

/// Blobs that are remembered.
const BLOBS: usize = 200_000;

#[derive(Default)]
pub struct Known {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    at: HashMap<Digest, Arc<str>>,
    moving: HashMap<Digest, Arc<tokio::sync::Mutex<()>>>,
}

impl Known {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn has(&self, digest: &Digest) -> Option<Arc<str>> {
        self.inner().at.get(digest).cloned()
    }

    pub fn put(&self, digest: &Digest, repository: &Arc<str>) {
        let mut inner = self.inner();
        if inner.at.len() >= BLOBS {
            inner.at.clear();
        }
        inner.at.insert(digest.clone(), repository.clone());
    }

    pub fn forget(&self, digest: &Digest) {
        self.inner().at.remove(digest);
    }

    /// The turn of one who moves a blob: a second one waits for the first.
    pub fn turn(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut inner = self.inner();
        // Those that nobody has any more.
        if inner.moving.len() > 1024 {
            inner.moving.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        inner.moving.entry(digest.clone()).or_default().clone()
    }
}
