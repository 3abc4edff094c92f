//! The log as Raft sees it: its tail in memory, everything in the file.
//!
//! # Who waits for the disk
//!
//! `append` tells Raft at once that the entries are written, so that the protocol never stands still for a disk: entries
//! go to the followers while this node's own disk works, and many of them share one commit. What Raft must not say
//! before they are durable is held back where it leaves the node, and there are three such places, all of which wait
//! for [`Stable`]: the answer to a leader's entries (`raft::server`), the leader's own commit index (`raft::network`),
//! and apply of what this node proposed (`raft::machine`), after which a client gets its answer. Votes are durable
//! before `save_vote` returns. Changes reach the file in the order in which they were made, so it always holds a state
//! that the log once had.
//!
//! One thing follows: a node may have sent entries that it loses with the power. It must never give their place to
//! others in the same term. So who led when the process ended gives up that term when it starts ([`LogStore::open`]).

use std::collections::VecDeque;
use std::fmt::Debug;
use std::ops::{Bound, Range, RangeBounds};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, ErrorSubject, ErrorVerb, LogState, RaftLogReader, StorageIOError};
use redb::Database;
use tokio::sync::{oneshot, watch};

use super::disk::{self, Change, Opener};
use super::error::StoreError;
use super::pace::Pace;
use super::progress::{Progress, Stable};
use super::record::{self, Identity};
use super::weight::Weight;
use super::writer::{Op, Task, Trouble, Writer};
use crate::region::raft::types::{Consensus, Entry, LogId, StorageError, Vote};

/// What is kept in memory of the log, beyond what is not yet durable.
const TAIL_ENTRIES: usize = 8192;
const TAIL_BYTES: usize = 16 << 20;
/// Between two attempts to read a file that a full disk closed.
const AGAIN: Duration = Duration::from_millis(20);
/// What goes to a follower in one piece.
const PIECE_BYTES: usize = 1 << 20;

struct Tail {
    entries: VecDeque<(Entry, Bytes)>,
    bytes: usize,
    /// Of the whole log.
    weight: Weight,
    /// The index of the front of `entries`, or `next`.
    first: u64,
    /// One past the last.
    next: u64,
    last: Option<LogId>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
    identity: Identity,
}

struct Shared {
    tail: Mutex<Tail>,
    progress: Arc<Progress>,
    database: Arc<Mutex<Option<Arc<Database>>>>,
    tasks: Mutex<Sender<Task>>,
    trouble: Arc<Trouble>,
    pace: Arc<Pace>,
    abandoned: Arc<AtomicBool>,
    closing: Arc<AtomicBool>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// The log; cheap to clone, all clones are one.
#[derive(Clone)]
pub struct LogStore(Arc<Shared>);

impl LogStore {
    /// Opens the log of a `data-dir`, or makes one in memory.
    pub fn open(dir: Option<&Path>) -> Result<LogStore, StoreError> {
        match dir {
            Some(dir) => {
                let (database, opener) = disk::in_dir(dir)?;
                let log = LogStore::with(database, opener, dir)?;
                disk::mark(dir)?;
                Ok(log)
            }
            None => LogStore::in_memory(),
        }
    }

    fn in_memory() -> Result<LogStore, StoreError> {
        let path = Path::new("(memory)");
        let make = || -> Result<Database, StoreError> {
            let backend = redb::backends::InMemoryBackend::new();
            disk::builder().create_with_backend(backend).map_err(|e| StoreError::Database(e.into()))
        };
        LogStore::with(make()?, Box::new(make), path)
    }

