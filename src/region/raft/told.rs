//! Whom the leader told when sessions end, and what a quorum knows of it. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// Whom the leader told what.
pub struct Told {
    state: Mutex<State>,
    news: Notify,
    /// Term, and the change that a quorum knows.
    known: watch::Sender<(u64, u64)>,
}

#[derive(Default)]
struct State {
    term: u64,
    /// The last change that each other member knows.
    at: BTreeMap<u64, u64>,
    /// These know nothing of all this: programs from before it.
    unaware: BTreeSet<u64>,
    /// These are being told something.
    busy: BTreeSet<u64>,
}

impl Default for Told {
    fn default() -> Told {
        Told { state: Mutex::default(), news: Notify::new(), known: watch::Sender::new((0, 0)) }
    }
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once a quorum knows that change of the leader's of that term.
    /// False when another leads, or when it takes longer than this.
    pub async fn known(&self, term: u64, seq: u64, within: Duration) -> bool {
        self.news.notify_one();
        let mut known = self.known.subscribe();
        let reached = known.wait_for(|known| known.0 > term || (known.0 == term && known.1 >= seq));
        match tokio::time::timeout(within, reached).await {
            Ok(Ok(known)) => known.0 == term,
            _ => false,
        }
    }

    /// There is something to tell.
    pub fn news(&self) {
        self.news.notify_one();
    }

    /// Returns when there is something to tell.
    pub async fn work(&self) {
        self.news.notified().await;
    }

    /// What a member is to be told next, if nobody is telling it something: all that came after this.
    pub fn begin(&self, term: u64, member: u64) -> Option<u64> {
        let mut state = self.lock();
        if state.term != term {
            let busy = std::mem::take(&mut state.busy);
            *state = State { term, busy, ..State::default() };
        }
        state.busy.insert(member).then(|| state.at.get(&member).copied().unwrap_or(0))
    }

    /// It was told: whether there is more to tell it at once.
    pub fn end(&self, term: u64, member: u64, seq: u64, answer: Option<Answered>) -> bool {
        let mut state = self.lock();
        state.busy.remove(&member);
        if state.term != term {
            return false;
        }
        match answer {
            Some(Answered::Knows) => {
                state.unaware.remove(&member);
                state.at.insert(member, seq);
            }
            Some(Answered::Behind) => {
                state.at.remove(&member);
            }
            Some(Answered::Unaware) => {
                state.unaware.insert(member);
            }
            None => {}
        }
        matches!(answer, Some(Answered::Knows | Answered::Behind))
    }

    /// Finds what a quorum knows.
    pub fn count(&self, term: u64, me: u64, seq: u64, voters: &[BTreeSet<u64>]) {
        let known = {
            let state = self.lock();
            if state.term != term {
                return;
            }
            quorum_knows(&state, me, seq, voters)
        };
        self.known.send_if_modified(|at| {
            let moved = *at < (term, known);
            *at = if moved { (term, known) } else { *at };
            moved
        });
    }

    /// Whether these may be the voters: a quorum of them knows then what one knows now, and so does who is new among them.
    pub fn outlives(&self, term: u64, me: u64, seq: u64, voters: &BTreeSet<u64>, new: Option<u64>) -> bool {
        let state = self.lock();
        let known = *self.known.borrow();
        if state.term != term || known.0 != term {
            return false;
        }
        let knows =
            |id: u64| state.unaware.contains(&id) || state.at.get(&id).is_some_and(|at| *at >= known.1);
        quorum_knows(&state, me, seq, std::slice::from_ref(voters)) >= known.1 && new.is_none_or(knows)
    }
}

