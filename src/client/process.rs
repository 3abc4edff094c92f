//! What a client agent has of the process around it.

use std::sync::Arc;

use crate::lang::Severity;

/// Tells the operator.
pub type Say = Arc<dyn Fn(Severity, &str) + Send + Sync>;

pub struct Process {
    pub say: Say,
    /// Asks it to end.
    pub end: Arc<dyn Fn() + Send + Sync>,
}
