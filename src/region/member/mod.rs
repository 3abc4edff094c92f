//! Members of the cluster: how the first find each other, how others join, what is done to them, and who is alive.

mod duty;
mod forming;
mod joining;
mod liveness;
mod operation;
mod reconcile;

pub use duty::{answer, run};
pub use forming::{Meeting, Membership, seek};
pub use liveness::Heard;
pub use operation::{operate, step_down};
