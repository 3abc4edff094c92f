//! Members of the cluster: how the first find each other, how others join, what is done to them, and who is alive.

mod ailing;
pub mod authority;
pub mod credential;
pub mod token;
mod duty;
mod enrolling;
mod forming;
mod handover;
mod heard;
mod joining;
mod keepers;
mod liveness;
mod meeting;
mod operation;
mod pin;
mod proof;
mod reconcile;
mod renewal;
pub mod ring;
mod sealing;
mod trust;
mod verifier;

pub use duty::{answer, run};
pub use enrolling::{enter, join_token};
pub use forming::{founded, seek};
pub use handover::step_down;
pub use heard::Heard;
pub use keepers::{in_use, seal, unseal};
pub use liveness::client_alive;
pub use meeting::{Meeting, Membership};
pub use operation::{operate, refuse_leaving, votes_alone};
pub use pin::is_itself;
pub use ring::Keys;
pub use token::{Admission, Token, TokenError};
pub use trust::{Trust, TrustError, joining};
