//! The same configuration and traffic through a real HAProxy and through Isobar: what clients get, what servers get
//! and what the log says is equal byte for byte, apart from the table in `support/normalise.rs`. And the same text
//! through both readers of configurations.

mod balance;
mod checks;
mod closing;
mod connection;
mod counters;
mod exporter;
mod expressions;
mod filters;
mod language;
mod legacy;
mod log;
mod map;
mod message;
mod page;
mod preface;
mod reply;
mod resolvers;
mod response;
mod rules;
mod runtime;

mod server;
mod standing;
mod state;
mod table;
mod stick;
mod tcp;
mod timeout;
mod unwell;

use crate::support::Origin;

/// The head of most configurations here.
pub const HTTP: &str = "
global
    nbthread 1
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 5s
    timeout server 5s
";

/// One origin, called `s1`, that says its name.
pub fn one() -> Vec<(&'static str, Origin)> {
    vec![("s1", Origin::named("one"))]
}

/// Three of them.
pub fn three() -> Vec<(&'static str, Origin)> {
    vec![("s1", Origin::named("one")), ("s2", Origin::named("two")), ("s3", Origin::named("three"))]
}
