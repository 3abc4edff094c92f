//! A snapshot as Raft takes it, while changes go on: how long it takes, and how long it keeps a change waiting.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use isobar::base::clock;
use isobar::region::map::*;
use isobar::region::raft::types::SnapshotMeta;
use isobar::region::store::Snapshots;

use crate::report::Report;
use crate::world::{self, World, accepted};

/// That nothing is applied, in milliseconds.
pub const PAUSE_BAR: f64 = 20.0;
/// Changes that are ready before they are applied, so that making them is not counted.
const READY: usize = 1_000;

/// What a time of changes showed of the thread that applies.
#[derive(Default)]
struct Applying {
    changes: usize,
    longest_ns: u64,
    over: usize,
}

impl Applying {
    /// Flips checks as fast as it goes, until told to stop.
    fn until(world: &mut World, stop: impl Fn() -> bool) -> Result<Applying, String> {
        let mut seen = Applying::default();
        while !stop() {
            let mut ready = Vec::with_capacity(READY);
            for turn in 0..READY {
                let number = world.random.below(world.size.instances());
                let (node, check) = (world::node_of(world.size, number), world::check_id(world.size, number));
                let output = format!("turn {turn} of {}", seen.changes).into();
                let command = Command::CheckStatus { node, check, status: Health::Passing, output };
                ready.push(world.proposal(command)?);
            }
            for proposal in ready {
                seen.count(|| accepted(world.publisher.apply_all([proposal])))?;
            }
        }
        Ok(seen)
    }

    fn count<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = clock::now_ns();
        let done = work();
        let took = clock::now_ns() - began;
        self.changes += 1;
        self.longest_ns = self.longest_ns.max(took);
        self.over += usize::from(took as f64 / 1e6 > 1.0);
        done
    }

    fn tell(&self) -> String {
        let longest = self.longest_ns as f64 / 1e6;
        format!("longest of {} applies {longest:.2} ms, {} over 1 ms", self.changes, self.over)
    }
}

pub fn beside_changes(report: &mut Report, world: &mut World, dir: &Path) -> Result<(), String> {
    let snapshots = Snapshots::open(Some(dir)).map_err(|e| e.to_string())?;
    let until = clock::now_ns() + 3 * clock::SEC;
    let alone = Applying::until(world, || clock::now_ns() > until)?;
    report.tell("applying without a snapshot", &alone.tell());
    let mut seen = Applying::default();
    let map = seen.count(|| world.publisher.map().clone());
    let done = AtomicBool::new(false);
    let (made, beside) = std::thread::scope(|scope| {
        let builder = scope.spawn(|| {
            let began = clock::now_ns();
            let image = snapshots.make(&SnapshotMeta::default(), |out| map.write_snapshot(out));
            let took = clock::now_ns() - began;
            // As a builder ends: the version it wrote goes, and with it what was changed since.
            drop(map);
            done.store(true, Ordering::Release);
            image.map(|image| (image.len(), took))
        });
        let beside = Applying::until(world, || done.load(Ordering::Acquire));
        (builder.join(), beside)
    });
    let (size, took) = made.map_err(|_| "the builder died")?.map_err(|e| e.to_string())?;
    let beside = beside?;
    seen.changes += beside.changes;
    seen.over += beside.over;
    seen.longest_ns = seen.longest_ns.max(beside.longest_ns);
    let (mib, count) = (size as f64 / 1048576.0, world.size.instances() as f64);
    report.tell(
        "a snapshot",
        &format!("{:.2} s, {mib:.1} MiB, {:.0} bytes an instance", took as f64 / 1e9, size as f64 / count),
    );
    let pause = seen.longest_ns as f64 / 1e6;
    report.judge(
        "applying during a snapshot",
        pause <= PAUSE_BAR,
        &format!("{}, bar {PAUSE_BAR} ms", seen.tell()),
    );
    Ok(())
}
