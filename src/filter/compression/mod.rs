//! Compression of bodies: which messages are compressed, how, and what it costs.

mod algorithm;
mod choice;
mod coder;
mod meter;

pub use algorithm::Algorithm;
pub use choice::{
    Direction, Settings, announce_request, announce_response, is_eligible, offer, request_algorithm, weighed,
};
pub use coder::{Coder, Tally};
pub use meter::{Limits, METER};
