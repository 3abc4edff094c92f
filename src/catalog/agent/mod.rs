//! The agent of this node, as Consul calls it: `/v1/agent`; and what client agents tell a member.

pub mod check;
pub mod client;
pub mod health;
pub mod maintenance;
pub mod monitor;
pub mod node;
pub mod service;
pub mod standing;
