//! The commands that speak to a running node: `isobar node`, `cluster`, `config`.

mod client;
mod cluster;
mod config;
mod node;
mod operation;
mod secure;

pub use operation::{begins, run};
pub(super) use secure::{Files, Secure};
