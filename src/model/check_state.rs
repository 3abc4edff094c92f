//! What a check found last.

use std::sync::atomic::{AtomicU64, Ordering};

/// The last health check's result, for `show stat` (`check_status`, `check_code`, ...).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckState {
    /// HAProxy's short code: `UNK INI L4OK L4TOUT L4CON L6OK L7OK L7OKC L7TOUT L7RSP L7STS`...
    pub status: &'static str,
    pub code: Option<i32>,
    pub took: Took,
    /// `last_chk`: a short text.
    pub text: String,
}

/// How long a check took. It alone changes while checks go on to find the same.
#[derive(Debug)]
pub struct Took(AtomicU64);

impl Took {
    const UNKNOWN: u64 = u64::MAX;

    pub fn new(ms: Option<u64>) -> Took {
        Took(AtomicU64::new(ms.unwrap_or(Self::UNKNOWN)))
    }

    pub fn ms(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|ms| *ms != Self::UNKNOWN)
    }

    pub fn set(&self, ms: Option<u64>) {
        self.0.store(ms.unwrap_or(Self::UNKNOWN), Ordering::Relaxed);
    }
}

impl Default for Took {
    fn default() -> Took {
        Took::new(None)
    }
}

impl Clone for Took {
    fn clone(&self) -> Took {
        Took::new(self.ms())
    }
}

impl PartialEq for Took {
    fn eq(&self, other: &Took) -> bool {
        self.ms() == other.ms()
    }
}
