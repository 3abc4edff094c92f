//! The agent as the rest of the process sees it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::os::epoll::EventFd;

use super::super::machine::Verdict;
use super::super::spec::{Spec, TrackerKind};
use super::network::Kernel;
use super::run;
use super::status::Shown;

/// Takes a line and whether it is a warning.
type Say = dyn Fn(bool, &str) + Send + Sync;

/// Where the agent's lines go. May be called from any of its threads.
#[derive(Clone)]
pub struct Listener {
    say: Arc<Say>,
}

impl Listener {
    /// `say` gets a line and whether it is a warning.
    pub fn new(say: impl Fn(bool, &str) + Send + Sync + 'static) -> Listener {
        Listener { say: Arc::new(say) }
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
}

/// What needs privileges, opened before anything runs.
pub struct Sockets(Kernel);

impl Sockets {
    /// An error names the capability that is missing.
    pub fn open() -> io::Result<Sockets> {
        Kernel::open().map(Sockets)
    }
}

/// What the agent's thread is asked.
pub(super) enum Order {
    Apply(Spec),
    /// A tracker, by the number of the configuration that started it and its index there.
    Observe(u64, usize, Verdict),
    /// A tracker of the process's own world.
    Report(TrackerKind, Verdict),
    /// Become master, or let another one be.
    Move(String, bool),
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

/// A running agent.
pub struct Agent {
    thread: JoinHandle<()>,
    orders: Orders,
}

impl Agent {
    /// Starts the agent's thread, which keeps `shown` as it is.
    pub fn start(sockets: Sockets, spec: Spec, listener: Listener, shown: Shown) -> io::Result<Agent> {
        let (orders, queue) = Orders::new()?;
        let agent = run::Loop::new(sockets.0, spec, listener, orders.clone(), shown)?;
        let thread = std::thread::Builder::new().name("vip".into()).spawn(move || agent.run(&queue))?;
        Ok(Agent { thread, orders })
    }

    /// Goes on with another configuration; instances that are in both keep their state.
    pub fn apply(&self, spec: Spec) {
        self.orders.give(Order::Apply(spec));
    }

    /// What is known of a backend, frontend, service or the region map.
    pub fn report(&self, kind: TrackerKind, verdict: Verdict) {
        self.orders.give(Order::Report(kind, verdict));
    }

    /// Makes an instance master (`true`) or backup, as far as the others let it.
    pub fn move_to(&self, instance: &str, master: bool) {
        self.orders.give(Order::Move(instance.to_owned(), master));
    }

    /// Hands all addresses over, and waits until that is done.
    pub fn stop(self) {
        self.orders.give(Order::Stop);
        let _ = self.thread.join();
    }

    /// Whether the thread has ended by itself.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
}
