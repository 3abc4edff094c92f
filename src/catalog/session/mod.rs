//! Sessions, which hold locks: their endpoints. Their time is the leader's (`region::expiry`).

pub mod endpoint;
