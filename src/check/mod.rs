//! Health checks: the rise/fall machine without I/O, what it runs on, and every change of a server's state.
//!
//! `rules` reads the configuration's lines into a [`CheckSpec`]; `runner` has one task a server, on the thread of `lane`,
//! that calls `probe` and feeds the `machine`; `change` and `admin` apply what follows, for checks and for runtime commands alike;
//! `message` has the words.

pub mod admin;
mod agent;
pub mod answer;
pub mod change;
pub mod evaluate;
pub mod fuzz;
pub mod keyword;
pub mod machine;
pub mod message;
pub mod request;
pub mod rule;
pub mod rules;
pub mod runner;
pub mod spec;
pub mod status;

mod external;
mod h2;
mod io;
mod lane;
mod parse_expect;
mod parse_step;
mod phrase;
mod probe;
mod protocol;
mod scene;
mod spop;

#[cfg(test)]
mod tests;

pub use change::{Hooks, Member};
pub use keyword::{BACKEND_KEYWORDS, SERVER_KEYWORDS};
pub use message::Cause;
pub use rules::{Fault, Rules};
pub use runner::{Checks, Settings, slowstart_round};
pub use spec::{CheckSpec, CheckTls, External, InitState, Observe, OnError, Protocol};
pub use spec::{parse_init_state, parse_observe, parse_on_error};
pub use status::{Finding, Status};
