//! A registry's client (OCI distribution specification 1.1, and what registries did before it).

pub mod backoff;
pub mod challenge;
mod content;
pub mod credential;
pub mod fault;
pub mod limit;
pub mod page;
pub mod payload;
pub mod registry;
pub mod transport;

pub use content::{Upload, scope};
pub use credential::Credential;
pub use fault::Fault;
pub use registry::{Access, Registry};
pub use transport::Origin;
