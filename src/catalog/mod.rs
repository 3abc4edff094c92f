//! The catalog's HTTP API, as Consul's clients know it, over the region map.
//!
//! `request` is one request, how its handler sees it and what is answered; `record` what the catalog keeps in the map for
//! itself. Each folder is a family of endpoints; `endpoints` lists them all, `serve` answers.

pub mod acl;
pub mod agent;
pub mod api;
pub mod cluster;
pub mod endpoints;
pub mod event;
pub mod filter;
pub mod kv;
pub mod mesh;
pub mod record;
pub mod registry;
pub mod request;
pub mod serve;
pub mod session;
pub mod ui;

pub use agent::monitor::tell as monitor;
pub use api::{Api, Forwarder, Mirror, MirrorAnswer, MirrorAsk, Operator, Process, Settings, VipOrder};
pub use request::{Answer, Stream, Wire};
pub use serve::serve;
