//! TLS over a connection of a data worker: rustls without buffers of its own, and buffers of the worker that are held only
//! while data is in flight.

mod engine;
mod handshake;
mod stream;

pub use handshake::{Fault, fault_name, fault_text};
pub use stream::Tls;
