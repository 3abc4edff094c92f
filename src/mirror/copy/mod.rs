//! Copies images between two registries.

mod blob;
pub mod checkpoint;
mod copier;
mod image;
pub mod known;
pub mod pace;
mod piece;
mod referrer;
pub mod tap;

pub use blob::How;
pub use checkpoint::{Keeper, Nowhere};
pub use copier::{Copied, Copier, Target};
pub use known::Known;
pub use pace::Pace;
pub use piece::{PIECE, ROOM};
pub use referrer::subject_of;
pub use tap::Meter;

#[cfg(test)]
mod tests;
