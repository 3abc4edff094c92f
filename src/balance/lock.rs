//! The one way to take a balancer's lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Balancer state has no invariant that a panic elsewhere could have broken.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
