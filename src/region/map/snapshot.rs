//! A map as a stream of bytes, and back.
//!
//! `ISOBARMP`, a version byte, then frames: length and CRC-32 of the payload (each four bytes, little-endian), and the
//! payload: records in postcard, one after another. The last record says how many there were, so that a stream cut
//! between two frames is not taken for a smaller map.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::map::Map;
use super::record::*;
use super::tables::TableIndex;
use super::tombstone::{Tombstone, Tombstones};

const MAGIC: &[u8; 8] = b"ISOBARMP";
const VERSION: u8 = 1;
/// A frame is closed once it has so many bytes.
const FRAME: usize = 64 * 1024;
/// No frame is longer: a record is at most a proposal.
const FRAME_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the snapshot cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("this is not a snapshot of a region map")]
    NotOne,
    #[error("a snapshot of version {0}, and this program reads {VERSION}: it was written by a newer Isobar")]
    Version(u8),
    #[error("the snapshot ends too early, after {0} records")]
    Truncated(u64),
    #[error("the snapshot is damaged after {records} records: {what}")]
    Damaged { records: u64, what: String },
}

/// What a snapshot is made of, in this order: each stands on those before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Item {
    Head {
        index: Index,
        changed: Index,
        nodes: Index,
        services: Index,
        checks: Index,
        sessions: Index,
        tables: TableIndex,
    },
    Node {
        node: Arc<Node>,
        index: Index,
    },
    Instance(Arc<Instance>),
    Check(Arc<Check>),
    Service {
        name: Name,
        index: Index,
    },
    Session(Arc<Session>),
    Entry(Arc<Entry>),
    Delay {
        key: Name,
        until: WallMs,
    },
    Query(Arc<Query>),
    Event(Arc<Event>),
    Region(Arc<Region>),
    Member(Arc<Member>),
    Secret {
        name: Name,
        value: Bytes,
    },
    Document(Arc<Document>),
    Retired {
        name: Name,
        version: u64,
    },
    RetiredFloor(u64),
    Gone {
        kind: Gone,
        tombstone: Tombstone,
    },
    GoneFloor {
        kind: Gone,
        index: Index,
    },
    End {
        records: u64,
    },
    Outage(Arc<Outage>),
    Checker(Arc<Checker>),
    Verdict(Arc<Verdict>),
    Lease(Arc<Lease>),
    LeasesIndex(Index),
    /// The next piece of an archive that is being taken over.
    Arriving {
        archive: Name,
        piece: Bytes,
    },
    /// When the last of its pieces came.
    ArrivingAt(WallMs),
    Restored(Index),
}

/// Whose tombstone it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Gone {
    Node,
    Service,
    Key,
    Session,
}

impl Map {
    /// Reads the map as it is, so take a clone: applying goes on beside it.
    pub fn write_snapshot(&self, out: impl Write) -> io::Result<()> {
        let mut frames = Frames { out, payload: Vec::with_capacity(FRAME + FRAME / 4), records: 0 };
        frames.out.write_all(MAGIC)?;
        frames.out.write_all(&[VERSION])?;
        frames.put(&self.head())?;
        self.write_catalog(&mut frames)?;
        self.write_keys(&mut frames)?;
        self.write_tables(&mut frames)?;
        self.write_tombstones(&mut frames)?;
        let records = frames.records;
        frames.put(&Item::End { records })?;
        frames.flush()?;
        frames.out.flush()
    }

    fn head(&self) -> Item {
        Item::Head {
            index: self.index,
            changed: self.changed,
            nodes: self.catalog.nodes_index,
            services: self.catalog.services_index,
            checks: self.catalog.checks_index,
            sessions: self.sessions.index,
            tables: self.tables.index,
        }
    }

    fn write_catalog<W: Write>(&self, frames: &mut Frames<W>) -> io::Result<()> {
        for host in self.catalog.hosts.values() {
            frames.put(&Item::Node { node: host.node.clone(), index: host.index })?;
            for instance in &host.instances {
                frames.put(&Item::Instance(instance.clone()))?;
            }
            for check in &host.checks {
                frames.put(&Item::Check(check.clone()))?;
            }
        }
        for (name, service) in &self.catalog.services {
            frames.put(&Item::Service { name: name.clone(), index: service.index })?;
        }
        Ok(())
    }

    fn write_keys<W: Write>(&self, frames: &mut Frames<W>) -> io::Result<()> {
        for session in self.sessions() {
            frames.put(&Item::Session(session.clone()))?;
        }
        for entry in &self.kv.entries {
            frames.put(&Item::Entry(entry.clone()))?;
        }
        for (key, until) in &self.kv.delays.by_key {
            frames.put(&Item::Delay { key: key.clone(), until: *until })?;
        }
        Ok(())
    }

