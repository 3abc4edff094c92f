//! The data workers' runtime: tasks, readiness and time on one thread, one epoll instance each.
//!
//! It is not a general executor. A task has one deadline, sockets know the tasks that wait for them without a waker,
//! and a socket is registered with epoll at the first wait and not before, so that a short connection costs no
//! `epoll_ctl` at all. That is worth a tenth of the CPU time of a new connection and nine tenths of the memory of
//! an idle one; the control plane, where neither matters, runs on tokio.

pub mod by_hand;
pub mod conn;
pub mod datagram;
pub mod inbox;
pub mod remote;
pub mod runtime;
mod source;
pub mod wheel;

#[cfg(test)]
mod tests;

pub use conn::Conn;
pub use datagram::Datagrams;
pub use remote::{Load, Remote};
pub use runtime::{NEVER, NOBODY, Rt, TaskId};
