//! What is registered with this node's own agent: what that is, and that it comes back whatever becomes of the catalog.

mod holdings;
mod keep;
mod registered;

pub use holdings::{Holdings, SERVER, differences};
pub use keep::keep;
pub use registered::Own;
