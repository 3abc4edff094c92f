//! Nodes, a clock and a network, all made up and all by a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::clock::{MS, Nanos};
use crate::region::map::Name;
use crate::region::soft::*;

pub const SILENCE: Nanos = 6000 * MS;

/// Numbers that look random (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }
}

enum Event {
    Message(Message),
    /// Of the node to which it goes, and by what it answers.
    Answer {
        to: u64,
        from: u64,
        seq: u64,
        answer: Option<Answer>,
    },
}

pub struct Network {
    pub now: Nanos,
    pub nodes: BTreeMap<u64, Exchange>,
    /// What each has published.
    pub truth: BTreeMap<u64, BTreeMap<Key, Record>>,
    pub dice: Dice,
    pub loss_percent: u64,
    pub delay_ms: (u64, u64),
    /// Pairs between which nothing passes, in that direction.
    pub cut: BTreeSet<(u64, u64)>,
    /// Who answers late, by how much.
    pub slow: BTreeMap<u64, Nanos>,
    /// Members that the map says live.
    pub live: BTreeSet<u64>,
    pub messages: u64,
    events: BTreeMap<(Nanos, u64), Event>,
    next: u64,
}

pub fn name(id: u64) -> Name {
    format!("n{id}").into()
}

pub fn node(id: u64, incarnation: u64, limits: Limits) -> Exchange {
    Exchange::new(name(id), incarnation, Duration::from_nanos(SILENCE), limits)
}

pub fn key(n: u64) -> Key {
    (Kind::Progress, format!("r{n}").into())
}

pub fn record(done_bytes: u64) -> Record {
    Record::Progress(Progress { done_bytes, ..Progress::default() })
}

impl Network {
    pub fn new(seed: u64, count: u64) -> Network {
        let ids = 1..=count;
        let mut network = Network {
            now: 10_000 * MS,
            nodes: ids.clone().map(|id| (id, node(id, 1000, Limits::default()))).collect(),
            truth: ids.clone().map(|id| (id, BTreeMap::new())).collect(),
            dice: Dice(seed),
            loss_percent: 0,
            delay_ms: (1, 3),
            cut: BTreeSet::new(),
            slow: BTreeMap::new(),
            live: ids.collect(),
            messages: 0,
            events: BTreeMap::new(),
            next: 0,
        };
        network.tell_members();
        network
    }

    /// Everybody learns who lives.
    pub fn tell_members(&mut self) {
        let names: BTreeMap<u64, Name> = self.live.iter().map(|id| (*id, name(*id))).collect();
        for (id, node) in &mut self.nodes {
            node.members(*id, names.iter().map(|(id, name)| (*id, name)));
        }
    }

    pub fn publish(&mut self, id: u64, n: u64, value: u64) {
        let now = self.now;
        self.nodes.get_mut(&id).expect("a node").publish(key(n), record(value), now).expect("room");
        self.truth.entry(id).or_default().insert(key(n), record(value));
    }

    pub fn withdraw(&mut self, id: u64, n: u64) {
        self.nodes.get_mut(&id).expect("a node").withdraw(&key(n), self.now);
        self.truth.entry(id).or_default().remove(&key(n));
    }

    /// Starts a node anew: it has nothing, and says so by another incarnation.
    pub fn restart(&mut self, id: u64, incarnation: u64) {
        self.nodes.insert(id, node(id, incarnation, Limits::default()));
        self.truth.insert(id, BTreeMap::new());
        self.tell_members();
    }

    pub fn kill(&mut self, id: u64) {
        self.nodes.remove(&id);
        self.truth.remove(&id);
    }

    fn at(&mut self, at: Nanos, event: Event) {
        self.next += 1;
        self.events.insert((at, self.next), event);
    }

    /// When what is sent now arrives; `None`: never.
    fn arrival(&mut self, from: u64, to: u64) -> Option<Nanos> {
        let (least, most) = self.delay_ms;
        let delay = (least + self.dice.below(most - least + 1)) * MS;
        let lost = self.dice.below(100) < self.loss_percent || self.cut.contains(&(from, to));
        let late = self.slow.get(&to).copied().unwrap_or(0);
        (!lost).then_some(self.now + delay + late)
    }

    fn send(&mut self) {
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for id in ids {
            let now = self.now;
            let (messages, _) = self.nodes.get_mut(&id).map(|node| node.due(now)).expect("a node");
            for message in messages {
                self.messages += 1;
                let (to, seq) = (message.to, message.seq);
                // It travels as bytes.
                let bytes = encode(&message).expect("bytes");
                let message = decode(&bytes).expect("a message");
                if let Some(at) = self.arrival(id, to) {
                    self.at(at, Event::Message(message));
                }
                // An answer that comes later than that is no answer.
                self.at(now + 2000 * MS, Event::Answer { to: id, from: to, seq, answer: None });
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Message(message) => {
                let Some(node) = self.nodes.get_mut(&message.to) else { return };
                let (answer, _) = node.heard(&message, self.now);
                if let Some(at) = self.arrival(message.to, message.node) {
                    let (to, from, seq) = (message.node, message.to, message.seq);
                    self.at(at, Event::Answer { to, from, seq, answer: Some(answer) });
                }
            }
            Event::Answer { to, from, seq, answer } => {
                if let Some(node) = self.nodes.get_mut(&to) {
                    node.answered(from, seq, answer, self.now);
                }
            }
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Nanos) {
        let end = self.now + time;
        loop {
            self.send();
            let timers = self.nodes.values().filter_map(Exchange::next).min();
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let at = timers.into_iter().chain(event).min().unwrap_or(end).max(self.now);
            // What is due and cannot be sent must not stop the clock.
            let at = if event != Some(at) && at == self.now { at + MS } else { at };
            if at > end {
                self.now = end;
                return;
            }
            self.now = at;
            while let Some(entry) = self.events.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let event = entry.remove();
                self.happen(event);
            }
        }
    }

    pub fn seen(&self, by: u64, of: u64) -> BTreeMap<Key, Record> {
        let view = self.nodes[&by].view();
        let records = view.node(of);
        let all = records.into_iter().flat_map(|records| records.of_kind(Kind::Progress));
        all.map(|(name, record)| ((Kind::Progress, name.clone()), (**record).clone())).collect()
    }

    /// Whether `by` sees what `of` says.
    pub fn agrees(&self, by: u64, of: u64) -> bool {
        self.seen(by, of) == self.truth[&of]
    }

    /// Everybody sees what everybody says.
    pub fn assert_agreement(&self, seed: u64) {
        for by in self.nodes.keys() {
            for of in self.nodes.keys() {
                assert!(
                    self.agrees(*by, *of),
                    "seed {seed}: {by} sees of {of} {:?}, not {:?}",
                    self.seen(*by, *of),
                    self.truth[of]
                );
            }
        }
    }
}
