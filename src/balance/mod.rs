//! Balancing: one file per algorithm, one contract ([`crate::model::Balancer`]).
//!
//! No clock is read and nothing is allocated in a pick. State is behind one short lock a backend, or a value that is
//! replaced whole; spreads are exact whatever the number of workers.

pub mod algorithm;
pub mod hash;
pub mod key;
pub mod spec;
pub mod usable;

mod first;
mod leastconn;
mod map;
mod lock;
mod maglev;
mod order;
mod ring;
mod roundrobin;

#[cfg(test)]
mod tests;

pub use algorithm::{ALGORITHMS, Algorithm, HASH_KEYWORDS, build, parse_balance};
pub use key::{form_param, hash_key};
use lock::lock;
pub use spec::{Affinity, HashFunction, HashType, Method, Spec};
pub use spec::{parse_affinity, parse_balance_factor, parse_hash_type};
pub use usable::{WEIGHT_SCALE, effective_maxconn, effective_weight, settle, throttle, usable_counts};
