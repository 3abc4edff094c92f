//! Isobar carries traffic for services that run in several regions.
//!
//! The rooms below are in order: **a room uses only rooms above it** (`tests/tidy.rs` enforces it).

pub mod base;
pub mod os;
pub mod rt;
pub mod lang;
pub mod model;
pub mod http;
pub mod log;
pub mod rules;
pub mod balance;
pub mod check;
pub mod config;
pub mod proxy;
pub mod admin;
pub mod app;
