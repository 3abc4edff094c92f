//! The rule language as configurations write it, run on hand-made transactions.

mod acls;
mod actions;
mod counters;
mod expressions;
mod families;
mod formats;
mod pages;
mod support;
mod tables;
