//! The data plane of `mode udp`: flows of datagrams between clients and servers.
//!
//! A client's datagrams and the answers to them are a flow, known by the four numbers that all of them share: who asks and
//! who is asked. [`table`] is the machine, without I/O and without a clock: which flow a datagram belongs to, and when one
//! has been silent for too long. [`plane`] has a worker's flows and sockets: a listening socket's task takes a burst,
//! finds each flow and sends on over the flow's own connected socket; that socket's task sends answers back through
//! the listening one, from the address that was asked. [`choice`] says which backend and which server, by the rules and
//! balancers of every proxy, and [`account`] what a flow leaves in counters and logs.
//!
//! The kernel gives a flow to the same worker each time, as it spreads clients over the sockets of one address. What is
//! bounded: flows by `maxconn` of process, frontend and bind; in the process they count beside connections, so that neither
//! takes the other's room. Where one is reached, datagrams of those who have no flow are dropped and count as `ereq` of the
//! frontend; flows that stand go on, and none is pushed out.
//!
//! A flow stays with its server for as long as that is up and in its backend; else its next datagram goes to another
//! one, and no other flow notices. A flow ends when neither side said anything for the shorter one of `timeout client` and
//! `timeout server`, or when its listening socket goes.

pub mod account;
pub mod choice;
pub mod flow;
pub mod plane;
pub mod table;

pub use plane::listen;