    pub(super) fn with(database: Database, opener: Opener, path: &Path) -> Result<LogStore, StoreError> {
        let found = disk::found(&database, path)?;
        let vote = found.vote.map(|vote| give_up(vote, found.identity.id));
        if let (Some(new), true) = (vote, vote != found.vote) {
            disk::commit(&database, std::iter::once(&Change::Vote(new)))?;
        }
        let next = found.last.map_or(0, |id| id.index + 1);
        let (tasks, queue) = std::sync::mpsc::channel();
        let shared = Shared {
            tail: Mutex::new(Tail {
                entries: VecDeque::new(),
                bytes: 0,
                weight: Weight::default(),
                first: next,
                next,
                last: found.last,
                purged: found.purged,
                vote,
                committed: found.committed,
                identity: found.identity,
            }),
            progress: Arc::new(Progress { at: watch::channel((0, next)).0 }),
            database: Arc::new(Mutex::new(Some(Arc::new(database)))),
            tasks: Mutex::new(tasks),
            trouble: Arc::default(),
            pace: Arc::default(),
            abandoned: Arc::default(),
            closing: Arc::default(),
            thread: Mutex::new(None),
        };
        let writer = Writer {
            tasks: queue,
            database: shared.database.clone(),
            opener,
            progress: shared.progress.clone(),
            trouble: shared.trouble.clone(),
            pace: shared.pace.clone(),
            abandoned: shared.abandoned.clone(),
            closing: shared.closing.clone(),
        };
        let thread = std::thread::Builder::new().name("region-store".into()).spawn(move || writer.run());
        *lock(&shared.thread) = Some(thread.map_err(|e| StoreError::Io(path.to_owned(), e))?);
        Ok(LogStore(Arc::new(shared)))
    }

    pub fn stable(&self) -> Stable {
        Stable(self.0.progress.at.subscribe())
    }

    /// Why nothing can be written at the moment: what the disk said, or that it says nothing.
    pub fn trouble(&self) -> Option<Arc<String>> {
        self.0.trouble.load_full().or_else(|| self.0.pace.stalled().map(Arc::new))
    }

    /// A disk that does not answer for so long counts as one that cannot be written.
    pub fn bear(&self, patience: Duration) {
        self.0.pace.bear(patience);
    }

    pub fn identity(&self) -> Identity {
        self.tail().identity.clone()
    }

    /// The member's id; 0 before it has one.
    pub fn id(&self) -> u64 {
        self.tail().identity.id
    }

    /// Durable when it returns.
    pub async fn set_identity(&self, identity: Identity) -> Result<(), StoreError> {
        self.tail().identity = identity.clone();
        self.durably(Change::Identity(identity)).await
    }

    pub fn last(&self) -> Option<LogId> {
        self.tail().last
    }

    pub fn vote(&self) -> Option<Vote> {
        self.tail().vote
    }

    /// Bytes of the log at `from` and behind it, as far as this process appended them.
    pub fn bytes_from(&self, from: u64) -> u64 {
        self.tail().weight.from(from)
    }

    /// Up to which index entries can go so that of all before `end` no more than `bytes` are left.
    pub fn surplus(&self, bytes: u64, end: u64) -> Option<u64> {
        self.tail().weight.surplus(bytes, end)
    }

    /// The log id of what is durable, up to `wanted`: what may be told to others as committed.
    pub fn durable_upto(&self, wanted: LogId) -> Option<LogId> {
        let end = self.0.progress.at.borrow().1;
        if wanted.index < end {
            return Some(wanted);
        }
        let tail = self.tail();
        let at = end.checked_sub(1)?;
        match at.checked_sub(tail.first) {
            Some(place) => tail.entries.get(place as usize).map(|(e, _)| e.log_id),
            None => tail.purged.filter(|p| p.index == at),
        }
    }

    /// Ends the log with `entry`, which with everything before it is committed, under `vote`; durable when it returns.
    /// Before Raft runs on this log. Blocks.
    pub fn found_anew(&self, snapshot: Option<LogId>, entry: Entry, vote: Vote) -> Result<(), StoreError> {
        let id = entry.log_id;
        if let Some(at) = snapshot.filter(|at| self.last().is_none_or(|last| last.index < at.index)) {
            self.purge_upto(at)?;
        }
        self.take([entry])?;
        let (done, wait) = oneshot::channel();
        let mut tail = self.tail();
        (tail.vote, tail.committed) = (Some(vote), Some(id));
        for (change, done) in [(Change::Committed(id), None), (Change::Vote(vote), Some(done))] {
            self.send(Op { change, stable: None, epoch: self.epoch(), done })?;
        }
        drop(tail);
        wait.blocking_recv().map_err(|_| StoreError::Gone)
    }

