//! The builder as a whole.

mod reload;
mod shipped;
mod tables;
mod verdict;
