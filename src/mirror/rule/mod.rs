//! What is copied where, and when.

pub mod cron;
pub mod pattern;
pub mod selection;
pub mod spec;

pub use cron::Cron;
pub use pattern::Glob;
pub use selection::{Images, Tags};
pub use spec::{Delete, Name, RegistrySpec, Rule, Spec, When};
