//! A cell that many threads read without waiting while one replaces its value whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

/// A hot-swapped value. Readers take the current `Arc`; a writer stores a new one.
#[derive(Debug)]
pub struct Live<T> {
    value: ArcSwap<T>,
    /// Counts the values: one more after each was stored.
    version: AtomicU64,
}

impl<T> Live<T> {
    pub fn new(value: T) -> Self {
        Live { value: ArcSwap::from_pointee(value), version: AtomicU64::new(0) }
    }

    /// The current value, kept alive by the caller. Costs an atomic increment.
    pub fn load(&self) -> Arc<T> {
        self.value.load_full()
    }

    /// Runs `f` on the current value without taking a reference count. `f` must be short.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.value.load())
    }

    /// The same if there was ever another value than the first, for less where there was not.
    pub fn since_first<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        (self.version() > 0).then(|| self.with(f))
    }

    /// Which of its values the cell holds. Read before the value, it tells later whether there is a newer one, for less
    /// than a look at the value costs.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn store(&self, value: Arc<T>) {
        self.value.store(value);
        self.version.fetch_add(1, Ordering::Release);
    }
}

impl<T: Default> Default for Live<T> {
    fn default() -> Self {
        Live::new(T::default())
    }
}
