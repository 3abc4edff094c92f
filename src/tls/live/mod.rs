//! Certificates, authorities and lists that change while they are in use: the runtime API's commands as a machine without
//! I/O, which answers in HAProxy's words.

pub mod state;
pub mod answer;
pub mod show;
pub mod certificates;
pub mod lists;
pub mod authorities;
pub mod keys;
pub mod late;

pub use state::Live;
