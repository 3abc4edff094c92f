//! Integration tests, linked once.

mod diff;
