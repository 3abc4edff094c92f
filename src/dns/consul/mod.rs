//! Consul's names for what is registered: `web.service.consul`, `_web._tcp.service.consul`, `lb1.node.consul` and the
//! others of its DNS interface, answered from the region map as it is when they are asked for.

mod answer;
mod grammar;

pub use answer::Consul;
pub use grammar::{Asked, parse};

#[cfg(test)]
mod tests;
