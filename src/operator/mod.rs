//! The commands that speak to a running node: `isobar node`, `cluster`, `config`, `dns`, `vip`, `mirror`; and `cert`,
//! which reads files.

mod cert;
mod client;
mod cluster;
mod command;
mod config;
mod dns;
mod mirror;
mod node;
mod operation;
mod vip;

pub use command::{beginnings, begins, run};
