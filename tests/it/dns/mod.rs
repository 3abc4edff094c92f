//! The DNS responder, asked by real clients.

mod answers;
mod clients;
mod client;
mod forward;
mod https;
mod seen;
