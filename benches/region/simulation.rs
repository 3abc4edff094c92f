//! A large map in one process, without network and by a clock of its own: what it holds and what a change of it costs.
//!
//! 1,000 regions with a node each bear 1,000,000 instances of 10,000 services, each instance with a check, and 100,000
//! keys. They get there as on a member of a cluster: each proposal is decoded from the bytes that the log would hold and
//! applied by the [`Publisher`](isobar::region::Publisher), which shows the map after each. The same is done a thousandth
//! the size, and the two are compared; for what a change costs, on members that took these maps over. What is drawn comes
//! from a seed, and time from the count of changes.
//!
//! ```text
//! simulation [--regions 1000] [--instances-each 1000] [--times 20000] [--seed 1] [--dir DIR]
//! simulation --follow DIR
//! ```
//! `--follow` is what the program starts anew to follow from a snapshot with nothing else in memory. Exit status: 0 when
//! every bar is met, 1 when one is not, 2 when it could not run.

mod changes;
mod follow;
mod member;
mod memory;
mod report;
mod snapshot;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;
use world::{Size, World};

pub struct Args {
    regions: usize,
    instances_each: usize,
    times: usize,
    seed: u64,
    dir: PathBuf,
    follow: bool,
}

impl Args {
    fn read() -> Result<Args, String> {
        let mut args = Args {
            regions: 1_000,
            instances_each: 1_000,
            times: 20_000,
            seed: 1,
            dir: std::env::temp_dir().join(format!("isobar-simulation-{}", std::process::id())),
            follow: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let number = || value.parse::<usize>().map_err(|e| format!("{word} {value}: {e}"));
            match word.as_str() {
                "--regions" => args.regions = number()?.max(1),
                "--instances-each" => args.instances_each = number()?.max(world::SHARE),
                "--times" => args.times = number()?.max(100),
                "--seed" => args.seed = number()? as u64,
                "--dir" => args.dir = value.into(),
                "--follow" => (args.follow, args.dir) = (true, value.into()),
                _ => return Err(format!("unknown option {word}")),
            }
        }
        Ok(args)
    }
}

fn main() -> ExitCode {
    let outcome = Args::read().and_then(|args| match args.follow {
        true => follow::follower(&args.dir).map(|()| true),
        false => simulate(&args),
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("simulation: {why}");
            ExitCode::from(2)
        }
    }
}

fn simulate(args: &Args) -> Result<bool, String> {
    let mut report = Report::default();
    let size = Size { regions: args.regions, instances_each: args.instances_each };
    println!("{} regions and nodes, {} instances, seed {}", size.regions, size.instances(), args.seed);
    let mut small = World::new(Size { regions: 1, ..size }, args.seed);
    memory::fill(&mut small)?;
    let mut full = World::new(size, args.seed);
    let filled = memory::fill(&mut full)?;
    let own = memory::judge(&mut report, &filled, size.instances());
    changes::apply(&mut report, &mut small, &mut full, args.times)?;
    std::fs::create_dir_all(&args.dir).map_err(|e| format!("{}: {e}", args.dir.display()))?;
    let outcome = changes::propose(&mut report, [&small, &full], args.times, args.seed, &args.dir)
        .and_then(|()| snapshot::beside_changes(&mut report, &mut full, &args.dir))
        .and_then(|()| follow::measure(&mut report, &mut full, &args.dir, &own));
    let _ = std::fs::remove_dir_all(&args.dir);
    outcome?;
    Ok(report.verdict())
}
