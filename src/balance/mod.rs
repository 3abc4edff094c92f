//! One file per balancing algorithm, one contract (`model::Balancer`).

/// `balance` and `hash-type`, parsed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {}
