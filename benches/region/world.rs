//! The world that is simulated: who is in it, its clock, and changes as the log would bring them.

use isobar::region::Publisher;
use isobar::region::map::*;

/// Instances of a service, all of them.
pub const SHARE: usize = 100;
/// Instances for each key.
const FOR_A_KEY: usize = 10;
/// Milliseconds from one change to the next.
const TICK_MS: u64 = 7;
const TAGS: [&str; 4] = ["blue", "green", "primary", "v2"];
const VERSIONS: [&str; 3] = ["1.4.0", "1.4.1", "1.5.0"];

#[derive(Clone, Copy)]
pub struct Size {
    pub regions: usize,
    pub instances_each: usize,
}

impl Size {
    pub fn instances(self) -> usize {
        self.regions * self.instances_each
    }

    pub fn services(self) -> usize {
        self.instances().div_ceil(SHARE)
    }

    pub fn keys(self) -> usize {
        self.instances().div_ceil(FOR_A_KEY)
    }
}

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// The numbers below `end`, each once.
    pub fn shuffled(&mut self, end: usize) -> Vec<u32> {
        let mut all: Vec<u32> = (0..end as u32).collect();
        for at in (1..end).rev() {
            all.swap(at, self.below(at + 1));
        }
        all
    }
}

pub struct World {
    pub size: Size,
    pub publisher: Publisher,
    pub random: Random,
    now: WallMs,
    log: Index,
}

impl World {
    pub fn new(size: Size, seed: u64) -> World {
        let publisher = Publisher::new(Map::default());
        World { size, publisher, random: Random(seed), now: 1_800_000_000_000, log: 0 }
    }

    /// The next proposal, as it stands in the log.
    pub fn record(&mut self, command: Command) -> Result<(Index, Vec<u8>), String> {
        self.now += TICK_MS;
        self.log += 1;
        let bytes = codec::encode(&Proposal { at: self.now, command }).map_err(|e| e.to_string())?;
        Ok((self.log, bytes))
    }

    /// The same, as a member reads it: nothing of it is shared with another.
    pub fn proposal(&mut self, command: Command) -> Result<(Index, Proposal), String> {
        let (index, bytes) = self.record(command)?;
        Ok((index, codec::decode(&bytes).map_err(|e| e.to_string())?))
    }

    pub fn apply(&mut self, command: Command) -> Result<(), String> {
        let proposal = self.proposal(command)?;
        accepted(self.publisher.apply_all([proposal]))
    }
}

pub fn accepted(replies: Vec<Reply>) -> Result<(), String> {
    match replies
        .into_iter()
        .find(|reply| matches!(reply, Reply::Refused(_) | Reply::Held { held: false, .. }))
    {
        Some(reply) => Err(format!("a change was refused: {reply:?}")),
        None => Ok(()),
    }
}

pub fn region_name(number: usize) -> Name {
    format!("region-{number:04}").into()
}

pub fn node_name(number: usize) -> Name {
    format!("node-{number:04}").into()
}

/// Of an instance: its node. Neighbours by number stand on one node and belong to different services.
pub fn node_of(size: Size, instance: usize) -> Name {
    node_name(instance / size.instances_each)
}

pub fn service_of(size: Size, instance: usize) -> Name {
    format!("service-{:05}", instance % size.services()).into()
}

pub fn instance_id(size: Size, instance: usize) -> Name {
    format!("service-{:05}-{instance:07}", instance % size.services()).into()
}

pub fn check_id(size: Size, instance: usize) -> Name {
    format!("service:{}", instance_id(size, instance)).into()
}

pub fn region(number: usize) -> Command {
    let turn = number as f64;
    Command::RegionPut(Region {
        name: region_name(number),
        location: Some((turn % 90.0, turn % 180.0)),
        ..Region::default()
    })
}

pub fn node(number: usize) -> Command {
    let node = Node {
        id: format!("00000000-0000-4000-8000-{number:012}").into(),
        name: node_name(number),
        address: format!("10.{}.{}.1", number / 250, number % 250).into(),
        region: region_name(number),
        ..Node::default()
    };
    let alive = Check {
        node: node.name.clone(),
        id: NODE_LIVENESS.into(),
        name: "liveness".into(),
        status: Health::Passing,
        ..Check::default()
    };
    Command::Register(Box::new(Registration { node, checks: vec![alive], ..Registration::default() }))
}

fn on_node(size: Size, number: usize, instance: Option<Instance>, checks: Vec<Check>) -> Command {
    let node = Node { name: node_of(size, number), ..Node::default() };
    let skip_node_update = true;
    Command::Register(Box::new(Registration {
        node,
        skip_node_update,
        instance,
        checks,
        replace_checks: false,
    }))
}

/// An instance as its `port` says it stands: two tags and one pair, as many have.
pub fn instance(size: Size, number: usize, port: u16) -> Instance {
    let pick = |from: &'static [&str], turn: usize| -> Name { from[turn % from.len()].into() };
    Instance {
        node: node_of(size, number),
        id: instance_id(size, number),
        service: service_of(size, number),
        tags: [pick(&TAGS, number / 3), pick(&TAGS, number / 3 + 1)].into_iter().collect(),
        address: format!("10.{}.{}.{}", number >> 16, (number >> 8) & 255, number & 255).into(),
        port,
        meta: [("version".into(), pick(&VERSIONS, number / 5))].into_iter().collect(),
        ..Instance::default()
    }
}

pub fn register(size: Size, number: usize, port: u16) -> Command {
    on_node(size, number, Some(instance(size, number, port)), Vec::new())
}

fn checked(size: Size, number: usize) -> Check {
    Check {
        node: node_of(size, number),
        id: check_id(size, number),
        name: "alive".into(),
        status: Health::Passing,
        output: "connected".into(),
        service_id: instance_id(size, number),
        ..Check::default()
    }
}

pub fn check(size: Size, number: usize) -> Command {
    on_node(size, number, None, vec![checked(size, number)])
}

/// An instance and its check at once.
pub fn both(size: Size, number: usize, port: u16) -> Command {
    on_node(size, number, Some(instance(size, number, port)), vec![checked(size, number)])
}

pub fn key(number: usize) -> Name {
    format!("config/{:03}/{number:06}", number % 1000).into()
}
