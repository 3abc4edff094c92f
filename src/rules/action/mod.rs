//! Actions: what rules do, one table a family.

mod answer;
mod auth;
mod binary;
mod cache;
mod capture;
mod counter;
mod entry;
mod flow;
mod header;
mod line;
mod normalize;
mod packets;
mod pattern;
mod redirect;
mod request_line;
mod resolve;
mod rewrite;
mod stream;
mod variable;

pub use counter::{MOST_COUNTERS, is_error, is_failure};
pub use entry::{Action, ActionKeyword, Input, Run, Sets, Step, find};
pub use redirect::legacy as legacy_redirect;

/// Every action there is, in families.
pub static ACTIONS: &[&[ActionKeyword]] = &[
    answer::ACTIONS,
    cache::ACTIONS,
    redirect::ACTIONS,
    flow::ACTIONS,
    header::ACTIONS,
    binary::ACTIONS,
    packets::ACTIONS,
    line::ACTIONS,
    request_line::ACTIONS,
    normalize::ACTIONS,
    variable::ACTIONS,
    resolve::ACTIONS,
    auth::ACTIONS,
    capture::ACTIONS,
    pattern::ACTIONS,
    stream::ACTIONS,
    counter::ACTIONS,
];
