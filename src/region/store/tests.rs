//! The store against openraft's own suite, against power that fails, and against files that are not ours.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::testing::{StoreBuilder, Suite, blank_ent};
use openraft::{CommittedLeaderId, EntryPayload, RaftLogReader};
use redb::StorageBackend;
use tokio::sync::watch;

use super::disk;
use super::*;
use crate::region::map::{Command, Proposal, PutWhen};
use crate::region::raft::machine::Machine;
use crate::region::raft::types::{Consensus, Entry, LogId, StorageError, Vote};

struct OnDisk;
struct InMemory;

fn parts(dir: Option<&Path>) -> (LogStore, Machine) {
    let log = LogStore::open(dir).expect("a store");
    let snapshots = Snapshots::open(dir).expect("snapshots");
    let machine = Machine::open(&log, snapshots, watch::channel(0).0).expect("a machine");
    (log, machine)
}

impl StoreBuilder<Consensus, LogStore, Machine, tempfile::TempDir> for OnDisk {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Machine), StorageError> {
        let dir = tempfile::tempdir().expect("a directory");
        let (log, machine) = parts(Some(dir.path()));
        Ok((dir, log, machine))
    }
}

impl StoreBuilder<Consensus, LogStore, Machine, ()> for InMemory {
    async fn build(&self) -> Result<((), LogStore, Machine), StorageError> {
        let (log, machine) = parts(None);
        Ok(((), log, machine))
    }
}

#[test]
fn the_suite_of_openraft_passes_on_disk() {
    Suite::test_all(OnDisk).expect("the suite");
}

#[test]
fn the_suite_of_openraft_passes_in_memory() {
    Suite::test_all(InMemory).expect("the suite");
}

fn run<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(what)
}

fn entry(term: u64, index: u64) -> Entry {
    let key = format!("{term}/{index}");
    let command = Command::KvPut {
        key: key.as_str().into(),
        value: vec![7; 300].into(),
        flags: 0,
        when: PutWhen::Always,
    };
    let log_id = LogId::new(CommittedLeaderId::new(term, 1), index);
    Entry { log_id, payload: EntryPayload::Normal(Arc::new(Proposal { at: 0, command })) }
}

/// A disk that forgets what was not synced, in part, when the power goes.
#[derive(Debug)]
pub(crate) struct Disk {
    /// What survives.
    synced: Mutex<Vec<u8>>,
    /// What the program sees.
    seen: Mutex<Vec<u8>>,
    /// Written since the last sync, in pages of 512 bytes that fail one by one.
    dirty: Mutex<BTreeMap<usize, ()>>,
    /// Operations until the power goes.
    left: AtomicU64,
    /// From then on nothing works.
    dark: AtomicBool,
    pub(crate) full: AtomicBool,
    /// Nothing that is written comes back.
    pub(crate) hung: AtomicBool,
    /// What every sync takes.
    pub(crate) slow_ms: AtomicU64,
}

const SECTOR: usize = 512;

impl Disk {
    pub(crate) fn new(left: u64) -> Arc<Disk> {
        Arc::new(Disk {
            synced: Mutex::default(),
            seen: Mutex::default(),
            dirty: Mutex::default(),
            left: AtomicU64::new(left),
            dark: AtomicBool::new(false),
            full: AtomicBool::new(false),
            hung: AtomicBool::new(false),
            slow_ms: AtomicU64::new(0),
        })
    }

    fn power(&self) -> io::Result<()> {
        if self.dark.load(Ordering::SeqCst) {
            return Err(io::Error::other("no power"));
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.dark.store(true, Ordering::SeqCst);
            return Err(io::Error::other("no power"));
        }
        Ok(())
    }

    fn room(&self) -> io::Result<()> {
        while self.hung.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        if self.full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// What is found when the power is back: of what was not synced, some sectors were written and some were not.
    fn after_power_loss(&self, random: &mut Random) -> Arc<Disk> {
        let mut image = self.synced.lock().unwrap().clone();
        let seen = self.seen.lock().unwrap();
        if image.len() < seen.len() && random.below(2) == 0 {
            image.resize(seen.len(), 0);
        }
        for sector in self.dirty.lock().unwrap().keys().filter(|_| random.below(2) == 0) {
            let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(image.len()).min(seen.len()));
            if from < to {
                image[from..to].copy_from_slice(&seen[from..to]);
            }
        }
        let disk = Disk::new(u64::MAX);
        *disk.synced.lock().unwrap() = image.clone();
        *disk.seen.lock().unwrap() = image;
        disk
    }
}

#[derive(Debug, Clone)]
struct Plug(Arc<Disk>);

