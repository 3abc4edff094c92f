//! Access control: tokens, policies, roles, and the endpoints that keep them.

pub mod enabled;
pub mod login;
pub mod policy;
pub mod role;
pub mod rules;
pub mod routes;
pub mod store;
pub mod templated;
pub mod token;

pub use routes::ROUTES;
