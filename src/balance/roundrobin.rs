//! `balance roundrobin`: smooth weighted round robin whose weights may change while servers run.
//!
//! Time is cut into windows as long as the sum of the weights. Each server has a position, the place in the window of
//! its next turn, and moves on by `total / weight` at each turn, remainders added up. Servers whose next turn lies
//! beyond the window wait for the next one, where heavier ones start first. The sequence is HAProxy's, whatever the
//! weights (compared with version 2.6, see `tests.rs`).

use std::sync::Mutex;

use crate::base::Millis;
use crate::model::{Balancer, Pick, Server};

use super::order::Order;
use super::spec::Spec;
use super::usable::{self, Serving, WEIGHT_MAX, WEIGHT_SCALE};

/// Where a server waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Place {
    /// Nowhere: not usable.
    #[default]
    Out,
    /// In [`Group::current`].
    Current,
    /// In one of [`Group::waiting`].
    Waiting(u8),
}

#[derive(Clone, Debug, Default)]
struct Turn {
    place: Place,
    backup: bool,
    weight: u64,
    /// Position of the last turn, and of the next; 0 for a server that had none yet.
    last: u64,
    next: u64,
    /// Remainder carried from turn to turn.
    rest: u64,
}

/// The active or the backup servers.
#[derive(Debug)]
struct Group {
    /// Servers with a turn left in this window, by position.
    current: Order,
    /// Servers that wait for their first turn of this window and of the next one, heaviest first.
    waiting: [Order; 2],
    /// Which of `waiting` is this window's.
    init: u8,
    /// Length of this window and the position reached in it (a window starts at its own length).
    window: u64,
    position: u64,
    /// Length of the next window: the sum of the weights as they are now.
    total: u64,
}

impl Group {
    fn new(n: usize) -> Group {
        Group {
            current: Order::new(n),
            waiting: [Order::new(n), Order::new(n)],
            init: 0,
            window: 0,
            position: 0,
            total: 0,
        }
    }

    fn wait(&mut self, which: u8, turn: &mut Turn, i: usize) {
        turn.place = Place::Waiting(which);
        self.waiting[which as usize].insert(i, u64::from(WEIGHT_MAX) - turn.weight);
    }

    fn take_out(&mut self, turn: &mut Turn, i: usize) {
        match turn.place {
            Place::Out => {}
            Place::Current => self.current.remove(i),
            Place::Waiting(w) => self.waiting[w as usize].remove(i),
        }
        turn.place = Place::Out;
    }

    /// Puts a server that was taken out where its next turn belongs.
    fn put(&mut self, turn: &mut Turn, i: usize) {
        if turn.next >= 2 * self.window || turn.next >= self.window + self.total {
            turn.next = turn.next.saturating_sub(self.window);
            self.wait(1 - self.init, turn, i);
        } else {
            // Same position: the one with less remainder to spend and more weight goes first.
            let fine = (u64::from(WEIGHT_MAX) + turn.rest - turn.weight) / u64::from(WEIGHT_SCALE);
            turn.place = Place::Current;
            self.current.insert(i, 256 * turn.next + fine);
        }
    }

    /// The server whose turn it is in this window.
    fn head(&self, turns: &mut [Turn]) -> Option<usize> {
        let first = self.current.first();
        if let Some(i) = first
            && turns[i].next <= self.position
        {
            return first;
        }
        // Nobody is due: a server that waits for its first turn may start.
        if let Some(i) = self.waiting[self.init as usize].first() {
            turns[i].next = 0;
            turns[i].rest = 0;
            return Some(i);
        }
        first
    }

    fn next_window(&mut self) {
        self.init = 1 - self.init;
        self.window = self.total;
        self.position = self.window;
    }

    /// Takes out `i`, whose turn it is, and works out its next one.
    fn advance(&mut self, turn: &mut Turn, i: usize) {
        if turn.next == 0 {
            turn.next = self.position;
        }
        turn.last = turn.next;
        turn.next += self.total / turn.weight;
        turn.rest += self.total % turn.weight;
        if turn.rest >= turn.weight {
            turn.rest -= turn.weight;
            turn.next += 1;
        }
        self.take_out(turn, i);
        self.position += 1;
    }

    /// Where a server of weight `turn.weight` that has just become usable comes in.
    fn enter(&mut self, turn: &mut Turn, i: usize) {
        let ahead = (self.total + self.window).saturating_sub(self.position);
        turn.next = self.position + ahead / turn.weight;
        self.put(turn, i);
    }

