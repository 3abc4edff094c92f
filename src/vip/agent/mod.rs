//! The agent: a thread that gives the protocol its clock, packets, links and addresses, and the threads beside it that run
//! programs, so that none of them holds it up.

mod accept;
mod addresses;
mod apart;
mod handle;
mod heartbeat;
mod hook;
mod network;
mod notify;
mod order;
mod renewer;
mod run;
mod script;
mod status;
mod watch;

pub use handle::{Agent, Asker, Sockets};
pub use order::Listener;
pub use status::{Counters, InstanceStatus, Shown, Status};
