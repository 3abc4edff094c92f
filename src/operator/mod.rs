//! The commands that speak to a running node: `isobar node`, `cluster`, `config`, `mirror`.

mod client;
mod cluster;
mod command;
mod config;
mod mirror;
mod node;
mod operation;

pub use command::{begins, run};
