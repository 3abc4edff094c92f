//! Members of the cluster: how the first find each other, how others join, what is done to them, and who is alive.

mod duty;
mod forming;
mod heard;
mod joining;
mod liveness;
mod operation;
mod reconcile;

pub use duty::{answer, run};
pub use forming::{Meeting, Membership, seek};
pub use heard::Heard;
pub use liveness::agent_alive;
pub use operation::{operate, step_down};
