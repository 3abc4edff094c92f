//! What a leader heard of whom, and what follows from it. No I/O; the time is handed in.
//!
//! A leader that is new has heard nobody. Until a whole liveness period went by under it, those of whom the map says
//! that they live count as alive; and what they last said is as old as the last word of the leader before it, which said
//! so of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::super::raft::frame::{Alive, ClientHeartbeat};
use crate::base::clock::{Nanos, SEC};

/// Admissions that are remembered, for a node that asks again.
const ADMITTED: usize = 256;
/// Between two lines of the program's log about one refusal.
const TOLD: Nanos = 60 * SEC;
/// Client agents; more are refused.
pub const CLIENTS: usize = 65_536;

#[derive(Default)]
pub struct Heard {
    state: Mutex<State>,
    /// Somebody is heard of whom the map does not say so.
    pub(super) news: Notify,
}

#[derive(Default)]
struct State {
    /// Of the leader that heard it.
    term: u64,
    /// When that leader began to listen.
    since: Nanos,
    /// When the leader before it was last heard here.
    before: Nanos,
    /// When this node was last awake.
    awake: Nanos,
    members: BTreeMap<u64, (Nanos, Alive)>,
    /// Why a member cannot do its part, as it said last.
    ailing: BTreeMap<u64, String>,
    clients: BTreeMap<String, (Nanos, ClientHeartbeat)>,
    admitted: BTreeMap<u128, u64>,
    /// Refusals that were told, so that who asks again and again fills no log.
    refused: BTreeMap<String, Nanos>,
}

/// A node, as far as the life of its region goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// When it was last heard by this leader.
    pub(super) at: Option<Nanos>,
    /// What the map says of it.
    pub(super) alive: bool,
}

/// How long silence may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Of a node.
    pub(super) node: Duration,
    /// Of a region.
    pub(super) region: Duration,
}

fn nanos(time: Duration) -> Nanos {
    time.as_nanos() as Nanos
}

impl State {
    fn lives(&self, word: Word, period: Duration, now: Nanos) -> bool {
        // One that the map says is dead stays so until it is heard.
        let last = word.at.or(word.alive.then_some(self.since));
        last.is_some_and(|at| now.saturating_sub(at) < nanos(period))
    }
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new leader knows nothing of before: everyone gets a whole period. `contact`: when the last one was heard.
    pub(super) fn listen(&self, term: u64, contact: Nanos, now: Nanos) {
        let mut state = self.lock();
        if state.term != term {
            // It may have led before, too.
            let own = state.members.values().map(|(at, _)| *at).max().unwrap_or(0);
            let before = match contact.max(own) {
                0 => now,
                last => last.min(now),
            };
            *state = State { term, since: now, before, awake: state.awake, ..State::default() };
        }
    }

    /// This node is awake, which it says more often than every half of `period`. A longer time without that it was
    /// stopped itself, as a virtual machine is, and could hear nobody: that time is nobody's silence.
    pub(super) fn awake(&self, period: Duration, now: Nanos) {
        let mut state = self.lock();
        let slept = now.saturating_sub(std::mem::replace(&mut state.awake, now));
        if slept == now || slept < nanos(period) * 3 / 4 {
            return;
        }
        let later = |at: &mut Nanos| *at = at.saturating_add(slept).min(now);
        later(&mut state.since);
        later(&mut state.before);
        state.members.values_mut().for_each(|(at, _)| later(at));
        state.clients.values_mut().for_each(|(at, _)| later(at));
    }

    /// Somebody was refused for that reason: whether it is to be told, which it is once in a while.
    pub(super) fn refuses(&self, why: &str, now: Nanos) -> bool {
        let refused = &mut self.lock().refused;
        if refused.get(why).is_some_and(|told| now.saturating_sub(*told) < TOLD) {
            return false;
        }
        if refused.len() >= ADMITTED {
            refused.clear();
        }
        refused.insert(why.to_owned(), now);
        true
    }

    pub(super) fn admitted(&self, store: u128) -> Option<u64> {
        self.lock().admitted.get(&store).copied()
    }

    pub(super) fn admit(&self, store: u128, alive: Alive, now: Nanos) {
        let mut state = self.lock();
        let id = alive.id;
        state.members.insert(id, (now, alive));
        if state.admitted.len() >= ADMITTED {
            state.admitted.clear();
        }
        state.admitted.insert(store, id);
    }

    pub(super) fn member(&self, alive: Alive, now: Nanos) {
        let mut state = self.lock();
        state.ailing.remove(&alive.id);
        state.members.insert(alive.id, (now, alive));
    }

