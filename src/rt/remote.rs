//! How other threads reach a worker: messages and wake-ups through one inbox.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use crate::base::WorkerId;
use crate::base::shard::MAX_WORKERS;
use crate::os::epoll::EventFd;

use super::inbox::Inbox;
use super::runtime::{Rt, TaskId};

/// Work handed to a worker by another thread.
pub(super) enum Message {
    Wake(TaskId),
    Run(Box<dyn FnOnce(&'static Rt) + Send>),
}

/// A worker as other threads see it.
pub struct Remote {
    inbox: Inbox<Message>,
    /// As of the last second: tasks, those ready to run, percent spent waiting.
    load: [AtomicU32; 3],
}

/// What the workers have to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub tasks: u32,
    pub ready: u32,
    pub idle_percent: u32,
}

impl Load {
    /// Of the first `workers` workers together; the idle time is their mean.
    pub fn of_all(workers: usize) -> Load {
        let each: Vec<Load> = Remote::all().take(workers).map(|r| r.load()).collect();
        let sum = |of: fn(&Load) -> u32| each.iter().map(of).sum::<u32>();
        let mean = sum(|l| l.idle_percent).checked_div(each.len() as u32);
        Load { tasks: sum(|l| l.tasks), ready: sum(|l| l.ready), idle_percent: mean.unwrap_or(100) }
    }
}

static REMOTES: [OnceLock<Arc<Remote>>; MAX_WORKERS + 1] = [const { OnceLock::new() }; MAX_WORKERS + 1];

/// Tests that share a process start more workers than there are numbers, one after the other: the newest has it.
#[cfg(test)]
static NEWEST: [std::sync::Mutex<Option<&'static Arc<Remote>>>; MAX_WORKERS + 1] =
    [const { std::sync::Mutex::new(None) }; MAX_WORKERS + 1];

impl Remote {
    pub(super) fn new(event: EventFd) -> Arc<Remote> {
        Arc::new(Remote { inbox: Inbox::new(event), load: Default::default() })
    }

    pub(super) fn set_load(&self, load: Load) {
        let values = [load.tasks, load.ready, load.idle_percent];
        self.load.iter().zip(values).for_each(|(cell, value)| cell.store(value, Ordering::Relaxed));
    }

    /// What the worker has to do.
    pub fn load(&self) -> Load {
        let [tasks, ready, idle_percent] = [0, 1, 2].map(|i: usize| self.load[i].load(Ordering::Relaxed));
        Load { tasks, ready, idle_percent }
    }

    /// Makes an inbox known under its worker's number.
    pub(super) fn publish(self: &Arc<Self>, worker: WorkerId) {
        if let Some(slot) = REMOTES.get(worker.0 as usize) {
            let _ = slot.set(self.clone());
        }
        #[cfg(test)]
        if let Some(slot) = NEWEST.get(worker.0 as usize) {
            *slot.lock().expect("nobody panics with it") = Some(Box::leak(Box::new(self.clone())));
        }
    }

    /// The inbox of a worker, once it runs.
    pub fn of(worker: WorkerId) -> Option<&'static Arc<Remote>> {
        #[cfg(test)]
        return *NEWEST.get(worker.0 as usize)?.lock().expect("nobody panics with it");
        #[cfg(not(test))]
        REMOTES.get(worker.0 as usize)?.get()
    }

    /// Every data worker that runs.
    pub fn all() -> impl Iterator<Item = &'static Arc<Remote>> {
        REMOTES.iter().skip(1).filter_map(OnceLock::get)
    }

    pub(super) fn event(&self) -> &EventFd {
        self.inbox.event()
    }

    /// Makes a task of that worker run. A task that has ended meanwhile, or another one in its place, is polled in
    /// vain, which every task must bear.
    pub fn wake(&self, task: TaskId) {
        self.inbox.push(Message::Wake(task));
    }

    /// Runs `f` on the worker's thread, between two tasks.
    pub fn run(&self, f: impl FnOnce(&'static Rt) + Send + 'static) {
        self.inbox.push(Message::Run(Box::new(f)));
    }

    pub(super) fn take(&self) -> Vec<Message> {
        self.inbox.take()
    }
}
