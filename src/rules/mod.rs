//! The rule language: samples (fetches, converters), ACLs, actions, log-format, variables.

pub mod program;
pub mod sample;
pub mod txn;
pub mod vocabulary;

pub use program::{Condition, ErrorPages, Expr, LogFormat, RuleSet, to_bytes};
pub use sample::{Sample, SampleType};
pub use txn::{Ctx, End, Env, Outcome, Reply, ReplyBody, Timers, Txn, VarId, VarScope, Vars};