    /// A member lives, and cannot do its part.
    pub(super) fn ails(&self, alive: Alive, why: String, now: Nanos) {
        let mut state = self.lock();
        state.ailing.insert(alive.id, why);
        state.members.insert(alive.id, (now, alive));
    }

    /// Why a member cannot do its part.
    pub(super) fn why(&self, id: u64) -> Option<String> {
        self.lock().ailing.get(&id).cloned()
    }

    /// False when there are too many already.
    pub(super) fn client(&self, client: ClientHeartbeat, now: Nanos) -> bool {
        let clients = &mut self.lock().clients;
        let room = clients.len() < CLIENTS || clients.contains_key(&client.name);
        if room {
            clients.insert(client.name.clone(), (now, client));
        }
        room
    }

    pub(super) fn forget_client(&self, name: &str) {
        self.lock().clients.remove(name);
    }

    /// Whether a member was heard within the period, or may yet be, and does its part. `alive`: what the map says of it.
    pub(super) fn lives(&self, id: u64, alive: bool, period: Duration, now: Nanos) -> bool {
        let state = self.lock();
        if state.ailing.contains_key(&id) {
            return false;
        }
        let at = state.members.get(&id).map(|(at, _)| *at);
        state.lives(Word { at, alive }, period, now)
    }

    /// The same of a client agent.
    pub(super) fn client_lives(&self, name: &str, alive: bool, period: Duration, now: Nanos) -> bool {
        let state = self.lock();
        let at = state.clients.get(name).map(|(at, _)| *at);
        state.lives(Word { at, alive }, period, now)
    }

    pub(super) fn said(&self, id: u64) -> Option<(Nanos, Alive)> {
        self.lock().members.get(&id).cloned()
    }

    pub(super) fn client_said(&self, name: &str) -> Option<(Nanos, ClientHeartbeat)> {
        self.lock().clients.get(name).cloned()
    }

    pub(super) fn clients(&self) -> Vec<String> {
        self.lock().clients.keys().cloned().collect()
    }

    /// Whether a region with these nodes is heard from. `None`: it is too early to say, so it stays as it is.
    pub(super) fn region(&self, words: &[Word], patience: Patience, now: Nanos) -> Option<bool> {
        let state = self.lock();
        let silent = |at: Nanos| now.saturating_sub(at) >= nanos(patience.region);
        if words.iter().any(|word| word.at.is_some_and(|at| !silent(at))) {
            return Some(true);
        }
        // What a new leader did not hear yet was last said to the one before it.
        let last = |word: &Word| word.at.or(word.alive.then_some(state.before)).unwrap_or(0);
        let whole_period = now.saturating_sub(state.since) >= nanos(patience.node);
        (whole_period && words.iter().all(|word| silent(last(word)))).then_some(false)
    }