    /// A running server's weight was changed; `total` is already the new one.
    fn reweigh(&mut self, turn: &mut Turn, i: usize) {
        if turn.place == Place::Waiting(self.init) {
            self.wait(self.init, turn, i);
            return;
        }
        let planned =
            if matches!(turn.place, Place::Waiting(_)) { turn.next + self.window } else { turn.next };
        let step = self.total / turn.weight;
        turn.rest = 0;
        turn.next = (turn.last + step).min(planned);
        if turn.next < self.position + 2 {
            turn.next = self.position + step;
        }
        self.take_out(turn, i);
        self.put(turn, i);
    }
}

#[derive(Debug)]
struct State {
    serving: Serving,
    turns: Vec<Turn>,
    /// Active, backup.
    groups: [Group; 2],
    /// Scratch: servers passed over during one pick.
    passed: Vec<u32>,
}

impl State {
    fn refresh(&mut self, list: &[Server], all_backups: bool, now: Millis) {
        for (i, server) in list.iter().enumerate() {
            let weight = u64::from(usable::effective_weight(server, now));
            let turn = &mut self.turns[i];
            let group = &mut self.groups[usize::from(turn.backup)];
            let old = std::mem::replace(&mut turn.weight, weight);
            group.total = group.total + weight - old;
            match (old, weight) {
                (a, b) if a == b => {}
                (0, _) => group.enter(turn, i),
                (_, 0) => group.take_out(turn, i),
                _ => group.reweigh(turn, i),
            }
        }
        self.serving = Serving::now(list, all_backups);
    }

    fn pick(&mut self, list: &[Server], pick: &Pick, fullconn: u32) -> Option<usize> {
        let State { serving, turns, groups, passed } = self;
        let group = match serving {
            Serving::Nobody => return None,
            Serving::OneBackup(i) => return Some(*i),
            Serving::Active => &mut groups[0],
            Serving::Backups => &mut groups[1],
        };
        if group.window == 0 {
            group.window = group.total;
            group.position = group.window;
        }
        passed.clear();
        let mut switched = false;
        let mut avoided = None;
        let chosen = loop {
            let Some(i) = group.head(turns) else {
                if switched {
                    break avoided;
                }
                switched = true;
                group.next_window();
                continue;
            };
            group.advance(&mut turns[i], i);
            if usable::has_room(&list[i], pick, fullconn) {
                if Some(i) != pick.avoid || avoided.is_some() {
                    break Some(i);
                }
                avoided = Some(i);
            }
            passed.push(i as u32);
        };
        if let Some(i) = chosen {
            group.put(&mut turns[i], i);
        }
        // Those passed over keep their place as if they had been served; past the end of a window the place is
        // lost and only the weight counts.
        while let Some(i) = passed.pop() {
            let i = i as usize;
            if Some(i) == chosen {
                continue;
            }
            if switched {
                group.wait(group.init, &mut turns[i], i);
            } else {
                group.put(&mut turns[i], i);
            }
        }
        chosen
    }
}

#[derive(Debug)]
pub struct RoundRobin {
    all_backups: bool,
    fullconn: u32,
    state: Mutex<State>,
}

impl RoundRobin {
    pub fn new(spec: &Spec, list: &[Server], now: Millis) -> RoundRobin {
        let mut groups = [Group::new(list.len()), Group::new(list.len())];
        let mut turns = vec![Turn::default(); list.len()];
        for (i, server) in list.iter().enumerate() {
            let turn = &mut turns[i];
            turn.backup = server.spec.backup;
            turn.weight = u64::from(usable::effective_weight(server, now));
            if turn.weight > 0 {
                let group = &mut groups[usize::from(turn.backup)];
                group.total += turn.weight;
                group.wait(0, turn, i);
            }
        }
        for group in &mut groups {
            group.next_window();
            group.init = 0;
        }
        let serving = Serving::now(list, spec.all_backups);
        let passed = Vec::with_capacity(list.len());
        RoundRobin {
            all_backups: spec.all_backups,
            fullconn: spec.fullconn,
            state: Mutex::new(State { serving, turns, groups, passed }),
        }
    }
}

impl Balancer for RoundRobin {
    fn refresh(&self, list: &[Server], now: Millis) {
        super::lock(&self.state).refresh(list, self.all_backups, now);
    }

    fn pick(&self, list: &[Server], pick: &Pick) -> Option<usize> {
        super::lock(&self.state).pick(list, pick, self.fullconn)
    }
}
