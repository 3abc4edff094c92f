//! Prepared queries: what one says, which one a name means, and what it finds in the map. HTTP and DNS answer by these.

pub mod definition;
pub mod execute;
pub mod template;

pub use definition::{Definition, Failover, ServiceQuery, Target, Template};
pub use execute::{Found, execute, lookup};
