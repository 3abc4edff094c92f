//! The commands that speak to a running node: `isobar node`, `cluster`, `config`.

mod client;
mod cluster;
mod config;
mod node;
mod operation;

pub use operation::{begins, run};