/// The change that a quorum knows, of those that this node, `me`, made up to `seq`.
fn quorum_knows(state: &State, me: u64, seq: u64, voters: &[BTreeSet<u64>]) -> u64 {
    let of = |voters: &BTreeSet<u64>| {
        let unaware = voters.iter().filter(|id| state.unaware.contains(id)).count();
        if voters.len() - unaware <= voters.len() / 2 {
            // No quorum has a table, so that nobody will go by one.
            return seq;
        }
        let at = |id: &u64| if *id == me { seq } else { state.at.get(id).copied().unwrap_or(0) };
        let mut all: Vec<u64> = voters.iter().map(at).collect();
        all.sort_unstable_by_key(|at| std::cmp::Reverse(*at));
        all.get(voters.len() / 2).copied().unwrap_or(0)
    };
    voters.iter().map(of).min().unwrap_or(0)
}

/// What a member that was told something said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    Knows,
    Behind,
    Unaware,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(configs: &[&[u64]]) -> Vec<BTreeSet<u64>> {
        configs.iter().map(|ids| ids.iter().copied().collect()).collect()
    }

    fn known(told: &Told) -> (u64, u64) {
        *told.known.borrow()
    }

    #[test]
    fn a_change_counts_once_a_quorum_of_each_configuration_knows_it() {
        let told = Told::default();
        let three = voters(&[&[1, 2, 3]]);
        assert_eq!((told.begin(7, 2), told.begin(7, 3), told.begin(7, 2)), (Some(0), Some(0), None));
        told.count(7, 1, 9, &three);
        assert_eq!(known(&told), (7, 0));
        assert!(told.end(7, 2, 5, Some(Answered::Knows)));
        told.count(7, 1, 9, &three);
        assert_eq!((known(&told), told.begin(7, 2)), ((7, 5), Some(5)));
        told.end(7, 2, 9, Some(Answered::Knows));
        told.count(7, 1, 9, &voters(&[&[1, 2, 3], &[1, 3, 4]]));
        assert_eq!(known(&told), (7, 5), "nobody of the new one but this node");
        told.count(7, 1, 9, &three);
        assert_eq!(known(&told), (7, 9));
        // One that was started anew is told all.
        told.begin(7, 2);
        told.end(7, 2, 9, Some(Answered::Behind));
        assert_eq!(told.begin(7, 2), Some(0));
        // As is everybody by another leader.
        assert!(!told.end(8, 3, 9, Some(Answered::Knows)), "of another term");
        assert_eq!(told.begin(8, 3), Some(0));
    }

    #[test]
    fn voters_change_when_what_is_known_stays_known() {
        let told = Told::default();
        let three = voters(&[&[1, 2, 3]]);
        let may = |ids: &[u64], new| told.outlives(7, 1, 9, &ids.iter().copied().collect(), new);
        assert!(!may(&[1, 2, 3, 4], Some(4)), "nothing was counted yet");
        told.begin(7, 2);
        told.end(7, 2, 9, Some(Answered::Knows));
        told.count(7, 1, 9, &three);
        assert_eq!(known(&told), (7, 9));
        assert!(may(&[1, 2], None) && may(&[1, 2, 3], None));
        assert!(!may(&[1, 3], None), "of two both are to know");
        assert!(!may(&[1, 2, 4], Some(4)) && !may(&[2, 3], None));
        for (seq, answer, may_vote) in
            [(8, Answered::Knows, false), (9, Answered::Knows, true), (9, Answered::Behind, false)]
        {
            told.begin(7, 4);
            told.end(7, 4, seq, Some(answer));
            assert_eq!(may(&[1, 2, 4], Some(4)), may_vote, "{seq} {answer:?}");
        }
        told.begin(7, 4);
        told.end(7, 4, 0, Some(Answered::Unaware));
        assert!(may(&[1, 2, 4], Some(4)), "it will go by no table");
        assert!(!told.outlives(8, 1, 9, &[1].into(), None), "another term");
    }

    #[test]
    fn programs_that_know_nothing_of_it_hold_nothing_up_once_they_are_many() {
        let told = Told::default();
        let three = voters(&[&[1, 2, 3]]);
        for (id, known_by_then) in [(2, (1, 0)), (3, (1, 4))] {
            told.begin(1, id);
            told.end(1, id, 4, Some(Answered::Unaware));
            told.count(1, 1, 4, &three);
            assert_eq!(known(&told), known_by_then);
        }
    }
}
