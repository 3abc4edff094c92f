//! The file of the log: tables, opening, and one durable commit for many changes.

use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::error::StoreError;
use super::record::{self, Identity};
use crate::region::raft::types::{Entry, LogId, Vote};

const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// The version of the tables.
const FORMAT: u32 = 1;
const FILE: &str = "region.redb";
/// Says that there was a log here, should the log be gone.
const MARK: &str = "region.format";
/// A file in `data-dir` that makes the next start that of a cluster of this node alone (`isobar cluster force-new`).
pub const FORCE_NEW: &str = "force-new";

/// Much of the log is in memory beside it.
const CACHE_BYTES: usize = 16 << 20;

/// One change of the file.
pub(super) enum Change {
    /// Each with its index.
    Append(Vec<(u64, Bytes)>),
    Vote(Vote),
    Committed(LogId),
    /// From this index on.
    Truncate(u64),
    /// Up to and with it.
    Purge(LogId),
    Identity(Identity),
}

/// What the file says when it is opened.
pub(super) struct Found {
    pub identity: Identity,
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
    pub last: Option<LogId>,
}

/// How to open the file again after an error closed it.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, StoreError> + Send + Sync>;

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// Opens `data-dir`, which is made if it is not there.
pub(super) fn in_dir(dir: &Path) -> Result<(Database, Opener), StoreError> {
    let io = |e| StoreError::Io(dir.to_owned(), e);
    std::fs::create_dir_all(dir).map_err(io)?;
    let (file, mark) = (dir.join(FILE), dir.join(MARK));
    let length = match std::fs::metadata(&file) {
        Ok(meta) => meta.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
        Err(e) => return Err(io(e)),
    };
    if length == 0 && mark.exists() {
        return Err(StoreError::Damaged(
            dir.to_owned(),
            format!("{FILE} is missing or empty, but {MARK} says there was one"),
        ));
    }
    // The log holds the cluster's secrets. It is the file's maker who says who may read it, so that comes first.
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&file).map_err(io)?;
    let path = dir.to_owned();
    let opener: Opener = Box::new(move || builder().create(&file).map_err(|e| explain(&path, e)));
    let database = opener()?;
    Ok((database, opener))
}

/// Leaves the mark, once the file is a store.
pub(super) fn mark(dir: &Path) -> Result<(), StoreError> {
    let mark = dir.join(MARK);
    if mark.exists() {
        return Ok(());
    }
    let text = format!("format {FORMAT}\n");
    super::snapshot::write_whole(&mark, |out| out.write_all(text.as_bytes()))
        .map_err(|e| StoreError::Io(dir.to_owned(), e))
}

fn explain(dir: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreError::Locked(dir.to_owned())
        }
        DatabaseError::UpgradeRequired(_) => {
            StoreError::Damaged(dir.to_owned(), format!("{FILE} is of an old file format"))
        }
        DatabaseError::Storage(redb::StorageError::Io(e)) if e.kind() != std::io::ErrorKind::InvalidData => {
            StoreError::Io(PathBuf::from(dir), e)
        }
        other => StoreError::Damaged(dir.to_owned(), format!("{FILE}: {other}")),
    }
}

fn wrong(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Database(error.into())
}

