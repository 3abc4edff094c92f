//! The map of an agent: its own node and what is registered there. What is proposed is applied at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::clock;
use crate::region::map::{Command, Index, Map, Name, Proposal, Reply, WallMs};
use crate::region::{Cluster, Consistency, Freshness, Future, Leader, Publisher, RaftState, Status, View};

pub(super) struct Local {
    publisher: Mutex<(Index, Publisher)>,
    /// Of the cluster, as a member told last; `None` while no member answers.
    leader: Mutex<Option<Leader>>,
}

impl Local {
    pub(super) fn new(map: Map) -> (Arc<Local>, Arc<View>) {
        let index = map.index().max(1);
        let publisher = Publisher::new(map);
        let view = publisher.view();
        let local = Local { publisher: Mutex::new((index, publisher)), leader: Mutex::default() };
        (Arc::new(local), view)
    }

    pub(super) fn led_by(&self, leader: Option<Leader>) {
        *self.leader_held() = leader;
    }

    fn leader_held(&self) -> MutexGuard<'_, Option<Leader>> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, command: Command) -> Reply {
        let proposal = Proposal { at: clock::wall().as_millis() as WallMs, command };
        let mut held = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        let (index, publisher) = &mut *held;
        *index = publisher.map().index().max(*index) + 1;
        publisher.apply_all([(*index, proposal)]).pop().unwrap_or(Reply::Done { index: *index })
    }
}

impl Cluster for Local {
    fn fresh(&self, _: Consistency) -> Future<'_, Freshness> {
        let known_leader = self.leader().is_some();
        Box::pin(async move { Ok(Freshness { last_contact_ms: 0, known_leader }) })
    }

    fn propose(&self, command: Command) -> Future<'_, Reply> {
        Box::pin(async move { Ok(self.apply(command)) })
    }

    /// The cluster keeps the time of sessions: what is asked of them is passed on.
    fn renew(&self, session: Name) -> Future<'_, bool> {
        let held = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = held.1.map().session(&session).is_some();
        Box::pin(async move { Ok(stands) })
    }

    fn leader(&self) -> Option<Leader> {
        self.leader_held().clone()
    }

    fn status(&self) -> Status {
        let held = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        Status { last_log: held.0, applied: held.0, state: RaftState::Follower, ..Status::default() }
    }
}