    /// The next moment at which somebody's time is up if nothing is heard until then.
    pub(super) fn next(&self, patience: Patience, now: Nanos) -> Option<Nanos> {
        let state = self.lock();
        let words =
            state.members.values().map(|(at, _)| *at).chain(state.clients.values().map(|(at, _)| *at));
        let ends = words.flat_map(|at| [at + nanos(patience.node), at + nanos(patience.region)]);
        let own = [state.since + nanos(patience.node), state.before + nanos(patience.region)];
        ends.chain(own).filter(|end| *end > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;
    const PATIENCE: Patience = Patience { node: Duration::from_secs(3), region: Duration::from_secs(5) };

    fn alive(id: u64) -> Alive {
        Alive {
            id,
            name: format!("n{id}"),
            address: String::new(),
            api: String::new(),
            region: "eu".into(),
            node_id: String::new(),
        }
    }

    fn lives(heard: &Heard, id: u64, in_map: bool, now: Nanos) -> bool {
        heard.lives(id, in_map, PATIENCE.node, now)
    }

    #[test]
    fn a_new_leader_gives_everyone_a_whole_period() {
        let heard = Heard::default();
        heard.listen(1, 0, S);
        heard.member(alive(2), 2 * S);
        assert!(
            lives(&heard, 2, true, 4 * S) && !lives(&heard, 2, true, 5 * S),
            "three seconds after its word"
        );
        // Another leads, long after: what was heard before counts for nothing, and so does silence.
        heard.listen(2, 99 * S, 100 * S);
        assert!(lives(&heard, 2, true, 103 * S - 1) && lives(&heard, 3, true, 103 * S - 1));
        assert!(!lives(&heard, 2, true, 103 * S) && !lives(&heard, 3, true, 103 * S));
        // The same leader again is not a new one.
        heard.listen(2, 103 * S, 103 * S);
        assert!(!lives(&heard, 2, true, 103 * S));
    }

    #[test]
    fn time_in_which_the_leader_itself_was_stopped_is_nobodys_silence() {
        let heard = Heard::default();
        heard.awake(PATIENCE.node, 100 * S);
        heard.listen(1, 0, 100 * S);
        heard.member(alive(2), 101 * S);
        heard.awake(PATIENCE.node, 101 * S);
        // Stopped for a minute: member 2 still has the two seconds that it had left of its three.
        heard.awake(PATIENCE.node, 161 * S);
        assert!(lives(&heard, 2, true, 163 * S) && lives(&heard, 3, true, 162 * S));
        assert_eq!(region(&heard, &[(heard.said(2).map(|(at, _)| at), true)], 164 * S), Some(true));
        (162..170).for_each(|at| heard.awake(PATIENCE.node, at * S));
        assert!(!lives(&heard, 2, true, 164 * S + S / 2), "awake, silence is silence");
        // Who was heard after all is heard now, not later.
        heard.member(alive(2), 199 * S);
        heard.awake(PATIENCE.node, 200 * S);
        assert!(!lives(&heard, 2, true, 203 * S));
    }

    #[test]
    fn who_is_dead_is_not_alive_because_another_leads() {
        let heard = Heard::default();
        heard.listen(2, 0, 100 * S);
        assert!(!lives(&heard, 2, false, 100 * S));
        heard.member(alive(2), 101 * S);
        assert!(lives(&heard, 2, false, 101 * S));
    }

    fn region(heard: &Heard, words: &[(Option<Nanos>, bool)], now: Nanos) -> Option<bool> {
        let words: Vec<Word> = words.iter().map(|&(at, alive)| Word { at, alive }).collect();
        heard.region(&words, PATIENCE, now)
    }

    #[test]
    fn a_region_is_lost_when_nobody_of_it_was_heard_for_its_time() {
        let heard = Heard::default();
        heard.listen(1, 0, S);
        let words = [(Some(20 * S), true), (Some(21 * S), true)];
        assert_eq!(region(&heard, &words, 26 * S - 1), Some(true));
        assert_eq!(region(&heard, &words, 26 * S), Some(false));
        assert_eq!(region(&heard, &[(Some(20 * S), false), (Some(26 * S), false)], 26 * S), Some(true));
    }

    #[test]
    fn a_region_that_fell_with_its_leader_is_lost_as_soon() {
        let heard = Heard::default();
        // The leader before was last heard at 10 s, the election took two seconds.
        heard.listen(2, 10 * S, 12 * S);
        let words = [(None, true), (None, true)];
        assert_eq!(region(&heard, &words, 15 * S - 1), None);
        assert_eq!(region(&heard, &words, 15 * S), Some(false), "five seconds after the last word");
        // One that was cut off for long leads at once when it is back: the others get their period.
        heard.listen(3, 10 * S, 70 * S);
        assert_eq!(region(&heard, &words, 73 * S - 1), None);
        assert_eq!(region(&heard, &[(Some(71 * S), true), (None, true)], 73 * S), Some(true));
        assert_eq!(region(&heard, &words, 73 * S), Some(false));
    }

    #[test]
    fn what_is_lost_stays_so_until_somebody_is_heard() {
        let heard = Heard::default();
        heard.listen(2, 9 * S, 10 * S);
        assert_eq!(region(&heard, &[(None, false)], 11 * S), None);
        assert_eq!(region(&heard, &[(None, false)], 13 * S), Some(false));
        assert_eq!(region(&heard, &[(Some(14 * S), false)], 14 * S), Some(true));
    }

    #[test]
    fn the_next_look_is_when_a_time_is_up() {
        let heard = Heard::default();
        heard.listen(1, 0, 10 * S);
        heard.member(alive(2), 11 * S);
        assert_eq!(heard.next(PATIENCE, 11 * S), Some(13 * S), "the leader's own first period");
        assert_eq!(heard.next(PATIENCE, 13 * S), Some(14 * S), "the member's");
        assert_eq!(heard.next(PATIENCE, 14 * S), Some(15 * S), "a region's, of whom nobody was heard");
        assert_eq!(heard.next(PATIENCE, 15 * S), Some(16 * S), "the member's region");
        assert_eq!(heard.next(PATIENCE, 16 * S), None);
    }
}
