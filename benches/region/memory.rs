//! How much memory each thing takes: what became resident while it came, over how many came.

use isobar::base::clock;
use isobar::os::process::{resident_bytes, trim_memory};
use isobar::region::map::{Command, PutWhen};

use crate::report::Report;
use crate::world::{self, World};

/// Beyond its own strings.
pub const INSTANCE_BAR: f64 = 400.0;

/// What a phase of filling took.
pub struct Phase {
    bytes: u64,
    seconds: f64,
}

pub struct Filled {
    places: Phase,
    instances: Phase,
    checks: Phase,
    keys: Phase,
    strings: Strings,
    keys_count: usize,
}

/// Bytes of the strings that one instance, or one check, has and no other.
#[derive(Clone, Copy)]
pub struct Strings {
    pub instance: f64,
    pub check: f64,
}

fn phase(world: &mut World, work: impl FnOnce(&mut World) -> Result<(), String>) -> Result<Phase, String> {
    trim_memory();
    let (before, began) = (resident_bytes(), clock::now_ns());
    work(world)?;
    let seconds = (clock::now_ns() - began) as f64 / 1e9;
    trim_memory();
    Ok(Phase { bytes: resident_bytes().saturating_sub(before), seconds })
}

/// Puts everything in, the instances in no order.
pub fn fill(world: &mut World) -> Result<Filled, String> {
    let (size, count) = (world.size, world.size.instances());
    let places = phase(world, |world| {
        (0..size.regions).try_for_each(|number| {
            world.apply(world::region(number))?;
            world.apply(world::node(number))
        })
    })?;
    let order = world.random.shuffled(count);
    let instances = phase(world, |world| {
        order.iter().try_for_each(|&n| world.apply(world::register(size, n as usize, 8000)))
    })?;
    let order = world.random.shuffled(count);
    let checks =
        phase(world, |world| order.iter().try_for_each(|&n| world.apply(world::check(size, n as usize))))?;
    let order = world.random.shuffled(size.keys());
    let keys = phase(world, |world| {
        let put = |n: &u32| Command::KvPut {
            key: world::key(*n as usize),
            value: format!("value {n}").into_bytes().into(),
            flags: 0,
            when: PutWhen::Always,
        };
        order.iter().try_for_each(|n| world.apply(put(n)))
    })?;
    let mean = |of: &dyn Fn(usize) -> usize| {
        let drawn: Vec<usize> = (0..count).step_by((count / 1000).max(1)).collect();
        drawn.iter().map(|&n| of(n)).sum::<usize>() as f64 / drawn.len() as f64
    };
    let strings = Strings {
        instance: mean(&|n| world::instance_id(size, n).len() + world::instance(size, n, 0).address.len()),
        check: mean(&|n| world::check_id(size, n).len()),
    };
    Ok(Filled { places, instances, checks, keys, strings, keys_count: size.keys() })
}

/// Says what each thing takes, and returns what of it are strings of its own.
pub fn judge(report: &mut Report, filled: &Filled, count: usize) -> Strings {
    let each = |phase: &Phase, count: usize| phase.bytes as f64 / count as f64;
    let rate = |phase: &Phase, count: usize| format!("{:.0} changes/s", count as f64 / phase.seconds);
    let (strings, whole, check) =
        (filled.strings, each(&filled.instances, count), each(&filled.checks, count));
    let instance = whole - strings.instance;
    report.tell("regions and nodes", &format!("{:.1} MiB", filled.places.bytes as f64 / 1048576.0));
    report.judge(
        "memory of an instance",
        instance <= INSTANCE_BAR,
        &format!(
            "{instance:.0} bytes beyond {:.0} of its own strings, bar {INSTANCE_BAR:.0}; {}",
            strings.instance,
            rate(&filled.instances, count)
        ),
    );
    let beyond = check - strings.check;
    report.tell(
        "memory of its check",
        &format!("{beyond:.0} bytes beyond {:.0} of its own; {}", strings.check, rate(&filled.checks, count)),
    );
    report.tell(
        "memory of a key",
        &format!(
            "{:.0} bytes with its strings; {}",
            each(&filled.keys, filled.keys_count),
            rate(&filled.keys, filled.keys_count)
        ),
    );
    strings
}
