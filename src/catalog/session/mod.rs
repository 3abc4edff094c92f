//! Sessions, which hold locks: their endpoints and their end.

pub mod endpoint;
pub mod expiry;
