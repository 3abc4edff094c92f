//! What threads meet in: the standard library's types, by a name under which `tests/loom` puts types of its own, in
//! order to try every interleaving of the files that use them.

pub use std::sync::{Mutex, MutexGuard, PoisonError};

pub mod atomic {
    pub use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
}
