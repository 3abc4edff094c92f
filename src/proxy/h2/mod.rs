//! HTTP/2 connections: one task reads and writes a connection. Of a client's, each stream has a task that serves it as if
//! it were a connection of its own; of a server's, streams of many clients share it. What a stream sends lies in the machine's output until the connection's task has its turn,
//! behind those of all streams that had something to do: frames of many leave in one write.

pub mod client;
pub mod dialled;
pub mod incoming;
pub mod mux;
pub mod options;
pub mod outgoing;
pub mod server;
pub mod serve;
pub mod websocket;

pub use client::H2Client;
pub use server::{H2Server, ServerMuxes};