/// Reads what a file says, or makes it a store if it is new.
pub(super) fn found(database: &Database, dir: &Path) -> Result<Found, StoreError> {
    let txn = database.begin_read().map_err(wrong)?;
    let empty = txn.list_tables().map_err(wrong)?.next().is_none();
    drop(txn);
    if empty {
        return make(database);
    }
    let txn = database.begin_read().map_err(wrong)?;
    let foreign = |e: redb::TableError| match redb::Error::from(e) {
        e @ (redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. }) => {
            StoreError::Damaged(dir.to_owned(), format!("{FILE} holds no log of the region map: {e}"))
        }
        e => StoreError::Database(e),
    };
    let meta = txn.open_table(META).map_err(foreign)?;
    let format = meta.get("format").map_err(wrong)?.map(|v| v.value().to_vec());
    let format = format.and_then(|v| <[u8; 4]>::try_from(v).ok()).map(u32::from_le_bytes);
    match format {
        Some(FORMAT) => {}
        Some(found) => return Err(StoreError::Newer { path: dir.to_owned(), found, known: FORMAT }),
        None => return Err(StoreError::Damaged(dir.to_owned(), format!("{FILE} does not say its format"))),
    }
    let read = |key: &str| -> Result<Option<Vec<u8>>, StoreError> {
        Ok(meta.get(key).map_err(wrong)?.map(|v| v.value().to_vec()))
    };
    let log = txn.open_table(LOG).map_err(foreign)?;
    let last = log
        .last()
        .map_err(wrong)?
        .map(|(_, v)| record::entry_from_bytes(v.value()).map(|e| e.log_id))
        .transpose()?;
    let purged = read("purged")?.map(|v| record::id_from_bytes(&v)).transpose()?;
    let Some(identity) = read("identity")? else {
        return Err(StoreError::Damaged(dir.to_owned(), format!("{FILE} does not say whose it is")));
    };
    Ok(Found {
        identity: record::identity_from_bytes(&identity)?,
        vote: read("vote")?.map(|v| record::vote_from_bytes(&v)).transpose()?,
        committed: read("committed")?.map(|v| record::id_from_bytes(&v)).transpose()?,
        last: last.or(purged),
        purged,
    })
}

fn make(database: &Database) -> Result<Found, StoreError> {
    let identity = Identity { store: uuid::Uuid::new_v4().as_u128(), ..Identity::default() };
    let txn = database.begin_write().map_err(wrong)?;
    {
        let mut meta = txn.open_table(META).map_err(wrong)?;
        meta.insert("format", FORMAT.to_le_bytes().as_slice()).map_err(wrong)?;
        meta.insert("identity", record::identity_to_bytes(&identity).as_slice()).map_err(wrong)?;
        txn.open_table(LOG).map_err(wrong)?;
    }
    txn.commit().map_err(wrong)?;
    Ok(Found { identity, vote: None, committed: None, purged: None, last: None })
}

/// All of the changes, in order, durable when it returns. Doing it twice is doing it once.
pub(super) fn commit<'a>(
    database: &Database,
    changes: impl Iterator<Item = &'a Change>,
) -> Result<(), StoreError> {
    let txn = database.begin_write().map_err(wrong)?;
    {
        let mut log = txn.open_table(LOG).map_err(wrong)?;
        let mut meta = txn.open_table(META).map_err(wrong)?;
        let mut set = |key: &str, value: Vec<u8>| meta.insert(key, value.as_slice()).map(drop).map_err(wrong);
        for change in changes {
            match change {
                Change::Append(entries) => {
                    for (index, bytes) in entries {
                        log.insert(index, &bytes[..]).map_err(wrong)?;
                    }
                }
                Change::Vote(vote) => set("vote", record::vote_to_bytes(vote))?,
                Change::Committed(id) => set("committed", record::id_to_bytes(id))?,
                Change::Truncate(from) => log.retain_in(*from.., |_, _| false).map_err(wrong)?,
                Change::Purge(upto) => {
                    set("purged", record::id_to_bytes(upto))?;
                    log.retain_in(..=upto.index, |_, _| false).map_err(wrong)?;
                }
                Change::Identity(identity) => set("identity", record::identity_to_bytes(identity))?,
            }
        }
    }
    txn.commit().map_err(wrong)
}

/// Entries of the range, until they are more than `limit` bytes; at least one, if there is one.
pub(super) fn read(database: &Database, range: Range<u64>, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let txn = database.begin_read().map_err(wrong)?;
    let log = txn.open_table(LOG).map_err(wrong)?;
    let mut entries = Vec::new();
    let mut total = 0;
    for item in log.range(range).map_err(wrong)? {
        let (_, bytes) = item.map_err(wrong)?;
        total += bytes.value().len();
        if total > limit && !entries.is_empty() {
            break;
        }
        entries.push(record::entry_from_bytes(bytes.value())?);
    }
    Ok(entries)
}
