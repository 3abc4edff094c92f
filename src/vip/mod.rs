//! The VIP agent: VRRP versions 2 and 3, addresses that move between nodes, `keepalived.conf` and `vrrp` sections.

pub mod packet;
pub mod machine;
pub mod spec;
pub mod keepalived;
pub mod keyword;
pub mod language;
pub mod agent;

mod line;
#[cfg(test)]
mod tests;
