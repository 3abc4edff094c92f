//! HTTP/2 connections of clients: one task reads and writes the connection, and one for each stream serves it as if it
//! were a connection of its own. What a stream sends lies in the machine's output until the connection's task has its turn,
//! behind those of all streams that had something to do: frames of many leave in one write.

pub mod client;
pub mod incoming;
pub mod mux;
pub mod outgoing;
pub mod serve;

pub use client::H2Client;
