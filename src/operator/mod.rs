//! The commands that speak to a running node: `isobar node`, `cluster`, `config`, `vip`.

mod client;
mod cluster;
mod command;
mod config;
mod node;
mod operation;
mod vip;

pub use command::{begins, run};
