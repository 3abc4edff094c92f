//! HTTP/2 (RFC 9113) as a machine: bytes in, events out; calls in, frames out. No I/O, and no clock: the time is handed
//! in.
//!
//! [`Connection::receive`] takes whatever was read and tells one event at a time. What is to be sent lies in one buffer,
//! [`Connection::output`], so that the frames of many streams leave in one write. A message is a [`super::Head`], laid out
//! in its arena as HTTP/1 would have it: rules see one type, and an HTTP/1 connection sends it as one slice.

mod error;
mod frame;
mod settings;
mod stream;
mod budget;
mod connection;
mod receive;
mod control;
mod block;
mod data;
mod send;
mod assembly;
mod wire;
pub mod fuzz;

pub use connection::{Connection, Event, Options, Role};
pub use error::Code;
pub use frame::{MAX_FRAME, PREFACE};
pub use send::Gone;

#[cfg(test)]
mod tests;
