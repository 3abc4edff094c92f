//! The last messages of a proxy that could not be read, for `show errors`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many were captured in this process.
static EVENTS: AtomicU32 = AtomicU32::new(0);

pub fn events() -> u32 {
    EVENTS.load(Ordering::Relaxed)
}

/// A name with its number.
pub type Named = (String, u32);

/// One message, as far as it had come.
#[derive(Clone, Debug, Default)]
pub struct Invalid {
    /// Counts through the process from 0 on.
    pub event: u32,
    /// Wall clock.
    pub when: Duration,
    pub client: Option<SocketAddr>,
    /// The backend of a request, the frontend of a response.
    pub other: Option<Named>,
    pub server: Option<Named>,
    /// What was in the buffer, and how much it holds.
    pub bytes: Box<[u8]>,
    pub capacity: usize,
    /// Where in `bytes` the error is.
    pub position: usize,
}

/// One of each side: a newer one takes the place of the one before.
#[derive(Debug, Default)]
pub struct InvalidMessages {
    request: Mutex<Option<Arc<Invalid>>>,
    response: Mutex<Option<Arc<Invalid>>>,
}

impl InvalidMessages {
    pub fn keep(&self, is_response: bool, mut message: Invalid) {
        message.event = EVENTS.fetch_add(1, Ordering::Relaxed);
        *self.place(is_response).lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(message));
    }

    pub fn last(&self, is_response: bool) -> Option<Arc<Invalid>> {
        self.place(is_response).lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn place(&self, is_response: bool) -> &Mutex<Option<Arc<Invalid>>> {
        if is_response { &self.response } else { &self.request }
    }
}
