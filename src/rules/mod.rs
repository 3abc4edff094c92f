//! The rule language: samples (fetches, converters), ACLs, actions, log-format, variables.

pub mod account;
pub mod acl;
pub mod action;
pub mod args;
pub mod ask;
pub mod binary;
pub mod build;
pub mod candidates;
pub mod capture;
pub mod captured;
pub mod cast;
pub mod condition;
pub mod convert;
pub mod criterion;
mod crypt;
pub mod errors;
pub mod expr;
pub mod figure;
pub mod fetch;
pub mod forwarded;
pub mod hash;
pub mod holds;
pub mod kind;
pub mod http_errors;
pub mod known;
pub mod logformat;
pub mod message;
pub mod named;
pub mod pattern;
pub mod program;
mod purity;
pub mod regex;
pub mod register;
pub mod reply;
pub mod sample;
pub mod stick;
pub mod store;
pub mod timing;
pub mod track;
pub mod txn;
pub mod vars;
pub mod vocabulary;
pub mod witness;
pub mod words;

#[cfg(test)]
mod tests;

pub use account::Userlists;
pub use acl::Acls;
pub use action::ACTIONS;
pub use build::{BuildCtx, Dir};
pub use candidates::{Candidates, Found};
pub use capture::{Capture, Captures};
pub use cast::to_bytes;
pub use condition::Condition;
pub use convert::CONVERTERS;
pub use errors::{ErrorPages, http_errors_section};
pub use expr::Expr;
pub use fetch::FETCHES;
pub use forwarded::Forwarded;
pub use http_errors::HttpErrors;
pub use kind::RuleSetKind;
pub use logformat::{LOG_TAGS, LogFormat, LogStage, LogUse};
pub use pattern::{MATCHES, PatternRefs};
pub use program::RuleSet;
pub use register::register;
pub use reply::ReplySpec;
pub use sample::{Sample, SampleType};
pub use stick::StickRule;
pub use track::Counters;
pub use txn::{
    Ctx, Endpoint, Env, Outcome, Packets, Pending, Priority, Reply, ReplyBody, ServerState, SilentDrop,
    Sticky, Store, TimeoutOverrides, Timers, Txn, Wait,
};
pub use vars::{Names, VarId, VarScope, Vars};
