//! A cell that many threads read without waiting while one replaces its value whole.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// A hot-swapped value. Readers take the current `Arc`; a writer stores a new one.
#[derive(Debug)]
pub struct Live<T>(ArcSwap<T>);

impl<T> Live<T> {
    pub fn new(value: T) -> Self {
        Live(ArcSwap::from_pointee(value))
    }

    /// The current value, kept alive by the caller. Costs an atomic increment.
    pub fn load(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Runs `f` on the current value without taking a reference count. `f` must be short.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.0.load())
    }

    /// Whether `value` is the current value itself. Takes no reference count.
    pub fn is(&self, value: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.0.load(), value)
    }

    pub fn store(&self, value: Arc<T>) {
        self.0.store(value);
    }
}

impl<T: Default> Default for Live<T> {
    fn default() -> Self {
        Live::new(T::default())
    }
}