impl StorageBackend for Plug {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.seen.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let seen = self.0.seen.lock().unwrap();
        let from = offset as usize;
        let there = seen.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(there);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.power()?;
        self.0.room()?;
        self.0.seen.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.power()?;
        std::thread::sleep(std::time::Duration::from_millis(self.0.slow_ms.load(Ordering::SeqCst)));
        while self.0.hung.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        *self.0.synced.lock().unwrap() = self.0.seen.lock().unwrap().clone();
        self.0.dirty.lock().unwrap().clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.power()?;
        self.0.room()?;
        let from = offset as usize;
        self.0.seen.lock().unwrap()[from..from + data.len()].copy_from_slice(data);
        let sectors = from / SECTOR..=(from + data.len().max(1) - 1) / SECTOR;
        self.0.dirty.lock().unwrap().extend(sectors.map(|s| (s, ())));
        Ok(())
    }
}

pub(crate) fn open(disk: &Arc<Disk>) -> Result<LogStore, StoreError> {
    let plug = Plug(disk.clone());
    let opener =
        move || disk::builder().create_with_backend(plug.clone()).map_err(|e| StoreError::Database(e.into()));
    LogStore::with(opener()?, Box::new(opener), Path::new("(test)"))
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// What was promised to others.
#[derive(Default)]
struct Promised {
    vote: Option<Vote>,
    /// Durable entries.
    entries: BTreeMap<u64, LogId>,
    /// One past what was purged.
    purged: u64,
}

/// Whether it came true before the power went.
async fn in_light(log: &LogStore, what: impl Future<Output = bool>) -> bool {
    tokio::pin!(what);
    loop {
        if let Ok(done) = tokio::time::timeout(std::time::Duration::from_millis(5), &mut what).await {
            return done;
        }
        if log.trouble().is_some() {
            return false;
        }
    }
}

/// Appends, truncates, purges and votes until the power goes.
async fn work(log: &mut LogStore, random: &mut Random) -> Promised {
    let mut promised = Promised::default();
    let (mut next, mut term) = (0, 1);
    for _ in 0..400 {
        match random.below(20) {
            0 => {
                term += 1;
                let vote = Vote::new(term, 2);
                let mut saver = log.clone();
                if in_light(log, async move { saver.save_vote(&vote).await.is_ok() }).await {
                    promised.vote = Some(vote);
                }
            }
            1 if next > promised.purged + 3 => {
                let from = next - 1 - random.below(3);
                promised.entries.split_off(&from);
                let last = log.try_get_log_entries(from..from + 1).await;
                let Some(first) = last.ok().and_then(|e| e.first().map(|e| e.log_id)) else { break };
                if log.truncate(first).await.is_err() {
                    break;
                }
                (next, term) = (from, term + 1);
            }
            2 if next > promised.purged + 20 => {
                let upto = promised.purged + random.below(10);
                let Ok(found) = log.try_get_log_entries(upto..upto + 1).await else { break };
                let Some(id) = found.first().map(|e| e.log_id) else { break };
                promised.purged = upto + 1;
                promised.entries = promised.entries.split_off(&(upto + 1));
                if log.purge(id).await.is_err() {
                    break;
                }
            }
            _ => {
                let count = 1 + random.below(5);
                let entries: Vec<Entry> = (next..next + count).map(|index| entry(term, index)).collect();
                let ids: Vec<LogId> = entries.iter().map(|e| e.log_id).collect();
                if log.blocking_append(entries).await.is_err() {
                    break;
                }
                next += count;
                let mut stable = log.stable();
                if random.below(3) > 0 && in_light(log, stable.reached(next - 1)).await {
                    promised.entries.extend(ids.into_iter().map(|id| (id.index, id)));
                }
            }
        }
        if log.trouble().is_some() {
            break;
        }
    }
    promised
}

#[test]
fn nothing_promised_is_lost_with_the_power() {
    let mut promised_entries = 0;
    for seed in 0..200 {
        let mut random = Random(seed * 7919 + 1);
        // Beyond what making a store takes.
        let disk = Disk::new(40 + random.below(1500));
        let Ok(mut log) = open(&disk) else { continue };
        let promised = run(work(&mut log, &mut random));
        log.abandon();
        let after = disk.after_power_loss(&mut random);
        let mut log = open(&after).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let vote = run(log.read_vote()).expect("a vote");
        assert!(vote >= promised.vote, "seed {seed}: the vote {vote:?} is older than {:?}", promised.vote);
        let found: BTreeMap<u64, LogId> = run(log.try_get_log_entries(0..u64::MAX))
            .expect("entries")
            .into_iter()
            .map(|e| (e.log_id.index, e.log_id))
            .collect();
        let purged =
            run(log.get_log_state()).expect("a state").last_purged_log_id.map_or(0, |id| id.index + 1);
        for (index, id) in &promised.entries {
            assert!(
                found.get(index) == Some(id) || *index < purged,
                "seed {seed}: lost {id}; found {:?}",
                found.get(index)
            );
        }
        let first = found.keys().next().copied().unwrap_or(0);
        assert!(
            found.keys().copied().eq(first..first + found.len() as u64),
            "seed {seed}: a hole in the log"
        );
        promised_entries += promised.entries.len();
        log.abandon();
    }
    assert!(promised_entries > 5_000, "the test must promise something: {promised_entries}");
}

#[test]
fn a_full_disk_is_waited_out() {
    let disk = Disk::new(u64::MAX);
    let mut log = open(&disk).expect("a store");
    run(async {
        log.blocking_append(vec![blank_ent::<Consensus>(1, 1, 0)]).await.expect("an append");
        assert!(log.stable().reached(0).await);
        disk.full.store(true, Ordering::SeqCst);
        log.blocking_append((1..200).map(|i| entry(1, i)).collect::<Vec<_>>()).await.expect("an append");
        let soon = std::time::Duration::from_millis(600);
        assert!(tokio::time::timeout(soon, log.stable().reached(199)).await.is_err());
        let why = log.trouble().expect("a reason");
        assert!(why.contains("space") || why.contains("full"), "{why}");
        // What is there is still read.
        assert_eq!(log.try_get_log_entries(0..10).await.expect("entries").len(), 10);
        disk.full.store(false, Ordering::SeqCst);
        assert!(log.stable().reached(199).await);
        assert!(log.trouble().is_none());
    });
    log.close();
    let mut log = open(&disk).expect("a store");
    assert_eq!(run(log.try_get_log_entries(0..1000)).expect("entries").len(), 200);
    log.close();
}

/// Fills the disk of a log, and returns once the log knows.
fn fill(disk: &Disk, log: &mut LogStore, next: u64) {
    disk.full.store(true, Ordering::SeqCst);
    run(log.blocking_append(vec![entry(1, next)])).expect("an append");
    while log.trouble().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn who_reads_what_only_the_file_has_waits_for_a_full_disk() {
    let disk = Disk::new(u64::MAX);
    let mut log = open(&disk).expect("a store");
    run(log.blocking_append((0..100).map(|i| entry(1, i)).collect::<Vec<_>>())).expect("an append");
    log.close();
    // What was there at the start is not in memory.
    let mut log = open(&disk).expect("a store");
    fill(&disk, &mut log, 100);
    run(async {
        let pause = std::time::Duration::from_millis(60);
        for _ in 0..15 {
            // An error would end Raft on this node.
            if let Ok(read) = tokio::time::timeout(pause, log.try_get_log_entries(0..10)).await {
                assert_eq!(read.expect("no error").len(), 10);
            }
            if let Ok(read) = tokio::time::timeout(pause, log.limited_get_log_entries(5, 10)).await {
                assert_eq!(read.expect("no error").len(), 5);
            }
        }
        let reader = log.clone();
        let waiting = tokio::spawn(async move { reader.clone().try_get_log_entries(0..200).await });
        tokio::time::sleep(pause).await;
        disk.full.store(false, Ordering::SeqCst);
        assert_eq!(waiting.await.expect("no panic").expect("entries").len(), 101);
    });
    log.close();
}

#[test]
fn a_log_ends_though_its_disk_is_full() {
    let disk = Disk::new(u64::MAX);
    let mut log = open(&disk).expect("a store");
    run(log.blocking_append(vec![entry(1, 0)])).expect("an append");
    assert!(run(log.stable().reached(0)));
    fill(&disk, &mut log, 1);
    let (done, wait) = std::sync::mpsc::channel();
    let mut stable = log.stable();
    std::thread::spawn(move || {
        log.close();
        let _ = done.send(());
    });
    wait.recv_timeout(std::time::Duration::from_secs(10)).expect("it ends");
    assert!(!run(stable.reached(1)), "what was not written is not said to be");
    disk.full.store(false, Ordering::SeqCst);
    let mut log = open(&disk).expect("a store");
    assert_eq!(run(log.try_get_log_entries(0..10)).expect("entries").len(), 1);
    log.close();
}

#[test]
fn a_snapshot_that_breaks_off_on_its_way_in_leaves_no_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = Snapshots::open(Some(dir.path())).expect("snapshots");
    let files = || std::fs::read_dir(dir.path()).expect("the directory").count();
    let mut incoming = snapshots.incoming().expect("a file");
    incoming.put(&[1; 5000]).expect("a piece");
    assert_eq!(files(), 1);
    drop(incoming);
    assert_eq!(files(), 0);
    let mut incoming = snapshots.incoming().expect("a file");
    incoming.put(&[1; 5000]).expect("a piece");
    let image = incoming.finish();
    assert_eq!((files(), image.len(), image.piece(4990, 100).expect("bytes").len()), (0, 5000, 10));
}

#[test]
fn a_leader_that_starts_again_gives_up_its_term() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = LogStore::open(Some(dir.path())).expect("a store");
    run(async {
        let identity = Identity { id: 3, ..log.identity() };
        log.set_identity(identity).await.expect("an identity");
        log.save_vote(&Vote::new_committed(5, 3)).await.expect("a vote");
    });
    log.close();
    let mut log = LogStore::open(Some(dir.path())).expect("a store");
    assert_eq!(run(log.read_vote()).expect("a vote"), Some(Vote::new(6, 3)));
    run(log.save_vote(&Vote::new_committed(7, 2))).expect("a vote");
    log.close();
    let mut log = LogStore::open(Some(dir.path())).expect("a store");
    assert_eq!(
        run(log.read_vote()).expect("a vote"),
        Some(Vote::new_committed(7, 2)),
        "a follower keeps its word"
    );
    log.close();
}

