//! The program's DNS client: it asks upstream servers, and remembers what they said.

mod cache;
mod client;
mod line;
mod response;
mod upstream;

pub use cache::{Cache, Entry, Freshness, Key};
pub use client::{Client, Failure, Route};
pub use response::{Shape, examine};
pub use upstream::Upstream;

#[cfg(test)]
mod tests;
