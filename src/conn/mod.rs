//! Connections: for now the control plane's HTTP, one client and one server.

pub mod http;