#[track_caller]
fn refusal(dir: &Path) -> String {
    match LogStore::open(Some(dir)) {
        Ok(log) => panic!("it must not open: {:?}", log.last()),
        Err(e) => e.to_string(),
    }
}

#[test]
fn a_store_that_is_not_ours_is_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("region.redb");
    std::fs::write(&file, b"something else entirely, and rather long, so that it has a header")
        .expect("a file");
    let why = refusal(dir.path());
    assert!(why.contains("is left as it is"), "{why}");
    assert!(std::fs::read(&file).expect("the file").starts_with(b"something else"));
    std::fs::remove_file(&file).expect("gone");
    // Somebody else's database.
    let database = redb::Database::create(&file).expect("a database");
    let write = database.begin_write().expect("a transaction");
    write.open_table(redb::TableDefinition::<u64, u64>::new("cats")).expect("a table");
    write.commit().expect("a commit");
    drop(database);
    let why = refusal(dir.path());
    assert!(why.contains("holds no log of the region map"), "{why}");
}

#[test]
fn a_store_that_is_torn_is_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = LogStore::open(Some(dir.path())).expect("a store");
    run(log.blocking_append((0..500).map(|i| entry(1, i)).collect::<Vec<_>>())).expect("an append");
    assert!(refusal(dir.path()).contains("in use by another process"));
    log.close();
    let file = dir.path().join("region.redb");
    let whole = std::fs::read(&file).expect("the file");
    let mut torn = whole.clone();
    torn[8192..].fill(0xa5);
    for (what, bytes) in [("torn", &torn[..]), ("cut", &whole[..whole.len() / 2]), ("emptied", &[][..])] {
        std::fs::write(&file, bytes).expect("written");
        let why = refusal(dir.path());
        assert!(why.contains("is left as it is"), "{what}: {why}");
    }
    std::fs::remove_file(&file).expect("gone");
    assert!(refusal(dir.path()).contains("missing or empty"));
    std::fs::write(&file, &whole).expect("written");
    let mut log = LogStore::open(Some(dir.path())).expect("the store again");
    assert_eq!(run(log.try_get_log_entries(..)).expect("entries").len(), 500);
    log.close();
}

