//! What a change costs in the full map, beside the same in one of a thousandth the size.
//!
//! It is judged on members that are alone in their cluster: the processor time from a proposal to its reply, with all that
//! is done for it, one proposal at a time and many. What of this depends on the map at all, that it is applied and shown,
//! is told beside it: each change there touches memory that no cache holds, where the whole small map fits one.

use std::path::{Path, PathBuf};

use isobar::base::clock;
use isobar::region::map::*;

use crate::member::{Member, Spent};
use crate::report::Report;
use crate::world::{self, World, accepted};

/// Times what it costs in the small map.
pub const BAR: f64 = 2.0;
/// Changes of one kind that are made in a row before the next kind.
const TURN: usize = 500;
/// Proposals that are under way at once: as by one client, and as by many.
const AT_ONCE: [usize; 2] = [1, 32];

type Make = fn(&mut World, usize) -> Command;

const KINDS: [(&str, Make, bool); 7] = [
    ("an instance registered anew", anew, true),
    ("a check's verdict", verdict, true),
    ("an instance gone, and back", come_and_go, true),
    ("a key written", put, true),
    ("a session begun, and ended", session, true),
    ("a lock taken, and released", lock, true),
    ("a node's own check", node_check, false),
];

fn drawn(world: &mut World) -> usize {
    let count = world.size.instances();
    world.random.below(count)
}

fn anew(world: &mut World, turn: usize) -> Command {
    let number = drawn(world);
    world::register(world.size, number, 9000 + (turn % 1000) as u16)
}

fn verdict(world: &mut World, turn: usize) -> Command {
    let number = drawn(world);
    let (node, check) = (world::node_of(world.size, number), world::check_id(world.size, number));
    let status = [Health::Critical, Health::Warning, Health::Passing][turn % 3];
    Command::CheckStatus { node, check, status, output: format!("the {turn}th answer").into() }
}

/// The instance that the change before took is put back.
fn come_and_go(world: &mut World, turn: usize) -> Command {
    let number = (turn / 2 * 7919) % world.size.instances();
    if turn % 2 == 1 {
        return world::both(world.size, number, 8000);
    }
    let (node, id) = (world::node_of(world.size, number), world::instance_id(world.size, number));
    Command::Deregister(Deregistration { node, service_id: Some(id), check_id: None })
}

fn write(key: Name, turn: usize, when: PutWhen) -> Command {
    Command::KvPut { key, value: format!("value of turn {turn}").into_bytes().into(), flags: 0, when }
}

fn put(world: &mut World, turn: usize) -> Command {
    let count = world.size.keys();
    write(world::key(world.random.below(count)), turn, PutWhen::Always)
}

fn session(world: &mut World, turn: usize) -> Command {
    let id: Name = format!("11111111-0000-4000-8000-{:012}", turn / 2).into();
    if turn % 2 == 1 {
        return Command::SessionDestroy { id };
    }
    let number = drawn(world);
    let node = world::node_of(world.size, number);
    Command::SessionCreate(Session { id, node, ttl_ms: 10_000, ..Session::default() })
}

fn lock(world: &mut World, turn: usize) -> Command {
    let key = world::key((turn / 2 * 7919) % world.size.keys());
    let session = lock_holder();
    let when = if turn.is_multiple_of(2) { PutWhen::Acquire(session) } else { PutWhen::Release(session) };
    write(key, turn, when)
}

fn lock_holder() -> Name {
    "22222222-0000-4000-8000-000000000000".into()
}

/// Is seen in every service of the node, so it costs as many as these are.
fn node_check(world: &mut World, turn: usize) -> Command {
    let count = world.size.regions;
    let node = world::node_name(world.random.below(count));
    let status = if turn.is_multiple_of(2) { Health::Warning } else { Health::Passing };
    Command::CheckStatus { node, check: NODE_LIVENESS.into(), status, output: format!("turn {turn}").into() }
}

/// Nanoseconds of each change.
#[derive(Default)]
struct Times {
    /// Read from its record, applied, shown, and those woken who wait for it.
    whole: Vec<u64>,
    /// Without the reading.
    applying: Vec<u64>,
}

fn time(
    world: &mut World,
    make: Make,
    turns: std::ops::Range<usize>,
    into: &mut Times,
) -> Result<(), String> {
    let mut records = Vec::with_capacity(turns.len());
    for turn in turns {
        let command = make(world, turn);
        records.push(world.record(command)?);
    }
    for (index, record) in records {
        let began = clock::now_ns();
        let proposal = codec::decode(&record).map_err(|e| e.to_string())?;
        let read = clock::now_ns();
        let replies = world.publisher.apply_all([(index, proposal)]);
        let done = clock::now_ns();
        into.whole.push(done - began);
        into.applying.push(done - read);
        accepted(replies)?;
    }
    Ok(())
}

