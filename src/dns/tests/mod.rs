//! The sections, and states made of maps.

mod follow;
mod language;
