//! TLS without connections: PEM with the place of every fault, certificates and the store that picks one by name, whom
//! to believe, and the configurations of servers and clients. Nothing outside this room builds one by hand.

pub mod error;
pub mod provider;
pub mod pem;
pub mod authority;
pub mod certificate;
pub mod store;
pub mod server;
pub mod client;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use authority::Authorities;
pub use certificate::{Certified, Validity};
pub use client::{Client, Files, Secure, Servers};
pub use error::{Error, Fault, PemError};
pub use pem::Pem;
pub use provider::{Anyone, Versions, provider};
pub use server::{Clients, Server};
pub use store::{Filter, Store};
