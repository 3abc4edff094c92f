//! How other threads reach a worker: messages and wake-ups through one inbox.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::base::WorkerId;
use crate::base::shard::MAX_WORKERS;
use crate::os::epoll::EventFd;

use super::runtime::{Rt, TaskId};

/// Work handed to a worker by another thread.
pub(super) enum Message {
    Wake(TaskId),
    Run(Box<dyn FnOnce(&'static Rt) + Send>),
}

/// The inbox of one worker.
pub struct Remote {
    inbox: Mutex<Vec<Message>>,
    raised: AtomicBool,
    pub(super) event: EventFd,
}

static REMOTES: [OnceLock<Arc<Remote>>; MAX_WORKERS + 1] = [const { OnceLock::new() }; MAX_WORKERS + 1];

impl Remote {
    pub(super) fn new(event: EventFd) -> Arc<Remote> {
        Arc::new(Remote { inbox: Mutex::new(Vec::new()), raised: AtomicBool::new(false), event })
    }

    /// Makes an inbox known under its worker's number.
    pub(super) fn publish(self: &Arc<Self>, worker: WorkerId) {
        if let Some(slot) = REMOTES.get(worker.0 as usize) {
            let _ = slot.set(self.clone());
        }
    }

    /// The inbox of a worker, once it runs.
    pub fn of(worker: WorkerId) -> Option<&'static Arc<Remote>> {
        REMOTES.get(worker.0 as usize)?.get()
    }

    /// Every worker that runs.
    pub fn all() -> impl Iterator<Item = &'static Arc<Remote>> {
        REMOTES.iter().filter_map(OnceLock::get)
    }

    fn push(&self, message: Message) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        if !self.raised.swap(true, Ordering::AcqRel) {
            self.event.raise();
        }
    }

    /// Makes a task of that worker run. A task that has ended meanwhile, or another one in its place, is polled in
    /// vain, which every task must bear.
    pub fn wake(&self, task: TaskId) {
        self.push(Message::Wake(task));
    }

    /// Runs `f` on the worker's thread, between two tasks.
    pub fn run(&self, f: impl FnOnce(&'static Rt) + Send + 'static) {
        self.push(Message::Run(Box::new(f)));
    }

    pub(super) fn take(&self) -> Vec<Message> {
        self.event.clear();
        self.raised.store(false, Ordering::Release);
        std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
