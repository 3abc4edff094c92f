//! The configuration builder: sections in, a compiled [`Config`](super::Config) out.
//!
//! Lines go to one function each through keyword tables; what sections share (`defaults`, numbers, names of other
//! proxies, live cells) is settled when all of them are read. A build touches nothing that runs.

pub mod bind;
pub mod draft;
pub mod finish;
pub mod global_table;
pub mod keyword;
pub mod live;
pub mod option_table;
pub mod proxy_table;
pub mod section;
pub mod server_option;
pub mod stats;
pub mod timeout;

mod backend;
mod balance;
mod builder;
mod cache;
mod checks;
mod cookie;
mod crt_store;
mod declared;
mod errors;
mod filter;
mod global;
mod global_section;
mod healthcheck;
mod log;
mod mailers;
mod needs;
mod options;
mod peers;
mod postcheck;
mod proxy;
mod resolvers;
mod rule;
mod server;
mod service;
mod state;
mod stick;
mod switching;
mod tls;
mod udp;
pub mod variable;

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use builder::{build, entries, register};
pub use draft::{Inputs, Lent};
pub use finish::Built;
pub use section::section_kinds;
