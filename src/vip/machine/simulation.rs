//! Two to five routers on a network that loses, delays and repeats packets, with pauses and restarts. Once that ends, one
//! of them is master within the time that follows from the timers.

use std::net::IpAddr;

use super::super::packet::{Advert, Version};
use super::{Action, Cause, Instance, Settings, State};
use crate::base::Nanos;
use crate::base::clock::{MS, SEC};

const SEEDS: u64 = 1_000;
/// The longest way of a packet.
const DELAY: Nanos = 20 * MS;

/// xorshift64*.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

struct Node {
    instance: Instance,
    address: IpAddr,
    /// Sees nothing and does nothing until then.
    paused_until: Nanos,
    /// What came meanwhile, in order.
    waiting: Vec<(Advert, IpAddr)>,
    /// As the actions left the interface.
    has_addresses: bool,
}

struct Network {
    now: Nanos,
    dice: Dice,
    nodes: Vec<Node>,
    /// When, to whom, what, from whom.
    flying: Vec<(Nanos, usize, Advert, IpAddr)>,
    faulty: bool,
    /// The half of the network that the other does not hear, as bits.
    split: u64,
}

impl Network {
    fn new(seed: u64) -> Network {
        let mut dice = Dice::new(seed);
        let version = if dice.chance(50) { Version::V2 } else { Version::V3 };
        let interval_ns =
            if version == Version::V2 { SEC } else { [50 * MS, 100 * MS, SEC][dice.below(3) as usize] };
        let now = 10 * SEC;
        let count = 2 + dice.below(4);
        let nodes = (0..count).map(|n| {
            let settings = Settings {
                version,
                interval_ns,
                // Few values, so that some are the same.
                priority: 100 + 10 * dice.below(4) as u8,
                preempt: dice.chance(80),
                ..Settings::default()
            };
            let address = IpAddr::from([10, 0, 0, 1 + n as u8]);
            Node {
                instance: Instance::new(settings, now),
                address,
                paused_until: now + dice.below(2 * SEC),
                waiting: Vec::new(),
                has_addresses: false,
            }
        });
        let nodes = nodes.collect();
        Network { now, dice, nodes, flying: Vec::new(), faulty: true, split: 0 }
    }

    fn carry_out(&mut self, i: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Advert { priority } => self.send(i, priority),
                Action::Take => self.nodes[i].has_addresses = true,
                Action::Release => self.nodes[i].has_addresses = false,
                Action::Announce { .. } | Action::Moved { .. } | Action::Claim | Action::Yield => {}
            }
        }
    }

    fn send(&mut self, from: usize, priority: u8) {
        let settings = self.nodes[from].instance.settings();
        let advert = Advert {
            version: settings.version,
            vrid: 1,
            priority,
            interval_ns: settings.interval_ns,
            addresses: Vec::new(),
            password: None,
        };
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            let cut = (self.split >> from ^ self.split >> to) & 1 == 1;
            if self.faulty && (cut || self.dice.chance(15)) {
                continue;
            }
            let copies = if self.faulty && self.dice.chance(10) { 2 } else { 1 };
            for _ in 0..copies {
                let at = self.now + 1 + self.dice.below(DELAY);
                self.flying.push((at, to, advert.clone(), self.nodes[from].address));
            }
        }
    }

    /// When something happens next, at most until `until`.
    fn next(&self, until: Nanos) -> Nanos {
        let arrivals = self.flying.iter().map(|(at, ..)| *at);
        let wakings = self.nodes.iter().map(|node| node.paused_until).filter(|at| *at > self.now);
        let awake = self.nodes.iter().filter(|node| node.paused_until <= self.now);
        let dues = awake.filter_map(|node| node.instance.due());
        arrivals.chain(wakings).chain(dues).min().unwrap_or(until).clamp(self.now + 1, until)
    }

    fn run_until(&mut self, until: Nanos) {
        while self.now < until {
            self.now = self.next(until);
            self.step();
        }
    }

    /// Everything that happens now.
    fn step(&mut self) {
        let now = self.now;
        let mut arrived: Vec<_> = self.flying.extract_if(.., |(at, ..)| *at <= now).collect();
        arrived.sort_by_key(|(at, ..)| *at);
        for (_, to, advert, from) in arrived {
            // A socket keeps some, no more.
            if self.nodes[to].waiting.len() < 64 {
                self.nodes[to].waiting.push((advert, from));
            }
        }
        for i in 0..self.nodes.len() {
            let node = &mut self.nodes[i];
            if node.paused_until > now {
                continue;
            }
            let mut out = Vec::new();
            if node.instance.state() == State::Init {
                node.waiting.clear();
                node.instance.set_source(Some(node.address));
                node.instance.start(now, Cause::Start, &mut out);
            }
            // What came is looked at before the clock, as the agent does it.
            for (advert, from) in std::mem::take(&mut node.waiting) {
                node.instance.receive(now, &advert, from, &mut out);
            }
            node.instance.turn(now, &mut out);
            self.carry_out(i, out);
        }
    }

    fn trouble(&mut self) {
        let i = self.dice.below(self.nodes.len() as u64) as usize;
        match self.dice.below(8) {
            0 => self.split = self.dice.below(1 << self.nodes.len()),
            1 => self.split = 0,
            2 | 3 => self.nodes[i].paused_until = self.now + self.dice.below(6 * SEC),
            4 => {
                // Killed; its addresses go with its lease, and it comes back.
                let settings = self.nodes[i].instance.settings().clone();
                self.nodes[i].instance = Instance::new(settings, self.now);
                self.nodes[i].has_addresses = false;
                self.nodes[i].paused_until = self.now + self.dice.below(3 * SEC);
            }
            _ => {}
        }
    }

    fn masters(&self) -> Vec<usize> {
        let is_master = |i: &usize| self.nodes[*i].instance.state() == State::Master;
        (0..self.nodes.len()).filter(is_master).collect()
    }

    /// The longest that finding one master can take: the slowest is silent for its time, is heard, and one advert more
    /// decides between two that became master at once.
    fn bound(&self) -> Nanos {
        let down = self.nodes.iter().map(|node| {
            let settings = node.instance.settings();
            settings.master_down_ns(1, settings.interval_ns)
        });
        let interval = self.nodes[0].instance.settings().interval_ns;
        down.max().unwrap_or(0) + interval + 3 * DELAY
    }
}

fn run(seed: u64) {
    let mut network = Network::new(seed);
    let end = network.now + 10 * SEC;
    while network.now < end {
        network.trouble();
        let until = network.now + network.dice.below(SEC);
        network.run_until(until);
    }
    network.faulty = false;
    let waking = network.nodes.iter().map(|node| node.paused_until).max().unwrap_or(0);
    network.run_until(waking);
    network.run_until(network.now + network.bound());
    let first = network.masters();
    assert_eq!(first.len(), 1, "seed {seed}: masters {first:?}");
    // It stays so, and where preemption is on the best one has it.
    for _ in 0..30 {
        network.run_until(network.now + SEC / 10);
        assert_eq!(network.masters(), first, "seed {seed}");
        let holders = network.nodes.iter().filter(|node| node.has_addresses).count();
        assert_eq!(holders, 1, "seed {seed}");
    }
    let best = network.nodes.iter().map(|node| node.instance.priority()).max();
    if network.nodes.iter().all(|node| node.instance.settings().preempt) {
        assert_eq!(Some(network.nodes[first[0]].instance.priority()), best, "seed {seed}");
    }
}

#[test]
fn one_master_is_left_when_the_network_is_well_again() {
    (1..=SEEDS).for_each(run);
}
