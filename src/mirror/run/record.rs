//! What nodes tell each other of the mirror, as soft state.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::mirror::job::Job;
use crate::region::Seat;
use crate::region::soft::{Kind, Record, View, Work};

/// Of the leader: a job for a node.
pub const JOB: &str = "mirror/job/";
/// Of a node: what became of a job.
pub const DONE: &str = "mirror/done/";
/// Of a node: which rules it has.
pub const NODE: &str = "mirror/node";
/// Of any node: a rule is to run.
pub const ASK: &str = "mirror/ask/";
/// Of the leader: how a rule stands.
pub const RULE: &str = "mirror/rule/";
/// How far a job is (a record of progress).
pub const PROGRESS: &str = "mirror/";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub job: Job,
    pub nonce: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRules {
    /// With a number that stands for their text.
    pub rules: Vec<(String, u64)>,
    pub slots: usize,
}

/// A rule is to run now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub nonce: u64,
    /// All where it is empty.
    pub repositories: BTreeSet<String>,
}

/// How a rule stands with one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub target: String,
    pub tags: usize,
    pub behind: usize,
    pub conflicts: usize,
    /// Deletions that were held back.
    pub refused: usize,
    /// Since when the oldest tag that is not there was seen, in milliseconds since 1970; 0: all are there.
    pub behind_since: u64,
    /// When it was last looked at to its end.
    pub looked: u64,
    pub fault: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleStanding {
    pub from: String,
    pub paused: bool,
    pub looking: bool,
    pub targets: Vec<Standing>,
    /// Nodes with a rule of this name that says something else.
    pub differs: Vec<String>,
    pub next: u64,
}

/// Tells all others; what is too large is cut off by who calls.
pub fn tell(seat: &Seat, name: &str, to: u64, body: &impl Serialize) -> bool {
    let Ok(body) = serde_json::to_vec(body) else { return false };
    let told = seat.soft().publish(name, Record::Work(Work { to, body: body.into() }));
    if let Err(e) = &told {
        tracing::warn!("mirror: {name}: {e}");
    }
    told.is_ok()
}

/// Records of that name or prefix: the node that says it, the rest of the name, for whom it is, and what it says.
pub fn told<'a, T: DeserializeOwned>(
    view: &'a View,
    prefix: &'a str,
) -> impl Iterator<Item = (u64, &'a str, u64, T)> {
    view.of_kind(Kind::Work).filter_map(move |(node, name, record)| {
        let rest = name.strip_prefix(prefix)?;
        let Record::Work(work) = &**record else { return None };
        Some((node, rest, work.to, serde_json::from_slice(&work.body).ok()?))
    })
}
