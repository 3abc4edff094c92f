//! A lease among five nodes whose leader changes, that die, freeze and are cut off, each with a clock of its own: a
//! thousand runs by seed, on a clock that is made up.
//!
//! What Raft promises is taken for granted here: a log that only who leads extends, and that each node sees a while
//! later. What is tested is who keeps which time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::clock::{MS, Nanos};
use crate::region::map::*;

const NODES: u64 = 5;
/// It is never in trouble, so that somebody waits for the lease.
const CALM: u64 = 5;
const NAME: &str = "job";
/// How often a leader looks, as it does in earnest.
const TURN: Nanos = 50 * MS;
/// What may be added to the length of a lease until another has it.
const SLACK: Nanos = 500 * MS;

/// Numbers that look random (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

enum Event {
    /// A proposal of a node is at the leader of that term; if it has none, it looks for one until then.
    Arrive {
        from: u64,
        ask: u64,
        command: Command,
        to: Option<(u64, u64)>,
        until: Nanos,
    },
    /// Held by a quorum, unless somebody else leads meanwhile.
    Commit {
        from: u64,
        ask: u64,
        command: Command,
        by: (u64, u64),
    },
    Answer {
        to: u64,
        ask: u64,
        reply: Option<Reply>,
    },
    /// A node sees the log up to there.
    See {
        node: u64,
        upto: usize,
    },
    /// A leader looks at the leases.
    Look {
        by: (u64, u64),
    },
    Elect,
    Fault,
    Thaw(u64),
    Wake(u64),
}

struct Node {
    holder: Holder,
    /// What it asked last, and what was asked before it started.
    ask: u64,
    first_ask: u64,
    wakes_at: Nanos,
    /// How much of the log it sees.
    sees: usize,
    changed: Index,
    deadlines: Deadlines,
    /// Its clock: where it stands at 0, and how many of a thousand parts it runs faster.
    offset: Nanos,
    rate: u64,
    frozen: bool,
    cut: bool,
    /// What reached it while it was frozen.
    missed: Vec<Event>,
}

/// The death of a holder that nobody has followed yet.
struct Death {
    at: Nanos,
    /// A new leader gave the lease its length once more.
    counts_from: Nanos,
}

struct World {
    seed: u64,
    now: Nanos,
    dice: Dice,
    length: Nanos,
    /// The map after each entry of the log.
    log: Vec<Arc<Map>>,
    nodes: BTreeMap<u64, Node>,
    /// Who leads, in which term; a term that is over may still be believed in by who led it.
    leader: Option<(u64, u64)>,
    term: u64,
    election: bool,
    events: BTreeMap<(Nanos, u64), Event>,
    next: u64,
    death: Option<Death>,
    asks: u64,
    handovers: u64,
    /// Of holders that died.
    followed: u64,
}

