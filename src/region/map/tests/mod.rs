//! The map, driven by commands alone.

mod archive;
mod support;
mod catalog;
mod index;
mod kv;
mod random;
mod scale;
mod session;
mod snapshot;
mod tables;
mod txn;
