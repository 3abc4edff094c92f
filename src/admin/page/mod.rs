//! The stats page (`stats enable`, `stats uri`): HTML, CSV, JSON, and actions on servers.

pub mod action;
pub mod applet;

mod html;

#[cfg(test)]
mod tests;

pub use applet::StatsPage;