    fn write_tables<W: Write>(&self, frames: &mut Frames<W>) -> io::Result<()> {
        for query in self.queries() {
            frames.put(&Item::Query(query.clone()))?;
        }
        for event in self.events() {
            frames.put(&Item::Event(event.clone()))?;
        }
        for region in self.regions() {
            frames.put(&Item::Region(region.clone()))?;
        }
        for member in self.members() {
            frames.put(&Item::Member(member.clone()))?;
        }
        for (name, value) in &self.tables.secrets {
            frames.put(&Item::Secret { name: name.clone(), value: value.clone() })?;
        }
        for document in self.tables.documents.values().flatten() {
            frames.put(&Item::Document(document.clone()))?;
        }
        for (name, version) in &self.tables.retired.by_name {
            frames.put(&Item::Retired { name: name.clone(), version: *version })?;
        }
        frames.put(&Item::RetiredFloor(self.tables.retired.floor))?;
        for outage in self.tables.outages.values() {
            frames.put(&Item::Outage(outage.clone()))?;
        }
        for checker in self.tables.checkers.values() {
            frames.put(&Item::Checker(checker.clone()))?;
        }
        for verdict in self.tables.verdicts.values() {
            frames.put(&Item::Verdict(verdict.clone()))?;
        }
        for lease in self.leases() {
            frames.put(&Item::Lease(lease.clone()))?;
        }
        // A program that knows no leases reads what never had any.
        if self.tables.leases_index > 0 {
            frames.put(&Item::LeasesIndex(self.tables.leases_index))?;
        }
        let arriving = &self.tables.arriving;
        for piece in &arriving.pieces {
            let (archive, piece) = (arriving.archive.clone(), piece.clone());
            frames.put(&Item::Arriving { archive, piece })?;
        }
        if !arriving.pieces.is_empty() {
            frames.put(&Item::ArrivingAt(arriving.at))?;
        }
        if self.restored > 0 {
            frames.put(&Item::Restored(self.restored))?;
        }
        Ok(())
    }

    fn write_tombstones<W: Write>(&self, frames: &mut Frames<W>) -> io::Result<()> {
        let kinds = [
            (Gone::Node, &self.catalog.gone_nodes),
            (Gone::Service, &self.catalog.gone_services),
            (Gone::Key, &self.kv.gone),
            (Gone::Session, &self.sessions.gone),
        ];
        for (kind, tombstones) in kinds {
            for tombstone in tombstones.iter() {
                frames.put(&Item::Gone { kind, tombstone })?;
            }
            frames.put(&Item::GoneFloor { kind, index: tombstones.floor() })?;
        }
        Ok(())
    }

    /// Everything that [`Map::write_snapshot`] wrote, or why not.
    pub fn read_snapshot(mut from: impl Read) -> Result<Map, SnapshotError> {
        let mut start = [0; MAGIC.len() + 1];
        fill(&mut from, &mut start, 0)?;
        match start.split_at(MAGIC.len()) {
            (magic, _) if magic != MAGIC => return Err(SnapshotError::NotOne),
            (_, version) if version != [VERSION] => return Err(SnapshotError::Version(start[MAGIC.len()])),
            _ => {}
        }
        let mut map = Map::default();
        let (mut records, mut payload) = (0, Vec::new());
        loop {
            frame(&mut from, &mut payload, records)?;
            let damaged = |what: String| SnapshotError::Damaged { records, what };
            let mut rest = payload.as_slice();
            let mut seen = 0;
            while !rest.is_empty() {
                let (item, more) =
                    postcard::take_from_bytes(rest).map_err(|error| damaged(error.to_string()))?;
                rest = more;
                if let Item::End { records: written } = item {
                    let all = records + seen;
                    let whole = written == all && rest.is_empty();
                    return if whole { Ok(map) } else { Err(damaged(format!("{all} of {written} records"))) };
                }
                map.restore(item).map_err(damaged)?;
                seen += 1;
            }
            records += seen;
        }
    }

    pub(super) fn tombstones_mut(&mut self, kind: Gone) -> &mut Tombstones {
        match kind {
            Gone::Node => &mut self.catalog.gone_nodes,
            Gone::Service => &mut self.catalog.gone_services,
            Gone::Key => &mut self.kv.gone,
            Gone::Session => &mut self.sessions.gone,
        }
    }
}

struct Frames<W> {
    out: W,
    payload: Vec<u8>,
    records: u64,
}

impl<W: Write> Frames<W> {
    fn put(&mut self, item: &Item) -> io::Result<()> {
        let payload = std::mem::take(&mut self.payload);
        self.payload = postcard::to_extend(item, payload).map_err(io::Error::other)?;
        self.records += 1;
        if self.payload.len() < FRAME { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.payload.len() > FRAME_MAX {
            return Err(io::Error::other(format!("a record of {} bytes", self.payload.len())));
        }
        self.out.write_all(&(self.payload.len() as u32).to_le_bytes())?;
        self.out.write_all(&crc32fast::hash(&self.payload).to_le_bytes())?;
        self.out.write_all(&self.payload)?;
        self.payload.clear();
        Ok(())
    }
}

/// Reads a frame into `payload`, which grows with what arrives rather than with what is announced.
fn frame(from: &mut impl Read, payload: &mut Vec<u8>, records: u64) -> Result<(), SnapshotError> {
    let (mut length, mut crc) = ([0; 4], [0; 4]);
    fill(from, &mut length, records)?;
    fill(from, &mut crc, records)?;
    let length = u32::from_le_bytes(length) as usize;
    let damaged = |what: String| Err(SnapshotError::Damaged { records, what });
    if length == 0 || length > FRAME_MAX {
        return damaged(format!("a frame of {length} bytes"));
    }
    payload.clear();
    from.take(length as u64).read_to_end(payload)?;
    if payload.len() < length {
        return Err(SnapshotError::Truncated(records));
    }
    if crc32fast::hash(payload) != u32::from_le_bytes(crc) {
        return damaged("its checksum does not match".into());
    }
    Ok(())
}

fn fill(from: &mut impl Read, bytes: &mut [u8], records: u64) -> Result<(), SnapshotError> {
    match from.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(SnapshotError::Truncated(records)),
        other => Ok(other?),
    }
}
