//! The compiled configuration of the proxy: a value, immutable, every name resolved.

pub mod compile;
pub mod diff;
pub mod global;
pub mod legacy;
pub mod proxy;
pub mod service;
pub mod vocabulary;

pub use compile::{Built, Inputs, build};
pub use diff::Diff;
pub use global::{Global, LogTarget, StatsSocket};
pub use proxy::{
    Backend, Bind, Config, ForwardFor, Frontend, HttpConnection, HttpReuse, Options, Proxy, StatsSpec,
    Switch, SwitchTarget, Timeouts,
};
pub use service::{Reach, ServiceSpec};
