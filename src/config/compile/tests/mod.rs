//! The builder as a whole.

mod noise;
mod once;
mod reload;
mod service;
mod shipped;
mod tables;
mod verdict;
