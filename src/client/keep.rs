//! What an agent keeps on disk: its id, and what is registered with it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::region::Seat;
use crate::region::map::{Map, Topic};

const HOLDINGS: &str = "agent.map";
const ID: &str = "node-id";
/// Changes that come together are written together.
const GATHER: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(600);

/// A UUID: drawn once and kept, or without a directory the same for the same name at the same place: two agents of one
/// name are two. `place`: what tells this host and this agent on it from others.
pub(super) fn id(dir: Option<&Path>, datacenter: &str, node: &str, place: &str) -> io::Result<String> {
    let Some(dir) = dir else {
        let number = xxhash_rust::xxh3::xxh3_128(format!("agent/{datacenter}/{node}/{place}").as_bytes());
        return Ok(uuid::Builder::from_random_bytes(number.to_be_bytes()).into_uuid().to_string());
    };
    fs::create_dir_all(dir)?;
    let path = dir.join(ID);
    match fs::read_to_string(&path) {
        Ok(text) => uuid::Uuid::parse_str(text.trim()).map(|id| id.to_string()).map_err(|_| {
            io::Error::other(format!(
                "{} holds no UUID: correct it, or remove it for a new one",
                path.display()
            ))
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let id = uuid::Uuid::new_v4().to_string();
            put(dir, ID, |out| writeln!(out, "{id}"))?;
            Ok(id)
        }
        Err(e) => Err(e),
    }
}

/// What was registered before; nothing at first. What cannot be read is an error, never nothing.
pub(super) fn holdings(dir: &Path) -> io::Result<Map> {
    let path = dir.join(HOLDINGS);
    match File::open(&path) {
        Ok(file) => Map::read_snapshot(BufReader::new(file)).map_err(|e| {
            io::Error::other(format!(
                "{}: {e}. Without this file the agent starts with nothing",
                path.display()
            ))
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Map::default()),
        Err(e) => Err(e),
    }
}

/// Writes what is registered whenever it changes, until it is dropped.
pub(super) async fn keep(seat: Seat, dir: Arc<Path>) {
    let topics = [Topic::Node(seat.node_name().clone())];
    let mut kept = 0;
    loop {
        let map = seat.map();
        let index = map.index_of(&topics[0]);
        if index != kept {
            let dir = dir.clone();
            let written =
                tokio::task::spawn_blocking(move || put(&dir, HOLDINGS, |out| map.write_snapshot(out))).await;
            match written {
                Ok(Ok(())) => kept = index,
                Ok(Err(e)) => eprintln!("agent: what is registered here cannot be kept: {e}"),
                Err(_) => return,
            }
        }
        let until = tokio::time::sleep(PATIENCE).deadline();
        let _ = seat.changed(&topics, index, until).await;
        tokio::time::sleep(GATHER).await;
    }
}

/// The whole file or the old one.
fn put(dir: &Path, name: &str, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let next = dir.join(format!("{name}.next"));
    let mut out = BufWriter::new(File::create(&next)?);
    write(&mut out)?;
    out.into_inner().map_err(|e| e.into_error())?.sync_all()?;
    fs::rename(&next, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::map::Health;
    use crate::region::testing::{World, registration};

    #[test]
    fn an_id_is_drawn_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = id(Some(dir.path()), "dc1", "a", "h").expect("an id");
        assert_eq!(id(Some(dir.path()), "dc1", "b", "i").expect("an id"), first);
        assert_eq!(id(None, "dc1", "a", "h").expect("an id"), id(None, "dc1", "a", "h").expect("an id"));
        assert_ne!(id(None, "dc1", "a", "h").expect("an id"), id(None, "dc1", "a", "i").expect("an id"));
        assert_ne!(id(None, "dc1", "a", "h").expect("an id"), id(None, "dc1", "b", "h").expect("an id"));
        fs::write(dir.path().join(ID), "nonsense").expect("written");
        assert!(id(Some(dir.path()), "dc1", "a", "h").expect_err("no id").to_string().contains("no UUID"));
    }

    #[test]
    fn what_was_registered_is_there_again_and_what_is_torn_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(holdings(dir.path()).expect("nothing yet"), Map::default());
        let mut world = World::default();
        world.apply(registration(("box", "eu"), "web", "w", 80, Health::Passing));
        put(dir.path(), HOLDINGS, |out| world.map.write_snapshot(out)).expect("written");
        assert_eq!(holdings(dir.path()).expect("read"), world.map);
        fs::write(dir.path().join(HOLDINGS), b"ISOB").expect("torn");
        assert!(holdings(dir.path()).expect_err("torn").to_string().contains("agent.map"));
    }
}
