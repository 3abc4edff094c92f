//! The rule language: samples (fetches, converters), ACLs, actions, log-format, variables.

pub mod build;
pub mod capture;
pub mod errors;
pub mod program;
pub mod reply;
pub mod sample;
pub mod txn;
pub mod vars;
pub mod vocabulary;

pub use build::{BuildCtx, Dir};
pub use capture::{Capture, Captures};
pub use errors::{ErrorPages, HttpErrors};
pub use program::{Acls, Condition, Expr, LogFormat, LogUse, RuleSet, RuleSetKind};
pub use reply::ReplySpec;
pub use sample::{Sample, SampleType};
pub use txn::{Ctx, End, Env, Outcome, Reply, ReplyBody, Timers, Txn, VarId, VarScope, Vars};
pub use vars::Names;
