//! An inbox: any thread puts messages in, one takes them out when an event wakes it.
//!
//! The event is raised once for all messages that come before they are taken. It is lowered before the mark of it is,
//! and the mark before the messages are taken: who finds the mark still set has put its message where it will be
//! found. `tests/loom` tries every order.

use crate::base::sync::atomic::{AtomicBool, Ordering};
use crate::base::sync::{Mutex, PoisonError};
use crate::os::epoll::EventFd;

pub(super) struct Inbox<T> {
    messages: Mutex<Vec<T>>,
    raised: AtomicBool,
    event: EventFd,
}

impl<T> Inbox<T> {
    pub(super) fn new(event: EventFd) -> Self {
        Inbox { messages: Mutex::new(Vec::new()), raised: AtomicBool::new(false), event }
    }

    /// What wakes the thread that takes.
    pub(super) fn event(&self) -> &EventFd {
        &self.event
    }

    pub(super) fn push(&self, message: T) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        if !self.raised.swap(true, Ordering::AcqRel) {
            self.event.raise();
        }
    }

    pub(super) fn take(&self) -> Vec<T> {
        self.event.clear();
        self.raised.swap(false, Ordering::AcqRel);
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
