//! The builder as a whole.

mod noise;
mod reload;
mod shipped;
mod tables;
mod verdict;