    fn purge_upto(&self, log_id: LogId) -> Result<(), StoreError> {
        let mut tail = self.tail();
        while tail.first <= log_id.index && !tail.entries.is_empty() {
            tail.drop_front();
        }
        tail.purged = tail.purged.max(Some(log_id));
        tail.weight.purge(log_id.index);
        if tail.next <= log_id.index {
            tail.next = log_id.index + 1;
            tail.first = tail.next;
            tail.last = Some(log_id);
        }
        let epoch = self.epoch();
        self.send(Op { change: Change::Purge(log_id), stable: Some(log_id.index + 1), epoch, done: None })
    }

    /// An entry as bytes; made anew only if it left the memory.
    pub fn record_of(&self, entry: &Entry) -> Bytes {
        let tail = self.tail();
        let place = entry.log_id.index.checked_sub(tail.first).and_then(|at| tail.entries.get(at as usize));
        match place.filter(|(kept, _)| kept.log_id == entry.log_id) {
            Some((_, bytes)) => bytes.clone(),
            None => record::entry_to_bytes(entry).into(),
        }
    }

    /// Writes what waits, and closes the file. What a full disk does not take is lost: nobody was told that it was kept.
    pub fn close(&self) {
        self.0.closing.store(true, std::sync::atomic::Ordering::Release);
        let _ = lock(&self.0.tasks).send(Task::Stop);
        if let Some(thread) = lock(&self.0.thread).take() {
            let _ = thread.join();
        }
    }

    /// Closes the file and forgets what was not written yet, as the end of a killed process does.
    pub fn abandon(&self) {
        self.0.abandoned.store(true, std::sync::atomic::Ordering::Release);
        self.close();
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        lock(&self.0.tail)
    }

    fn send(&self, op: Op) -> Result<(), StoreError> {
        lock(&self.0.tasks).send(Task::Do(op)).map_err(|_| StoreError::Gone)
    }

    fn epoch(&self) -> u64 {
        self.0.progress.at.borrow().0
    }

    async fn durably(&self, change: Change) -> Result<(), StoreError> {
        let (done, wait) = oneshot::channel();
        self.send(Op { change, stable: None, epoch: self.epoch(), done: Some(done) })?;
        wait.await.map_err(|_| StoreError::Gone)
    }

    /// Takes entries into the tail and sends them to the file.
    fn take(&self, entries: impl IntoIterator<Item = Entry>) -> Result<(), StoreError> {
        let mut records = Vec::new();
        let mut tail = self.tail();
        for entry in entries {
            let bytes: Bytes = record::entry_to_bytes(&entry).into();
            records.push((entry.log_id.index, bytes.clone()));
            if tail.entries.is_empty() {
                tail.first = entry.log_id.index;
            }
            tail.last = Some(entry.log_id);
            tail.next = entry.log_id.index + 1;
            tail.bytes += bytes.len();
            tail.weight.add(entry.log_id.index, bytes.len());
            tail.entries.push_back((entry, bytes));
        }
        let (epoch, stable) = *self.0.progress.at.borrow();
        tail.shrink(stable);
        let end = tail.next;
        // Sent under the lock of the tail, so that the file sees changes in the order of the tail.
        self.send(Op { change: Change::Append(records), stable: Some(end), epoch, done: None })
    }

