//! Geographic databases: where networks are, from any file in MaxMind's format.

mod country;
mod database;

pub use country::{Centre, centre, continent_at};
pub use database::{GeoError, clients};