fn local(node: &Node, now: Nanos) -> Nanos {
    node.offset + now / 1000 * node.rate
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice(seed);
        let length = (1000 + dice.below(3000)) * MS;
        let mut world = World {
            seed,
            now: 1000 * MS,
            dice,
            length,
            log: vec![Arc::new(Map::default())],
            nodes: BTreeMap::new(),
            leader: None,
            term: 0,
            election: false,
            events: BTreeMap::new(),
            next: 0,
            death: None,
            asks: 0,
            handovers: 0,
            followed: 0,
        };
        (1..=NODES).for_each(|id| world.start(id));
        world.at(1, Event::Elect);
        world.election = true;
        world.at(1000 * MS, Event::Fault);
        world
    }

    fn start(&mut self, id: u64) {
        let (offset, rate) = (self.dice.below(1 << 50), 990 + self.dice.below(21));
        let claim = self.dice.below(u64::MAX);
        let now = offset + self.now / 1000 * rate;
        let holder = Holder::new(NAME.into(), id, claim, Duration::from_nanos(self.length), now);
        let node = Node {
            holder,
            ask: self.asks,
            first_ask: self.asks,
            wakes_at: 0,
            sees: 0,
            changed: 0,
            deadlines: Deadlines::default(),
            offset,
            rate,
            frozen: false,
            cut: false,
            missed: Vec::new(),
        };
        self.nodes.insert(id, node);
        self.wake_at(id, MS);
        let upto = self.log.len() - 1;
        self.at(MS, Event::See { node: id, upto });
    }

    fn at(&mut self, after: Nanos, event: Event) {
        self.next += 1;
        self.events.insert((self.now + after, self.next), event);
    }

    fn delay(&mut self) -> Nanos {
        (1 + self.dice.below(40)) * MS
    }

    fn connected(&self, a: u64, b: u64) -> bool {
        let there = |id| self.nodes.get(&id).is_some_and(|node| a == b || !node.cut);
        there(a) && there(b)
    }

    /// Nobody acts by the lease but who holds it.
    fn check(&self) {
        let holders: Vec<u64> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.holder.held(local(node, self.now)).is_some())
            .map(|(id, _)| *id)
            .collect();
        assert!(holders.len() <= 1, "seed {}: {holders:?} hold the lease at {} ms", self.seed, self.now / MS);
    }

    /// Lets a node do what is due, and comes back when it has something to do.
    fn wake(&mut self, id: u64) {
        let (now, length) = (self.now, self.length);
        let claim = self.dice.below(u64::MAX);
        let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.frozen) else { return };
        let at = local(node, now);
        if node.holder.is_lost(at) {
            node.holder = Holder::new(NAME.into(), id, claim, Duration::from_nanos(length), at);
        }
        let asked = node.holder.due(at);
        let next = node.holder.next();
        let patience = node.holder.patience().as_nanos() as Nanos;
        if let Some(command) = asked {
            self.asks += 1;
            let ask = self.asks;
            node.ask = ask;
            self.at(patience, Event::Answer { to: id, ask, reply: None });
            let delay = self.delay();
            let until = self.now + 1750 * MS;
            self.at(delay, Event::Arrive { from: id, ask, command, to: self.leader, until });
        }
        if let Some(next) = next {
            let pause = next.saturating_sub(at) / 990 * 1000 + MS;
            self.wake_at(id, pause);
        }
    }

    /// Unless it wakes before.
    fn wake_at(&mut self, id: u64, after: Nanos) {
        let (now, at) = (self.now, self.now + after);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.wakes_at <= now || node.wakes_at > at {
            node.wakes_at = at;
            self.at(after, Event::Wake(id));
        }
    }

    fn arrive(&mut self, from: u64, ask: u64, command: Command, to: Option<(u64, u64)>, until: Nanos) {
        let leads = to.filter(|to| self.leader == Some(*to) && self.connected(from, to.0));
        match leads {
            Some((id, _)) if self.nodes[&id].frozen => {
                let event = Event::Arrive { from, ask, command, to, until };
                self.nodes.get_mut(&id).expect("a node").missed.push(event);
            }
            Some(by) => {
                let delay = self.delay();
                self.at(delay, Event::Commit { from, ask, command, by });
            }
            // It looks for a leader for a while.
            None if self.now < until && self.nodes.get(&from).is_some_and(|node| ask > node.first_ask) => {
                let to = self.leader;
                self.at(20 * MS, Event::Arrive { from, ask, command, to, until });
            }
            None => {}
        }
    }

    fn commit(&mut self, from: u64, ask: u64, command: Command, by: (u64, u64)) {
        // Who leads next may have the entry, too.
        let survives = self.leader == Some(by) || self.dice.below(2) == 0;
        if !survives {
            return;
        }
        let before = self.log.last().expect("a map").clone();
        let mut map = (*before).clone();
        let proposal = Proposal { at: 0, command };
        let reply = map.apply(map.index() + 1, proposal, &mut Vec::new());
        self.granted(before.lease(NAME), map.lease(NAME));
        self.log.push(Arc::new(map));
        let upto = self.log.len() - 1;
        for id in 1..=NODES {
            let delay = self.delay();
            self.at(if id == by.0 { 0 } else { delay }, Event::See { node: id, upto });
        }
        if ask != 0 && self.connected(by.0, from) {
            let delay = self.delay();
            self.at(delay, Event::Answer { to: from, ask, reply: Some(reply) });
        }
    }

    /// Another one has it: nobody else may think that it has, and it was not to take too long.
    fn granted(&mut self, before: Option<&Arc<Lease>>, now: Option<&Arc<Lease>>) {
        let (None, Some(lease)) = (before, now) else { return };
        self.handovers += 1;
        for (id, node) in &self.nodes {
            let held = node.holder.held(local(node, self.now));
            let seed = self.seed;
            assert!(
                held.is_none(),
                "seed {seed}: {} is granted what {id} holds at {} ms",
                lease.holder,
                self.now / MS
            );
        }
        if let Some(death) = self.death.take() {
            self.followed += 1;
            let took = self.now - death.counts_from;
            // Clocks differ by a hundredth.
            let most = self.length / 99 * 100 + SLACK;
            assert!(
                took <= most,
                "seed {}: {} ms after the holder's death, {} ms after what counts, of {} ms",
                self.seed,
                (self.now - death.at) / MS,
                took / MS,
                self.length / MS
            );
        }
    }

    fn see(&mut self, id: u64, upto: usize) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.cut {
            return;
        }
        node.sees = node.sees.max(upto);
        let index = self.log[node.sees].index_of(&Topic::Leases);
        if index != node.changed {
            node.changed = index;
            if self.log[node.sees].lease(NAME).is_none() {
                let at = local(node, now);
                node.holder.leases_changed(at);
            }
            self.wake(id);
        }
    }

    /// Also by one who only believes that it leads.
    fn look(&mut self, by: (u64, u64)) {
        let Some(node) = self.nodes.get_mut(&by.0) else { return };
        let map = self.log[node.sees].clone();
        let at = local(node, self.now);
        let over = node.deadlines.look(by.1, &map, at);
        for command in over {
            let delay = self.delay();
            if self.leader == Some(by) && !self.nodes[&by.0].cut {
                self.at(delay, Event::Commit { from: by.0, ask: 0, command, by });
            }
        }
        // One that was deposed learns it once it hears of it.
        let deposed = self.leader.is_some_and(|leader| leader != by) && !self.nodes[&by.0].cut;
        if !deposed {
            self.at(TURN, Event::Look { by });
        }
    }

    fn elect(&mut self) {
        self.election = false;
        let fit = |node: &Node| !node.cut && !node.frozen;
        let able: Vec<u64> = self.nodes.iter().filter(|(_, node)| fit(node)).map(|(id, _)| *id).collect();
        if able.len() as u64 <= NODES / 2 {
            return self.lose_leader();
        }
        let id = able[self.dice.below(able.len() as u64) as usize];
        self.term += 1;
        self.leader = Some((id, self.term));
        // It has all that was agreed on.
        let upto = self.log.len() - 1;
        self.see(id, upto);
        self.at(0, Event::Look { by: (id, self.term) });
        if let Some(death) = &mut self.death {
            death.counts_from = self.now;
        }
    }

    fn lose_leader(&mut self) {
        self.leader = None;
        if !std::mem::replace(&mut self.election, true) {
            let time = (300 + self.dice.below(1300)) * MS;
            self.at(time, Event::Elect);
        }
    }

    fn thaw(&mut self, id: u64) {
        let upto = self.log.len() - 1;
        let Some(node) = self.nodes.get_mut(&id) else { return self.start(id) };
        (node.frozen, node.cut) = (false, false);
        let missed = std::mem::take(&mut node.missed);
        for event in missed {
            self.at(0, event);
        }
        self.at(0, Event::See { node: id, upto });
        self.wake_at(id, MS);
    }

    fn fault(&mut self) {
        let pause = (300 + self.dice.below(4000)) * MS;
        self.at(pause, Event::Fault);
        // Most of all whoever has the lease.
        let holder = self.log.last().and_then(|map| map.lease(NAME)).map(|lease| lease.holder);
        let any = 1 + self.dice.below(NODES);
        let id = holder.filter(|_| self.dice.below(3) > 0).unwrap_or(any);
        if id == CALM && holder == Some(id) {
            return self.release(id);
        }
        let healthy = |node: &Node| !node.cut && !node.frozen;
        let ill = NODES - self.nodes.values().filter(|node| healthy(node)).count() as u64;
        let leads = self.leader.is_some_and(|(leader, _)| leader == id);
        let fit = self.nodes.get(&id).is_some_and(healthy);
        if id == CALM || !fit || ill >= NODES / 2 {
            return;
        }
        let time = self.dice.below(6000) * MS;
        match self.dice.below(4) {
            0 => {
                let node = self.nodes.remove(&id).expect("a node");
                if node.holder.held(local(&node, self.now)).is_some() && self.death.is_none() {
                    self.death = Some(Death { at: self.now, counts_from: self.now });
                }
                self.at(time + 1000 * MS, Event::Thaw(id));
            }
            1 => {
                // Too short for anybody to be missed, or longer.
                let short = self.dice.below(2) == 0;
                let time = if short { self.dice.below(200) * MS } else { time + 1600 * MS };
                self.nodes.get_mut(&id).expect("a node").frozen = true;
                self.at(time, Event::Thaw(id));
                if short {
                    return;
                }
            }
            2 => {
                self.nodes.get_mut(&id).expect("a node").cut = true;
                self.at(time, Event::Thaw(id));
            }
            // Another leads, without anybody's fault.
            _ => {}
        }
        if leads {
            self.lose_leader();
        }
    }

    /// It gives the lease up, so that it is had by one that may die.
    fn release(&mut self, id: u64) {
        let node = self.nodes.get_mut(&id).expect("a node");
        if let Some(command) = node.holder.give_up() {
            self.asks += 1;
            let (ask, delay, until) = (self.asks, self.delay(), self.now + 1750 * MS);
            self.at(delay, Event::Arrive { from: id, ask, command, to: self.leader, until });
        }
        // Others ask meanwhile.
        self.wake_at(id, 500 * MS);
    }

    fn happen(&mut self, event: Event) {
        let frozen = |id: &u64, world: &World| world.nodes.get(id).is_some_and(|node| node.frozen);
        match event {
            Event::Answer { to, .. } | Event::See { node: to, .. } | Event::Look { by: (to, _) }
                if frozen(&to, self) =>
            {
                self.nodes.get_mut(&to).expect("a node").missed.push(event);
            }
            Event::Arrive { from, ask, command, to, until } => self.arrive(from, ask, command, to, until),
            Event::Commit { from, ask, command, by } => self.commit(from, ask, command, by),
            Event::Answer { to, ask, reply } => {
                let now = self.now;
                let Some(node) = self.nodes.get_mut(&to) else { return };
                if node.ask == ask {
                    let at = local(node, now);
                    node.holder.answered(reply, at).expect("a lease that may be had");
                    // It may have ended while the answer was on its way.
                    if self.log[node.sees].lease(NAME).is_none() {
                        node.holder.leases_changed(at);
                    }
                    self.wake(to);
                    // Only an answer makes a holder of anybody.
                    self.check();
                }
            }
            Event::See { node, upto } => self.see(node, upto),
            Event::Look { by } => self.look(by),
            Event::Elect => self.elect(),
            Event::Fault => self.fault(),
            Event::Thaw(id) => self.thaw(id),
            Event::Wake(id) if self.nodes.get(&id).is_some_and(|node| node.wakes_at == self.now) => {
                self.wake(id)
            }
            Event::Wake(_) => {}
        }
    }

    fn run(&mut self, time: Nanos) {
        let end = self.now + time;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > end {
                return;
            }
            self.now = entry.key().0;
            let event = entry.remove();
            self.happen(event);
        }
    }
}

#[test]
fn a_lease_changes_hands_in_time_and_never_before_in_a_thousand_runs() {
    let (mut handovers, mut followed, mut terms) = (0, 0, BTreeSet::new());
    for seed in 0..1000 {
        let mut world = World::new(seed);
        world.run(20_000 * MS);
        assert!(world.handovers > 0, "seed {seed}: nobody ever had it");
        (handovers, followed) = (handovers + world.handovers, followed + world.followed);
        terms.insert(world.term);
    }
    // They were runs worth the name.
    assert!(handovers > 3000 && followed > 500 && terms.len() > 5, "{handovers} {followed} {terms:?}");
}
