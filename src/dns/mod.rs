//! The DNS responder: zones of its own, and records whose data comes from the region map.
//!
//! `answer` is the machine: octets of a query and the present state in, octets of the answer out, without I/O, clock or
//! allocation. What it answers from are `zone`, which never changes, and `policy`, whose views of services and orders of
//! regions `follow` makes anew when the map changes. `server` has the sockets; `language` reads `dns` sections; `explain` says
//! why an answer is what it is.

pub mod name;
pub mod wire;
pub mod message;
pub mod cookie;
mod siphash;
pub mod zone;
pub mod hosts;
pub mod transfer;
pub mod policy;
pub mod answer;
pub mod geoip;
pub mod spec;
mod reading;
mod keyword_forward;
mod keyword_server;
mod keyword_record;
pub mod keyword;
pub mod language;
pub mod consul;
pub mod follow;
pub mod forward;
pub mod tally;
pub mod explain;
pub mod overview;
pub mod server;

#[cfg(test)]
mod tests;
