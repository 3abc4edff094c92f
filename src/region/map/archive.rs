//! What is kept of a map outside its cluster, and how another cluster takes it over.
//!
//! An archive is a snapshot without what a cluster says of itself: its members, their secrets, leases, lost regions, who
//! checks what. It stands in a gzip file (RFC 1952) whose blocks are stored as they are.
//!
//! It comes back through the log, in pieces, so that every node takes it over at the same entry. The pieces that came
//! are part of the map until the last is there, which puts everything in its place with the indexes that it had.

use std::io::{self, Read, Write};

use bytes::Bytes;
use imbl::Vector;

use super::change::Change;
use super::command::{Piece, Refusal};
use super::map::Map;
use super::record::WallMs;
use super::snapshot::SnapshotError;
use super::tables::Arriving;
use super::topic::Topic;

/// Bytes of an archive that is taken over, at most.
pub const ARCHIVE_BYTES: usize = 1 << 30;
/// Of a piece of it, at most.
pub const ARCHIVE_PIECE: usize = 1 << 20;
/// The next piece has to come within that time, in milliseconds; else those that came are given up.
const PIECE_MS: WallMs = 600_000;

struct Pieces(Vector<Bytes>);

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.0.front().is_some_and(Bytes::is_empty) {
            self.0.pop_front();
        }
        let Some(first) = self.0.front_mut() else { return Ok(0) };
        let taken = first.split_to(into.len().min(first.len()));
        into.get_mut(..taken.len()).unwrap_or_default().copy_from_slice(&taken);
        Ok(taken.len())
    }
}

impl Map {
    /// The map without what its cluster says of itself.
    fn for_others(&self) -> Map {
        let mut map = self.clone();
        map.adopt_cluster(&Map::default());
        map
    }

    /// Takes what another map says of its cluster.
    fn adopt_cluster(&mut self, other: &Map) {
        let (tables, theirs) = (&mut self.tables, other.tables.clone());
        tables.members = theirs.members;
        tables.secrets = theirs.secrets;
        tables.leases = theirs.leases;
        tables.leases_index = theirs.leases_index;
        tables.outages = theirs.outages;
        tables.checkers = theirs.checkers;
        tables.verdicts = theirs.verdicts;
        tables.arriving = theirs.arriving;
        tables.index.members = theirs.index.members;
        self.restored = other.restored;
    }

    /// Writes an archive of the map as it is. Take a clone: applying goes on beside it.
    pub fn write_archive(&self, out: impl Write) -> io::Result<()> {
        let mut zipped = Stored::new(out)?;
        self.for_others().write_snapshot(&mut zipped)?;
        zipped.finish()
    }

    /// Reads through an archive without its gzip, to say what is wrong with it before anybody takes it over.
    pub fn check_archive(archive: &[u8]) -> Result<(), SnapshotError> {
        Map::read_snapshot(archive).map(drop)
    }

    pub(super) fn archive_piece(&mut self, piece: Piece, change: &mut Change) -> Result<(), Refusal> {
        let refused = |why: &str| Err(Refusal::Invalid(why.into()));
        if piece.gives_up() {
            if self.tables.arriving.archive == piece.archive {
                self.tables.arriving = Arriving::default();
            }
            return Ok(());
        }
        if piece.number == 0 {
            self.tables.arriving = Arriving { archive: piece.archive.clone(), ..Arriving::default() };
        }
        let arriving = &mut self.tables.arriving;
        if arriving.archive != piece.archive || arriving.pieces.len() as u64 != piece.number {
            return refused(
                "a piece of an archive that another has overtaken, that was given up because its next piece did not \
                 come, or that does not follow the one before",
            );
        }
        if arriving.pieces.iter().map(Bytes::len).sum::<usize>().saturating_add(piece.data.len())
            > ARCHIVE_BYTES
        {
            self.tables.arriving = Arriving::default();
            return refused("the archive is too large");
        }
        arriving.pieces.push_back(piece.data);
        arriving.at = change.at;
        if piece.last {
            let pieces = std::mem::take(arriving).pieces;
            let taken =
                Map::read_snapshot(Pieces(pieces)).map_err(|e| Refusal::Invalid(e.to_string().into()))?;
            self.take_over(taken.for_others(), change);
        }
        Ok(())
    }

    /// Gives up an archive whose next piece does not come: who sent it is gone.
    pub(super) fn expire_archive(&mut self, at: WallMs) {
        let arriving = &mut self.tables.arriving;
        if !arriving.pieces.is_empty() && at.saturating_sub(arriving.at) >= PIECE_MS {
            *arriving = Arriving::default();
        }
    }

    fn take_over(&mut self, mut taken: Map, change: &mut Change) {
        taken.adopt_cluster(self);
        // A map that knew more keeps its place, else no index would be greater than all before it.
        if self.index > taken.index {
            taken.index = self.index;
            taken.changed = self.index;
        }
        taken.restored = taken.index;
        *self = taken;
        // Everybody looks again.
        change.touched.push(Topic::Any);
    }
}

const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
const BLOCK: usize = 65_535;

/// Writes gzip of stored blocks.
struct Stored<W> {
    out: W,
    crc: crc32fast::Hasher,
    bytes: u32,
}

impl<W: Write> Stored<W> {
    fn new(mut out: W) -> io::Result<Stored<W>> {
        out.write_all(&HEAD)?;
        Ok(Stored { out, crc: crc32fast::Hasher::new(), bytes: 0 })
    }

    fn block(&mut self, data: &[u8], last: bool) -> io::Result<()> {
        let length = data.len() as u16;
        self.out.write_all(&[u8::from(last)])?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&(!length).to_le_bytes())?;
        self.out.write_all(data)
    }

    fn finish(mut self) -> io::Result<()> {
        self.block(&[], true)?;
        self.out.write_all(&self.crc.clone().finalize().to_le_bytes())?;
        self.out.write_all(&self.bytes.to_le_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Write for Stored<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let data = data.get(..data.len().min(BLOCK)).unwrap_or_default();
        if !data.is_empty() {
            self.block(data, false)?;
            self.crc.update(data);
            self.bytes = self.bytes.wrapping_add(data.len() as u32);
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What is in an archive's gzip.
pub fn unzip_archive(zipped: &[u8]) -> Result<Vec<u8>, String> {
    let short = || "the archive ends too early".to_owned();
    if !zipped.starts_with(&HEAD[..2]) {
        return Err("this is no archive of a region map".into());
    }
    let mut rest = match zipped.split_at_checked(HEAD.len()) {
        Some((head, rest)) if *head == HEAD => rest,
        _ => return Err("this archive was not made by Isobar, or was packed anew".into()),
    };
    let mut out = Vec::new();
    loop {
        let (head, more) = rest.split_at_checked(5).ok_or_else(short)?;
        let length = u16::from_le_bytes([head[1], head[2]]);
        if head[0] > 1 || u16::from_le_bytes([head[3], head[4]]) != !length {
            return Err("this archive was not made by Isobar, or was packed anew".into());
        }
        let (data, more) = more.split_at_checked(length.into()).ok_or_else(short)?;
        out.extend_from_slice(data);
        rest = more;
        if head[0] == 1 {
            break;
        }
    }
    let (crc, bytes) = rest.split_at_checked(4).ok_or_else(short)?;
    if crc != crc32fast::hash(&out).to_le_bytes() || bytes != (out.len() as u32).to_le_bytes() {
        return Err("the archive is damaged: its checksum does not match".into());
    }
    Ok(out)
}
