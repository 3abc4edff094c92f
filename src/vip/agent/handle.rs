//! The agent as the rest of the process sees it: a thread of this process, or a process of its own.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::base::Nanos;
use crate::os::netlink::Netlink;

use super::super::machine::Verdict;
use super::super::spec::{Spec, TrackerKind};
use super::apart::Apart;
use super::network::Kernel;
use super::order::{Listener, Order, Orders};
use super::renewer::Renewer;
use super::run;
use super::status::Shown;

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
                let renewer = Renewer::start(Netlink::open()?, listener.clone())?;
                let agent = run::Loop::new(kernel, spec, listener, orders.clone(), shown, renewer, false)?;
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

    /// How often the agent has ended by itself. One in a process of its own is followed by another, which knows nothing of
    /// what was [reported](Agent::report).
    pub fn ends(&self) -> usize {
        match &self.0 {
            Place::Here { thread, .. } => thread.is_finished().into(),
            Place::Apart(apart) => apart.ends(),
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