struct Cost {
    median: f64,
    mean: f64,
}

fn cost(mut times: Vec<u64>) -> Cost {
    times.sort_unstable();
    let sum: u64 = times.iter().sum();
    let count = times.len().max(1);
    Cost {
        median: times.get(count / 2).copied().unwrap_or(0) as f64 / 1e3,
        mean: sum as f64 / count as f64 / 1e3,
    }
}

/// Applying alone.
pub fn apply(report: &mut Report, small: &mut World, full: &mut World, times: usize) -> Result<(), String> {
    for world in [&mut *small, &mut *full] {
        world.apply(holder())?;
    }
    for (name, make, judged) in KINDS {
        let (mut among_few, mut among_all) = (Times::default(), Times::default());
        let mut turn = 0;
        let times = if judged { times } else { times / 10 };
        // The first turn warms both up.
        while turn < times + TURN {
            time(small, make, turn..turn + TURN, &mut among_few)?;
            time(full, make, turn..turn + TURN, &mut among_all)?;
            if turn == 0 {
                (among_few, among_all) = (Times::default(), Times::default());
            }
            turn += TURN;
        }
        let (few, all) = (cost(among_few.whole), cost(among_all.whole));
        let (few_apply, all_apply) = (cost(among_few.applying), cost(among_all.applying));
        let text = format!(
            "applied: median {:.2} us, mean {:.2}; in the small map {:.2} and {:.2}: {:.2} and {:.2} times; \
             without reading the record {:.2} times",
            all.median,
            all.mean,
            few.median,
            few.mean,
            all.median / few.median,
            all.mean / few.mean,
            all_apply.median / few_apply.median
        );
        report.tell(name, &text);
    }
    Ok(())
}

fn holder() -> Command {
    Command::SessionCreate(Session { id: lock_holder(), node: world::node_name(0), ..Session::default() })
}

/// A member, and who draws what is proposed to it.
struct Side {
    member: Member,
    draws: World,
}

impl Side {
    fn of(world: &World, seed: u64, dir: PathBuf) -> Result<Side, String> {
        let member = Member::of(world, &dir)?;
        if world.publisher.map().session(&lock_holder()).is_none() {
            member.take(vec![holder()], 1)?;
        }
        Ok(Side { member, draws: World::new(world.size, seed) })
    }

    fn turn(&mut self, make: Make, turn: usize, at_once: usize) -> Result<Spent, String> {
        let commands = (turn..turn + TURN).map(|turn| make(&mut self.draws, turn)).collect();
        self.member.take(commands, at_once)
    }
}

/// The whole of it, on members.
pub fn propose(
    report: &mut Report,
    [small, full]: [&World; 2],
    times: usize,
    seed: u64,
    dir: &Path,
) -> Result<(), String> {
    let mut few = Side::of(small, seed, dir.join("small"))?;
    let mut all = Side::of(full, seed, dir.join("full"))?;
    for (name, make, judged) in KINDS {
        if !judged {
            continue;
        }
        for at_once in AT_ONCE {
            let (mut among_few, mut among_all) = (Vec::new(), Vec::new());
            // The first turn warms both up.
            for turn in 0..=times.div_ceil(TURN) {
                // One after the other, and before anything is timed: what one does in the meantime counts for both.
                few.member.rest(TURN)?;
                all.member.rest(TURN)?;
                let spent = [few.turn(make, turn * TURN, at_once)?, all.turn(make, turn * TURN, at_once)?];
                if turn > 0 {
                    among_few.push(spent[0]);
                    among_all.push(spent[1]);
                }
            }
            let middle = |spent: &[Spent], of: fn(&Spent) -> f64| {
                let mut all: Vec<f64> = spent.iter().map(of).collect();
                all.sort_by(f64::total_cmp);
                all.get(all.len() / 2).copied().unwrap_or(0.0)
            };
            let cpu = [&among_few, &among_all].map(|spent| middle(spent, |spent| spent.cpu));
            let wall = [&among_few, &among_all].map(|spent| middle(spent, |spent| spent.wall));
            let ratio = cpu[1] / cpu[0];
            let text = format!(
                "{:.1} us of a processor, in the small map {:.1}: {ratio:.2} times, bar {BAR}; {:.1} us beside {:.1} by the clock",
                cpu[1], cpu[0], wall[1], wall[0]
            );
            report.judge(&format!("{name}, {at_once} at once"), ratio <= BAR, &text);
        }
    }
    Ok(())
}
