//! The rule language as configurations write it, run on hand-made transactions.

mod acls;
mod actions;
mod candidates;
mod counters;
mod expressions;
mod families;
mod formats;
mod pages;
mod protocols;
mod state;
pub(in crate::rules) mod support;
mod tables;
