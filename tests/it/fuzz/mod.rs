//! Any bytes at all, through everything that reads them: `cargo bolero test it::...` for long runs.

mod answers;
mod config;
mod h2;
mod dns;
mod http;
mod language;
mod mutate;
mod peers;
mod udp;
mod vip;
