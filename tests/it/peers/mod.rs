//! Stick tables that are shared: with a real HAProxy in both directions, and between two Isobars.

mod haproxy;
mod node;
mod ours;
mod raw;
