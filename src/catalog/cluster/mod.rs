//! The cluster and its members, for those who look after it.

pub mod archive;
pub mod dns;
pub mod document;
pub mod leaving;
pub mod list;
pub mod member;
pub mod mirror;
pub mod node;
pub mod operator;
pub mod place;
pub mod region;
pub mod server;
pub mod status;
pub mod vip;
