//! What the agent is asked, and where its lines and wishes go.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde::{Deserialize, Serialize};

use crate::base::Nanos;
use crate::os::epoll::EventFd;

use super::super::machine::Verdict;
use super::super::spec::{Spec, TrackerKind};

/// Takes a line and whether it is a warning.
type Say = dyn Fn(bool, &str) + Send + Sync;
/// Takes the name of an instance, and whether it wants its lease.
type Wish = dyn Fn(&str, bool) + Send + Sync;

/// Where the agent's lines and wishes go. May be called from any of its threads.
#[derive(Clone)]
pub struct Listener {
    say: Arc<Say>,
    wish: Arc<Wish>,
}

impl Listener {
    /// `say` gets a line and whether it is a warning.
    pub fn new(say: impl Fn(bool, &str) + Send + Sync + 'static) -> Listener {
        Listener { say: Arc::new(say), wish: Arc::new(|_, _| {}) }
    }

    /// `wish` gets the name of an instance that wants its lease (`true`), or gives it back.
    pub fn with_wish(self, wish: impl Fn(&str, bool) + Send + Sync + 'static) -> Listener {
        Listener { wish: Arc::new(wish), ..self }
    }

    pub fn silent() -> Listener {
        Listener::new(|_, _| {})
    }

    pub(super) fn note(&self, text: &str) {
        (self.say)(false, text);
    }

    pub(super) fn warn(&self, text: &str) {
        (self.say)(true, text);
    }

    pub(super) fn say(&self, is_warning: bool, text: &str) {
        (self.say)(is_warning, text);
    }

    pub(super) fn wish(&self, instance: &str, wanted: bool) {
        (self.wish)(instance, wanted);
    }
}

/// What the agent is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    Apply(Spec),
    /// A tracker, by the number of the configuration that started it and its index there.
    Observe(u64, usize, Verdict),
    /// A tracker of the process's own world.
    Report(TrackerKind, Verdict),
    /// Become master, or let another one be.
    Move(String, bool),
    /// Another priority than was configured.
    Priority(String, u8),
    /// Until when this node holds the lease of an instance.
    Lease(String, Option<Nanos>),
    /// The proxy, in a process of its own, lives.
    Alive,
    /// It is gone.
    Orphaned,
    Stop,
}

/// Asks the thread, and wakes it.
#[derive(Clone)]
pub(super) struct Orders {
    queue: Sender<Order>,
    waker: Arc<EventFd>,
}

impl Orders {
    pub(super) fn new() -> io::Result<(Orders, Receiver<Order>)> {
        let (queue, orders) = channel();
        Ok((Orders { queue, waker: Arc::new(EventFd::new()?) }, orders))
    }

    pub(super) fn give(&self, order: Order) {
        // An agent that has ended needs no orders.
        let _ = self.queue.send(order);
        self.waker.raise();
    }

    pub(super) fn waker(&self) -> &EventFd {
        &self.waker
    }
}
