//! A member that is alone in its cluster and has a world's map: what proposals cost it from their encoding to their reply,
//! with its log on disk. Nothing is left out, and nobody is there for whom it would do more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar::base::clock;
use isobar::region::Seat;
use isobar::region::map::*;
use isobar::region::raft::{Options, RaftHandle, start};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::runtime::Runtime;

use crate::world::{self, World, accepted};

/// Until it leads itself, or has made a snapshot.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of its log it makes a snapshot by itself after 10,000 entries: before that one is asked for.
const ENTRIES: Index = 8_000;

pub struct Member {
    seat: Seat,
    runtime: Runtime,
    dir: PathBuf,
    /// Where the log ended when the last snapshot was asked for.
    rested: Index,
    handle: RaftHandle,
}

/// Microseconds of one change, on average.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    pub cpu: f64,
    pub wall: f64,
}

impl Member {
    /// One that took over the map of a world.
    pub fn of(world: &World, dir: &Path) -> Result<Member, String> {
        std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        let options = Options { name: "simulated".into(), data_dir: Some(dir.into()), ..Options::default() };
        let (seat, handle) = start(options).map_err(|e| e.to_string())?;
        let mut member = Member { seat, runtime, dir: dir.into(), rested: 0, handle };
        member.leads()?;
        let mut archive = Vec::new();
        world.publisher.map().write_snapshot(&mut archive).map_err(|e| e.to_string())?;
        let mut rest = Bytes::from(archive);
        let mut number = 0;
        while !rest.is_empty() {
            let data = rest.split_to(rest.len().min(ARCHIVE_PIECE));
            let piece = Piece { archive: "world".into(), number, data, last: rest.is_empty() };
            member.runtime.block_on(propose(&member.seat, Command::Restore(Box::new(piece))))?;
            number += 1;
        }
        let count = member.seat.map().instances_of(&world::service_of(world.size, 0)).count();
        match count {
            0 => Err("the member did not take the world over".into()),
            _ => {
                member.snapshot()?;
                Ok(member)
            }
        }
    }

    /// Makes a snapshot now if one might be due while the next so many changes are timed: what it costs is no part of what
    /// a change costs, and has a row of its own.
    pub fn rest(&mut self, changes: usize) -> Result<(), String> {
        match self.seat.status().last_log + changes as Index > self.rested + ENTRIES {
            true => self.snapshot(),
            false => Ok(()),
        }
    }

    /// Returns when there is a snapshot of all there is, and nothing of making it is under way any more.
    fn snapshot(&mut self) -> Result<(), String> {
        self.rested = self.seat.status().last_log;
        self.runtime.block_on(self.handle.snapshot());
        let until = clock::now_ns() + PATIENCE.as_nanos() as u64;
        while self.newest()? < self.rested {
            if clock::now_ns() > until {
                return Err("the member makes no snapshot".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // The log is shortened after it, and the map that it was made of goes.
        calm()
    }

    /// Where its newest snapshot ends, by the name of the file.
    fn newest(&self) -> Result<Index, String> {
        let files = std::fs::read_dir(&self.dir).map_err(|e| e.to_string())?;
        let names = files
            .flatten()
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|e| e == "snapshot"));
        let index = |path: PathBuf| path.file_stem()?.to_str()?.split('-').next()?.parse().ok();
        Ok(names.filter_map(index).max().unwrap_or(0))
    }

    fn leads(&self) -> Result<(), String> {
        let until = clock::now_ns() + PATIENCE.as_nanos() as u64;
        while self.seat.leader().is_none() {
            if clock::now_ns() > until {
                return Err("the member does not lead itself".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Proposes these, so many at a time; the two of a pair after each other.
    pub fn take(&self, commands: Vec<Command>, at_once: usize) -> Result<Spent, String> {
        let count = commands.len().max(1) as f64;
        let mut queues: Vec<Vec<Command>> = (0..at_once).map(|_| Vec::new()).collect();
        for (turn, command) in commands.into_iter().enumerate() {
            if let Some(queue) = queues.get_mut(turn / 2 % at_once) {
                queue.push(command);
            }
        }
        let seat = Arc::new(self.seat.clone());
        let (cpu, began) = (cpu_us()?, clock::now_ns());
        self.runtime.block_on(async {
            let clients = queues.into_iter().map(|queue| {
                let seat = seat.clone();
                tokio::spawn(async move {
                    for command in queue {
                        propose(&seat, command).await?;
                    }
                    Ok::<(), String>(())
                })
            });
            for client in clients.collect::<Vec<_>>() {
                client.await.map_err(|e| e.to_string())??;
            }
            Ok::<(), String>(())
        })?;
        let wall = (clock::now_ns() - began) as f64 / 1e3;
        Ok(Spent { cpu: (cpu_us()? - cpu) / count, wall: wall / count })
    }
}

/// Returns when this process does next to nothing.
fn calm() -> Result<(), String> {
    let (look, idle_us) = (Duration::from_millis(100), 5_000.0);
    let until = clock::now_ns() + PATIENCE.as_nanos() as u64;
    while clock::now_ns() < until {
        let before = cpu_us()?;
        std::thread::sleep(look);
        if cpu_us()? - before < idle_us {
            return Ok(());
        }
    }
    Err("the members never come to rest".into())
}

async fn propose(seat: &Seat, command: Command) -> Result<(), String> {
    let reply = seat.propose(command).await.map_err(|e| e.to_string())?;
    accepted(vec![reply])
}

/// Of the whole process, in both modes.
fn cpu_us() -> Result<f64, String> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(|e| e.to_string())?;
    Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64)
}
