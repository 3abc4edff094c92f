//! Integration tests, linked once.

mod diff;
mod fuzz;
