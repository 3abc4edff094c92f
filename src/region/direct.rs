//! A map without Raft: what is proposed is applied at once, in memory. For tests, and for a node without a cluster.

use std::sync::{Arc, Mutex, PoisonError};

use super::map::*;
use super::seat::*;
use crate::base::clock;

pub struct Direct {
    publisher: Mutex<(Index, Publisher)>,
    leader: Leader,
}

impl Direct {
    /// A seat at an empty map of its own.
    pub fn seat(node_name: &str, region: &str) -> Seat {
        Direct::seat_at(Map::default(), node_name, region)
    }

    /// A seat at this map.
    pub fn seat_at(map: Map, node_name: &str, region: &str) -> Seat {
        // 1 is what the API says of what never changed, so nothing may happen at 1; a log's first entry is no proposal.
        let index = map.index().max(1);
        let publisher = Publisher::new(map);
        let view = publisher.view();
        let leader = Leader { id: 1, name: node_name.into(), address: "127.0.0.1:8300".into() };
        let direct = Direct { publisher: Mutex::new((index, publisher)), leader };
        Seat::new(view, Arc::new(direct), node_name.into(), region.into())
    }

    fn apply(&self, command: Command) -> Reply {
        let proposal = Proposal { at: clock::wall().as_millis() as WallMs, command };
        let mut held = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        let (index, publisher) = &mut *held;
        *index += 1;
        let reply = publisher.apply_all([(*index, proposal)]).pop();
        reply.unwrap_or(Reply::Done { index: *index })
    }
}

impl Cluster for Direct {
    fn fresh(&self, _: Consistency) -> Future<'_, Freshness> {
        Box::pin(async { Ok(Freshness { last_contact_ms: 0, known_leader: true }) })
    }

    fn propose(&self, command: Command) -> Future<'_, Reply> {
        Box::pin(async move { Ok(self.apply(command)) })
    }

    /// Nobody keeps time here.
    fn renew(&self, session: Name) -> Future<'_, bool> {
        Box::pin(async move {
            let held = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(held.1.map().session(&session).is_some())
        })
    }

    fn leader(&self) -> Option<Leader> {
        Some(self.leader.clone())
    }

    fn status(&self) -> Status {
        let held = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        Status {
            term: 1,
            id: self.leader.id,
            voters: vec![self.leader.id],
            learners: Vec::new(),
            last_log: held.0,
            applied: held.0,
            state: RaftState::Leader,
        }
    }
}
