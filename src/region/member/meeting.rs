//! How a node is to find its cluster, and whom it met before it had one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::super::raft::connection::Connections;
use super::super::raft::frame::Hello;
use super::token::{Admission, Token};

/// Nodes met; more are no first cluster.
const MET: usize = 64;

/// How this node is to find its cluster.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    pub retry_join: Vec<String>,
    pub expect: Option<u32>,
    pub manager: bool,
    /// The cluster has an authority of its own.
    pub authority: bool,
    /// What admits this node to it.
    pub admission: Option<Admission>,
}

/// What a node without a cluster does.
pub(super) enum Course<'a> {
    /// It is its own cluster.
    Alone,
    Meet,
    Enroll(&'a Token),
    /// Until an operator says what to do.
    Wait,
}

impl Membership {
    fn expected(&self) -> usize {
        self.expect.unwrap_or(1).max(1) as usize
    }

    pub(super) fn course(&self) -> Course<'_> {
        let alone = self.expected() == 1 && self.retry_join.is_empty();
        match &self.admission {
            _ if !self.authority && alone => Course::Alone,
            _ if !self.authority => Course::Meet,
            Some(Admission::Token(token)) if !self.retry_join.is_empty() => Course::Enroll(token),
            Some(Admission::Founding(_)) if self.expected() > 1 => Course::Meet,
            _ if alone && self.expect == Some(1) => Course::Alone,
            _ => Course::Wait,
        }
    }
}

/// Whom this node met before it had a cluster.
pub struct Meeting {
    pub how: Membership,
    /// To those who look for a cluster too; `None` where it cannot know them.
    pub(super) connections: Option<Arc<Connections>>,
    met: Mutex<BTreeMap<u128, Hello>>,
    /// Why it was not admitted when it last asked.
    why: Mutex<String>,
    /// The identity has changed.
    pub(super) settled: Notify,
}

impl Meeting {
    pub fn new(how: Membership, connections: Option<Arc<Connections>>) -> Meeting {
        Meeting { how, connections, met: Mutex::default(), why: Mutex::default(), settled: Notify::new() }
    }

    pub(super) fn met(&self) -> std::sync::MutexGuard<'_, BTreeMap<u128, Hello>> {
        self.met.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn meet(&self, other: Hello, me: u128) {
        let mut met = self.met();
        if other.store != me && (met.len() < MET || met.contains_key(&other.store)) {
            if other.cluster == 0 {
                drop(met.insert(other.store, other))
            } else {
                drop(met.remove(&other.store))
            }
        }
    }

    pub(super) fn expected(&self) -> usize {
        self.how.expected()
    }

    /// The node has become a member.
    pub(super) fn settled(&self) {
        self.settled.notify_one();
    }

    /// It was not admitted: whether that is for another reason than before.
    pub(super) fn refused(&self, why: &str) -> bool {
        let mut last = self.why.lock().unwrap_or_else(|e| e.into_inner());
        let new = *last != why;
        why.clone_into(&mut last);
        new
    }

    /// Whether an operator says what it does.
    pub(super) fn waits(&self) -> bool {
        matches!(self.how.course(), Course::Wait)
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::{Digest, Secret};
    use super::*;

    #[test]
    fn what_a_node_without_a_cluster_does_follows_from_its_section() {
        let ca: Digest = [1; 32];
        let token = || Some(Admission::Token(Token { ca, secret: Secret::draw().unwrap() }));
        let founding = || Some(Admission::Founding("s".repeat(32)));
        let course = |authority, retry: &[&str], expect, admission| {
            let retry_join = retry.iter().map(|r| (*r).to_owned()).collect();
            let how = Membership { retry_join, expect, manager: true, authority, admission };
            match how.course() {
                Course::Alone => "alone",
                Course::Meet => "meet",
                Course::Enroll(_) => "enroll",
                Course::Wait => "wait",
            }
        };
        assert_eq!(course(false, &[], None, None), "alone");
        assert_eq!(course(false, &["a:1"], None, None), "meet");
        assert_eq!(course(false, &["a:1"], Some(3), None), "meet");
        assert_eq!(course(true, &[], None, None), "wait");
        assert_eq!(course(true, &[], Some(1), None), "alone");
        assert_eq!(course(true, &["a:1"], None, token()), "enroll");
        assert_eq!(course(true, &["a:1"], Some(3), founding()), "meet");
        assert_eq!(course(true, &["a:1"], None, None), "wait", "nobody is believed without a token");
        assert_eq!(course(true, &["a:1"], Some(3), None), "wait");
    }
}
