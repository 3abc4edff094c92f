//! The prober: decisions with made-up time, and its checks against real sockets on loopback.

mod deciding;
mod running;
