//! The machine against the cases that were measured on HAProxy (each test names its cases), and against the `h2` crate.

mod driver;
mod frames;
mod blocks;
mod heads;
mod bodies;
mod limits;
mod windows;
mod client;
mod answers;
mod random;
