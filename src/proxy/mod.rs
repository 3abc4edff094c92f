//! The data plane: listener, session, stream, pool, queue, tunnel, access log.

pub mod accept;
pub mod access;
mod ask;
pub mod cached;
pub mod capture;
pub mod conclude;
pub mod connection;
pub mod downstream;
pub mod end;
pub mod env;
pub mod exchange;
pub mod filters;
pub mod greeting;
pub mod h2;
mod invalid;
mod line;
pub mod listener;
mod name;
mod opening;
pub mod passage;
pub mod persist;
pub mod pool;
pub mod prepare;
pub mod rehearsal;
pub mod reply;
pub mod respond;
pub mod retry;
pub mod route;
pub mod server;
pub mod server_name;
pub mod session;
pub mod shared;
mod sticking;
pub mod stream;
pub mod takeover;
pub mod tcp;
pub mod tls;
pub mod transaction;
pub mod transfer;
pub mod tunnel;
pub mod upstream;
pub mod verdict;
pub mod version;
pub mod view;
pub mod worker;

#[cfg(test)]
mod tests;

pub use rehearsal::Rehearsal;
pub use shared::Shared;
pub use transfer::spliced_bytes;
pub use view::View;
pub use worker::Worker;
