//! Connections: made, accepted and shared out as [`Link`]s, whatever they are made of; and the control plane's HTTP, which
//! runs on tokio.

pub mod address;
pub mod dial;
pub mod http;
pub mod introduction;
pub mod link;
pub mod proxy_protocol;
pub mod socks4;
pub mod tls;

pub use dial::{Dial, dial};
pub use link::Link;
pub use tls::Tls;
