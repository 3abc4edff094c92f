//! The catalog's HTTP API as a client meets it: real requests over the loopback to a node with a map in memory.

mod access;
mod agent;
mod archive;
mod blocking;
mod clients;
mod kv;
mod large;
mod limits;
mod live;
mod query;
mod served;
mod session;
mod strict;
