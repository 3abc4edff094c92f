//! `mode udp`: flows of datagrams, seen from clients and servers.

mod flow;
mod peer;
mod seen;
