//! The builder as a whole.

mod noise;
mod reload;
mod service;
mod shipped;
mod tables;
mod verdict;
