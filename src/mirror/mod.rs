//! The mirror: keeps OCI registries in step by rules.
//!
//! `client` speaks to a registry, `copy` moves an image from one to another, `rule` says what is wanted where. `plan`
//! compares two repositories, `schedule` gives the jobs of plans to nodes: both are without I/O.

pub mod digest;
pub mod reference;
pub mod manifest;
pub mod client;
pub mod copy;
pub mod rule;
pub mod plan;
pub mod job;
pub mod schedule;
pub mod language;
pub mod run;
