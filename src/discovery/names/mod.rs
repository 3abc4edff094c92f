//! Servers whose addresses come from name servers (manual 5.3): `resolvers`, records of services, `server-template`.
//!
//! `resolution` remembers what is known of a name and says what holds, without a clock; `select` chooses among addresses;
//! `apply` brings servers in step; `follow` has a task for each `resolvers` section, which asks.

mod apply;
mod follow;
mod resolution;
mod select;

#[cfg(test)]
mod tests;

pub use follow::Names;
