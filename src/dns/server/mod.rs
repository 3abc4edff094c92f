//! The server around the answer machine: sockets, threads for datagrams, connections.

mod datagrams;
mod figures;
mod https;
mod notify;
mod rate;
mod room;
mod run;
mod shared;
mod signed;
mod sockets;
mod stream;
mod told;
mod turn;

pub use figures::Figures;
pub use run::Server;
pub use sockets::{BindError, Sockets};
