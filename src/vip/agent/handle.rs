//! The agent as the rest of the process sees it: a thread of this process, or a process of its own.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use crate::base::Nanos;
use crate::os::epoll::EventFd;

use super::super::machine::Verdict;
use super::super::spec::{Spec, TrackerKind};
use super::apart::Apart;
use super::network::Kernel;
use super::run;
use super::status::Shown;

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

/// What needs privileges, made before anything runs: sockets, or a process that opens its own.
pub struct Sockets(Means);

pub(super) enum Means {
    Here(Kernel),
    Apart(Apart),
}

impl Sockets {
    /// An error names the capability that is missing.
    pub fn open() -> io::Result<Sockets> {
        Kernel::open().map(|kernel| Sockets(Means::Here(kernel)))
    }

    /// Splits a process off that keeps what moving addresses takes, and nothing else, as this user and group. Only while
    /// there is one thread.
    pub fn apart(uid: Option<u32>, gid: Option<u32>) -> io::Result<Sockets> {
        // What would fail there is said here.
        drop(Kernel::open()?);
        Apart::split(uid, gid).map(|apart| Sockets(Means::Apart(apart)))
    }

    pub fn is_apart(&self) -> bool {
        matches!(self.0, Means::Apart(_))
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

/// A running agent.
pub struct Agent(Place);

enum Place {
    Here { thread: JoinHandle<()>, orders: Orders },
    Apart(Apart),
}

/// Asks an agent, from any thread, for as long as it runs.
#[derive(Clone)]
pub struct Asker(Arc<dyn Fn(Order) + Send + Sync>);

impl Agent {
    /// Starts the agent, which keeps `shown` as it is.
    pub fn start(sockets: Sockets, spec: Spec, listener: Listener, shown: Shown) -> io::Result<Agent> {
        match sockets.0 {
            Means::Here(kernel) => {
                let (orders, queue) = Orders::new()?;
                let agent = run::Loop::new(kernel, spec, listener, orders.clone(), shown, false)?;
                let thread =
                    std::thread::Builder::new().name("vip".into()).spawn(move || agent.run(&queue))?;
                Ok(Agent(Place::Here { thread, orders }))
            }
            Means::Apart(mut apart) => {
                apart.follow(listener, shown)?;
                apart.send(&Order::Apply(spec));
                Ok(Agent(Place::Apart(apart)))
            }
        }
    }

    fn give(&self, order: Order) {
        match &self.0 {
            Place::Here { orders, .. } => orders.give(order),
            Place::Apart(apart) => apart.send(&order),
        }
    }

    pub fn asker(&self) -> Asker {
        match &self.0 {
            Place::Here { orders, .. } => {
                let orders = orders.clone();
                Asker(Arc::new(move |order| orders.give(order)))
            }
            Place::Apart(apart) => {
                let sender = apart.sender();
                Asker(Arc::new(move |order| sender.send(&order)))
            }
        }
    }

    /// Goes on with another configuration; instances that are in both keep their state.
    pub fn apply(&self, spec: Spec) {
        self.give(Order::Apply(spec));
    }

    /// What is known of a backend, frontend, service or the region map.
    pub fn report(&self, kind: TrackerKind, verdict: Verdict) {
        self.give(Order::Report(kind, verdict));
    }

    /// Hands all addresses over, and waits until that is done.
    pub fn stop(self) {
        self.give(Order::Stop);
        match self.0 {
            Place::Here { thread, .. } => drop(thread.join()),
            Place::Apart(apart) => apart.join(),
        }
    }

    /// Whether the agent has ended by itself.
    pub fn is_over(&self) -> bool {
        match &self.0 {
            Place::Here { thread, .. } => thread.is_finished(),
            Place::Apart(apart) => apart.is_over(),
        }
    }
}

impl Asker {
    /// Makes an instance master (`true`) or backup, as far as the others let it.
    pub fn move_to(&self, instance: &str, master: bool) {
        (self.0)(Order::Move(instance.to_owned(), master));
    }

    /// Gives an instance another priority than was configured, 1 to 254.
    pub fn set_priority(&self, instance: &str, priority: u8) {
        (self.0)(Order::Priority(instance.to_owned(), priority));
    }

    /// Until when this node holds the lease of an instance.
    pub fn lease(&self, instance: &str, until: Option<Nanos>) {
        (self.0)(Order::Lease(instance.to_owned(), until));
    }
}
