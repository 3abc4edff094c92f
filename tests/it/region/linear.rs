//! Is a history of operations on one key possible for a single register? Wing and Gong's search, with a memory of the
//! states it has been in (Lowe, "Testing for linearizability", 2017).

use std::collections::HashSet;
use std::fmt;

/// What the register holds. Values are never written twice, so that a value stands for the index it was written at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub value: Option<u64>,
    /// The client whose session holds the lock.
    pub holder: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Read,
    Put(u64),
    /// If the register holds the first, the second.
    Cas(Option<u64>, u64),
    Delete,
    Acquire(u8, u64),
    Release(u8, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Saw(State),
    Held(bool),
    /// It was done, at any time since it was called, or never.
    Unknown,
}

/// An operation, from its call to its return, in nanoseconds of one clock.
#[derive(Clone, Debug)]
pub struct Event {
    pub client: u8,
    pub node: usize,
    pub called: u64,
    pub returned: u64,
    pub op: Op,
    pub outcome: Outcome,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |ns: u64| ns / 1000;
        let Event { client, node, called, returned, op, outcome } = self;
        write!(
            f,
            "{:>9} .. {:>9} us client {client} node {node}: {op:?} -> {outcome:?}",
            us(*called),
            us(*returned)
        )
    }
}

impl Op {
    /// What it makes of a state, and whether it took effect.
    fn apply(self, state: State) -> (State, bool) {
        let free_for = |client| state.holder.is_none_or(|holder| holder == client);
        match self {
            Op::Read => (state, true),
            Op::Put(value) => (State { value: Some(value), ..state }, true),
            Op::Cas(expected, value) if state.value == expected => {
                (State { value: Some(value), ..state }, true)
            }
            Op::Cas(..) => (state, false),
            Op::Delete => (State::default(), true),
            Op::Acquire(client, value) if free_for(client) => {
                (State { value: Some(value), holder: Some(client) }, true)
            }
            Op::Acquire(..) => (state, false),
            Op::Release(client, value) if state.holder == Some(client) => {
                (State { value: Some(value), holder: None }, true)
            }
            Op::Release(..) => (state, false),
        }
    }
}

/// The state after `event`, if it may happen in `state` with the outcome that was seen.
fn step(event: &Event, state: State) -> Option<State> {
    let (next, held) = event.op.apply(state);
    match event.outcome {
        Outcome::Saw(seen) => (seen == state).then_some(next),
        Outcome::Held(seen) => (seen == held).then_some(next),
        Outcome::Unknown => Some(next),
    }
}

/// The most events of a history.
pub const MOST: usize = 128;

/// Whether the events can be put in an order in which each takes effect between its call and its return.
pub fn is_linearizable(events: &[Event]) -> bool {
    assert!(events.len() <= MOST, "{} events", events.len());
    let known = |e: &Event| e.outcome != Outcome::Unknown;
    let wanted: u128 = bits(events, known);
    let mut seen = HashSet::new();
    let mut open = vec![(0_u128, State::default())];
    while let Some((done, state)) = open.pop() {
        if done & wanted == wanted {
            return true;
        }
        // Nothing can come before what had returned when it was called.
        let left = |n: usize| done & (1 << n) == 0;
        let first_return =
            events.iter().enumerate().filter(|(n, e)| left(*n) && known(e)).map(|(_, e)| e.returned).min();
        let first_return = first_return.unwrap_or(u64::MAX);
        for (n, event) in events.iter().enumerate() {
            if !left(n) || event.called > first_return {
                continue;
            }
            let Some(next) = step(event, state) else { continue };
            let next = (done | 1 << n, next);
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

fn bits(events: &[Event], of: impl Fn(&Event) -> bool) -> u128 {
    events.iter().enumerate().filter(|(_, e)| of(e)).fold(0, |bits, (n, _)| bits | 1 << n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(called: u64, returned: u64, op: Op, outcome: Outcome) -> Event {
        Event { client: 1, node: 0, called, returned, op, outcome }
    }

    fn saw(value: u64) -> Outcome {
        Outcome::Saw(State { value: Some(value), holder: None })
    }

    const NOTHING: Outcome = Outcome::Saw(State { value: None, holder: None });
    const DONE: Outcome = Outcome::Held(true);

    #[test]
    fn a_read_after_a_write_sees_it() {
        let write = event(0, 10, Op::Put(1), DONE);
        assert!(is_linearizable(&[write.clone(), event(20, 30, Op::Read, saw(1))]));
        assert!(!is_linearizable(&[write.clone(), event(20, 30, Op::Read, NOTHING)]));
        // While it is on its way, either is right, but nobody goes back.
        assert!(is_linearizable(&[write.clone(), event(5, 7, Op::Read, NOTHING)]));
        let (new, old) = (event(2, 4, Op::Read, saw(1)), event(5, 7, Op::Read, NOTHING));
        assert!(!is_linearizable(&[write, new, old]));
    }

    #[test]
    fn what_failed_may_happen_late_and_once() {
        let lost = event(0, 5, Op::Put(1), Outcome::Unknown);
        let second = event(10, 20, Op::Put(2), DONE);
        let late =
            [lost.clone(), second.clone(), event(30, 40, Op::Read, saw(2)), event(50, 60, Op::Read, saw(1))];
        assert!(is_linearizable(&late));
        let twice = [&late[..], &[event(70, 80, Op::Put(3), DONE), event(90, 99, Op::Read, saw(1))]].concat();
        assert!(!is_linearizable(&twice));
        assert!(is_linearizable(&[lost, second, event(30, 40, Op::Read, saw(2))]));
    }

    #[test]
    fn one_wins() {
        let first = event(0, 10, Op::Cas(None, 1), DONE);
        let second = |won| event(0, 10, Op::Cas(None, 2), Outcome::Held(won));
        assert!(is_linearizable(&[first.clone(), second(false)]));
        assert!(!is_linearizable(&[first, second(true)]));
        let lock = |client, won| event(0, 10, Op::Acquire(client, client.into()), Outcome::Held(won));
        assert!(is_linearizable(&[lock(1, true), lock(2, false)]));
        assert!(!is_linearizable(&[lock(1, true), lock(2, true)]));
        let release = event(2, 8, Op::Release(1, 9), DONE);
        assert!(is_linearizable(&[lock(1, true), release, lock(2, true)]));
    }
}
