//! Clocks, hashes, rate counters, `Live` cells and per-worker shards. Knows nothing of the network.

pub mod buf;
pub mod clock;
pub mod hex;
pub mod latency;
pub mod live;
pub mod rate;
pub mod shard;
pub mod sync;
pub mod varint;

pub use buf::Buf;
pub use clock::{Millis, Nanos};
pub use latency::Latency;
pub use live::Live;
pub use shard::{Shards, WorkerId};