    /// What of the range is in memory, and what range is to be read from the file before it.
    fn cached(&self, range: Range<u64>, limit: usize) -> (Range<u64>, Vec<Entry>) {
        let tail = self.tail();
        let start = range.start.max(tail.purged.map_or(0, |p| p.index + 1));
        let end = range.end.min(tail.next);
        if start >= end {
            return (0..0, Vec::new());
        }
        let from = start.max(tail.first).min(end);
        let mut bytes = 0;
        let mut entries = Vec::with_capacity((end - from).min(4096) as usize);
        for (entry, encoded) in
            tail.entries.range((from - tail.first.min(from)) as usize..(end - tail.first.min(end)) as usize)
        {
            bytes += encoded.len();
            if bytes > limit && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        (start..from, entries)
    }

    /// While the disk is full the file is closed and opened again and again, and cannot be read now and then: an error
    /// would end the protocol's task for good, so that one waits until it can.
    async fn entries(&self, range: Range<u64>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        loop {
            let (missing, cached) = self.cached(range.clone(), limit);
            if missing.is_empty() {
                return Ok(cached);
            }
            match self.read_file(missing, limit).await {
                Ok(mut entries) => {
                    if limit == usize::MAX {
                        entries.extend(cached);
                    }
                    return Ok(entries);
                }
                Err(e) if self.0.trouble.load().is_none() && !e.is_of_former() => return Err(e),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    async fn read_file(&self, range: Range<u64>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let database = lock(&self.0.database).clone().ok_or(StoreError::Gone)?;
        let read = tokio::task::spawn_blocking(move || disk::read(&database, range, limit));
        read.await.map_err(|_| StoreError::Gone)?
    }
}

impl Tail {
    /// Forgets the oldest of what is durable and more than is worth its memory.
    fn shrink(&mut self, stable: u64) {
        while (self.entries.len() > TAIL_ENTRIES || self.bytes > TAIL_BYTES) && self.first < stable {
            self.drop_front();
        }
    }

    fn drop_front(&mut self) {
        if let Some((_, bytes)) = self.entries.pop_front() {
            self.bytes -= bytes.len();
            self.first += 1;
        }
    }

    fn truncate(&mut self, from: u64, before: Option<LogId>) {
        while self.next > from
            && self.entries.pop_back().is_some_and(|(_, b)| {
                self.bytes -= b.len();
                true
            })
        {
            self.next -= 1;
        }
        self.weight.cut(from);
        self.next = from;
        self.first = self.first.min(from);
        self.last = before;
    }
}

/// Who led when the process ended may have sent entries that it no longer has: it starts as a candidate of a new term,
/// so that no two entries ever bear one id.
fn give_up(vote: Vote, me: u64) -> Vote {
    if vote.committed && vote.leader_id.node_id == me { Vote::new(vote.leader_id.term + 1, me) } else { vote }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

fn failed(verb: ErrorVerb, error: StoreError) -> StorageError {
    StorageIOError::new(ErrorSubject::Logs, verb, AnyError::new(&error)).into()
}

impl RaftLogReader<Consensus> for LogStore {
    async fn try_get_log_entries<R>(&mut self, range: R) -> Result<Vec<Entry>, StorageError>
    where
        R: RangeBounds<u64> + Clone + Debug + Send,
    {
        let start = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(at) => at.saturating_add(1),
            Bound::Excluded(at) => *at,
            Bound::Unbounded => u64::MAX,
        };
        self.entries(start..end, usize::MAX).await.map_err(|e| failed(ErrorVerb::Read, e))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        self.entries(start..end, PIECE_BYTES).await.map_err(|e| failed(ErrorVerb::Read, e))
    }
}

impl RaftLogStorage<Consensus> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<Consensus>, StorageError> {
        let tail = self.tail();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.tail().vote = Some(*vote);
        self.durably(Change::Vote(*vote)).await.map_err(|e| failed(ErrorVerb::Write, e))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.tail().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let Some(id) = committed else { return Ok(()) };
        self.tail().committed = Some(id);
        // Nobody waits for it: it lets a node that starts without a quorum serve what it had applied.
        let op = Op { change: Change::Committed(id), stable: None, epoch: 0, done: None };
        self.send(op).map_err(|e| failed(ErrorVerb::Write, e))
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        let tail = self.tail();
        // What was lost with the power was never promised to anyone.
        Ok(tail.committed.min(tail.last))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Consensus>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        self.take(entries).map_err(|e| failed(ErrorVerb::Write, e))?;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let from = log_id.index;
        let before = match from.checked_sub(1) {
            Some(at) => self.try_get_log_entries(at..from).await?.pop().map(|e| e.log_id),
            None => None,
        };
        let mut tail = self.tail();
        let before = before.or(tail.purged);
        tail.truncate(from, before);
        let epoch = self.0.progress.cut(from);
        let op = Op { change: Change::Truncate(from), stable: Some(from), epoch, done: None };
        self.send(op).map_err(|e| failed(ErrorVerb::Write, e))
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.purge_upto(log_id).map_err(|e| failed(ErrorVerb::Write, e))
    }
}
