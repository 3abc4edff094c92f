//! Sessions that end by themselves. The leader watches over their time to live; renewals travel outside the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::map::{Command, Map, Name, Topic};
use super::seat::{RaftState, Seat};
use crate::base::{Millis, clock};

/// A session ends no earlier than its time to live after it was last renewed, and at the latest at twice that, as
/// Consul promises (Consul's documentation of sessions, "TTL"): the slack is for what a renewal takes to come here.
const SLACK: u64 = 2;

/// Longest time between two looks.
const TURN: Duration = Duration::from_secs(1);

/// Until when each session stands; only the leader's counts. No I/O.
#[derive(Debug, Default)]
pub struct Expiry {
    until: HashMap<Name, Millis>,
}

impl Expiry {
    /// Takes the sessions that stand. One that was not known yet, also after a change of leaders, has all its time.
    pub fn see(&mut self, map: &Map, now: Millis) {
        self.until.retain(|id, _| map.session(id).is_some_and(|s| s.ttl_ms > 0));
        for session in map.sessions().filter(|s| s.ttl_ms > 0) {
            self.until.entry(session.id.clone()).or_insert(now + session.ttl_ms * SLACK);
        }
    }

    pub fn renew(&mut self, id: &str, ttl_ms: u64, now: Millis) {
        if ttl_ms > 0 {
            self.until.insert(id.into(), now + ttl_ms * SLACK);
        }
    }

    pub fn due(&self, now: Millis) -> Vec<Name> {
        self.until.iter().filter(|(_, until)| **until <= now).map(|(id, _)| id.clone()).collect()
    }

    pub fn forget(&mut self) {
        self.until.clear();
    }
}

/// The watch of one node over the sessions.
#[derive(Clone, Debug, Default)]
pub struct Keeper {
    expiry: Arc<Mutex<Expiry>>,
}

impl Keeper {
    /// A session was renewed; to be told to the leader.
    pub fn renewed(&self, map: &Map, id: &str) {
        if let Some(session) = map.session(id) {
            self.with(|expiry| expiry.renew(id, session.ttl_ms, clock::now_ms()));
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Expiry) -> T) -> T {
        act(&mut self.expiry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends what is due, while this node leads. Runs until dropped.
    pub async fn run(self, seat: Seat) {
        let mut leads = false;
        loop {
            let now = clock::now_ms();
            if seat.status().state != RaftState::Leader {
                leads = false;
            } else {
                if !leads {
                    self.with(Expiry::forget);
                    leads = true;
                }
                let map = seat.map();
                let due = self.with(|expiry| {
                    expiry.see(&map, now);
                    expiry.due(now)
                });
                for id in due {
                    // One that could not be ended is due again at the next turn.
                    let _ = seat.propose(Command::SessionDestroy { id }).await;
                }
            }
            let after = seat.map().index_of(&Topic::Sessions);
            let _ = seat.changed(&[Topic::Sessions], after, tokio::time::sleep(TURN).deadline()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::map::{Node, Proposal, Registration, Session};

    fn map_with(ttl_ms: u64) -> Map {
        let mut map = Map::default();
        let node = Node { name: "n".into(), address: "10.0.0.1".into(), ..Node::default() };
        let register = Command::Register(Box::new(Registration { node, ..Registration::default() }));
        let session = Session { id: "s".into(), node: "n".into(), ttl_ms, ..Session::default() };
        for (index, command) in [register, Command::SessionCreate(session)].into_iter().enumerate() {
            map.apply(index as u64 + 1, Proposal { at: 0, command }, &mut Vec::new());
        }
        map
    }

    #[test]
    fn a_session_that_nobody_renews_is_due_after_twice_its_time() {
        let (map, mut expiry) = (map_with(10_000), Expiry::default());
        expiry.see(&map, 1_000);
        assert!(expiry.due(20_999).is_empty());
        assert_eq!(expiry.due(21_000), [Name::from("s")]);
    }

    #[test]
    fn a_renewal_starts_its_time_again_and_a_new_leader_gives_all_of_it() {
        let (map, mut expiry) = (map_with(10_000), Expiry::default());
        expiry.see(&map, 0);
        expiry.renew("s", 10_000, 15_000);
        expiry.see(&map, 16_000);
        assert!(expiry.due(34_999).is_empty() && expiry.due(35_000).len() == 1);
        expiry.forget();
        expiry.see(&map, 34_000);
        assert!(expiry.due(53_999).is_empty());
    }

    #[test]
    fn without_a_time_to_live_it_stays_and_what_is_gone_is_forgotten() {
        let mut expiry = Expiry::default();
        expiry.see(&map_with(0), 0);
        assert!(expiry.due(Millis::MAX).is_empty());
        expiry.see(&map_with(10_000), 0);
        expiry.see(&Map::default(), 1);
        assert!(expiry.due(Millis::MAX).is_empty());
    }
}
