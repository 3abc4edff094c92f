//! The data plane: listener, session, stream, pool, queue, tunnel, access log.

pub mod access;
pub mod downstream;
pub mod end;
pub mod env;
pub mod exchange;
pub mod listener;
pub mod persist;
pub mod pool;
pub mod prepare;
pub mod reply;
pub mod respond;
pub mod retry;
pub mod route;
pub mod server;
pub mod session;
pub mod stream;
pub mod tcp;
pub mod transfer;
pub mod tunnel;
pub mod upstream;
pub mod verdict;
pub mod worker;

pub use transfer::spliced_bytes;
pub use worker::{Shared, View, Worker};
