//! The registry of nodes, services and checks: `/v1/catalog`, `/v1/health`, `/v1/query`, `/v1/coordinate`.

pub mod coordinate;
pub mod definition;
pub mod distance;
pub mod health;
pub mod list;
pub mod query;
pub mod register;
pub mod select;
pub mod view;
