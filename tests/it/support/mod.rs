//! What every black-box test needs: the proxy under test, scripted origin servers, raw clients, a log sink,
//! and the same traffic through a real HAProxy.
#![allow(dead_code, reason = "parts for tests that grow")]

pub mod client;
pub mod differential;
pub mod lab;
pub mod logsink;
pub mod message;
pub mod names;
pub mod normalise;
pub mod origin;
pub mod place;
pub mod program;
pub mod proxy;

pub use client::Client;
pub use logsink::LogSink;
pub use origin::{Origin, Step};
pub use proxy::Proxy;
