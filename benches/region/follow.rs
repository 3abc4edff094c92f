//! Following from a snapshot: in a process of its own, which has nothing else, and in one that has a map already.

use std::path::Path;
use std::process::Command;

use isobar::base::clock;
use isobar::os::process::{resident_bytes, trim_memory};
use isobar::region::Publisher;
use isobar::region::map::Map;
use isobar::region::store::Snapshots;

use crate::memory::Strings;
use crate::report::Report;
use crate::snapshot::PAUSE_BAR;
use crate::world::World;

fn load(dir: &Path) -> Result<Map, String> {
    let snapshots = Snapshots::open(Some(dir)).map_err(|e| e.to_string())?;
    let (_, image) = snapshots.current().ok_or("there is no snapshot")?;
    let read = Snapshots::load(&image, |input| Map::read_snapshot(input).map_err(std::io::Error::other));
    Ok(read.map_err(|e| e.to_string())?.1)
}

/// Prints milliseconds and bytes.
pub fn follower(dir: &Path) -> Result<(), String> {
    let before = resident_bytes();
    let began = clock::now_ns();
    let mut publisher = Publisher::new(Map::default());
    drop(publisher.install(load(dir)?));
    let took = clock::now_ns() - began;
    trim_memory();
    println!("{} {}", took / 1_000_000, resident_bytes().saturating_sub(before));
    // The end of the process gives the map back faster than its drop.
    std::process::exit(0);
}

pub fn measure(report: &mut Report, world: &mut World, dir: &Path, own: &Strings) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let told = Command::new(program).arg("--follow").arg(dir).output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&told.stdout);
    let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [took, bytes] = figures[..] else {
        return Err(format!("the follower said {text:?} {}", String::from_utf8_lossy(&told.stderr)));
    };
    let each = bytes / world.size.instances() as f64;
    report.tell(
        "to follow from it, in a new process",
        &format!(
            "{:.2} s; resident {:.0} MiB, {:.0} bytes an instance with its check and keys, beyond {:.0} of its strings",
            took / 1e3,
            bytes / 1048576.0,
            each - own.instance - own.check,
            own.instance + own.check
        ),
    );
    let map = load(dir)?;
    let began = clock::now_ns();
    let former = world.publisher.install(map);
    let took = (clock::now_ns() - began) as f64 / 1e6;
    let began = clock::now_ns();
    drop(former);
    let dropped = (clock::now_ns() - began) as f64 / 1e6;
    let text = format!("{took:.2} ms, bar {PAUSE_BAR}; to drop the other, elsewhere, {dropped:.0} ms");
    report.judge("to put it in the place of another", took <= PAUSE_BAR, &text);
    Ok(())
}
