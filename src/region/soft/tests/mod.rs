//! The protocol between nodes that are not there, over a network that loses, delays, reorders and cuts.

mod network;
mod faults;
mod bounds;
