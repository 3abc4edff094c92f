//! The builder as a whole.

mod noise;
mod once;
mod reload;
mod servers;
mod service;
mod shipped;
mod stick;
mod tables;
mod tls;
mod verdict;