#[test]
fn a_snapshot_that_is_damaged_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = Snapshots::open(Some(dir.path())).expect("snapshots");
    let meta = crate::region::raft::types::SnapshotMeta {
        last_log_id: Some(LogId::new(CommittedLeaderId::new(2, 1), 40)),
        ..Default::default()
    };
    snapshots.make(&meta, |out| out.write_all(&[9; 10_000])).expect("a snapshot");
    let again = Snapshots::open(Some(dir.path())).expect("snapshots");
    let (found, image) = again.current().expect("a snapshot");
    assert_eq!(found, meta);
    let all = |map: &mut dyn io::Read| io::copy(map, &mut io::sink());
    assert_eq!(Snapshots::load(&image, all).expect("whole").1, 10_000);
    let path =
        std::fs::read_dir(dir.path()).expect("a directory").next().expect("a file").expect("a file").path();
    let mut bytes = std::fs::read(&path).expect("the file");
    bytes[5_000] ^= 1;
    std::fs::write(&path, &bytes).expect("written");
    let (_, image) = Snapshots::open(Some(dir.path())).expect("snapshots").current().expect("a snapshot");
    assert!(Snapshots::load(&image, all).expect_err("damaged").to_string().contains("checksum"));
    std::fs::write(&path, b"short").expect("written");
    assert!(Snapshots::open(Some(dir.path())).is_err());
}
