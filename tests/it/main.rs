//! Black-box tests: they start the binary on a configuration and look at what goes over the wire.
#![allow(clippy::disallowed_methods)]

mod ask;
mod catalog;
mod diff;
mod dns;
mod fuzz;
mod h2;
mod hostile;
mod job13;
mod kernel;
mod mirror;
mod peers;
mod region;
mod rfc;
mod shipped;
mod support;
mod tls;
mod trace;
mod udp;
mod vip;
mod watch;
mod wiring;
mod wrong;
