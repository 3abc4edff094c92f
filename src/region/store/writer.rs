//! The storage thread: takes changes as they come, makes all that wait durable with one commit, says so.
//!
//! A full disk is waited out: nothing is acknowledged meanwhile, and [`Trouble`] says why. Any other failure of the
//! file is final for this process: what was read is still served, nothing more is promised.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redb::Database;
use tokio::sync::oneshot;

use super::disk::{self, Change, Opener};
use super::error::StoreError;
use super::pace::Pace;
use super::progress::Progress;

/// How much goes into one commit.
const BATCH_BYTES: usize = 8 << 20;
const BATCH_OPS: usize = 4096;
/// How long a change that nobody waits for may wait for others.
const IDLE: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(200);

/// A change and what it means once it is durable.
pub(super) struct Op {
    pub change: Change,
    /// The end of the stable part of the log with it, if no truncation came after `epoch`.
    pub stable: Option<u64>,
    pub epoch: u64,
    pub done: Option<oneshot::Sender<()>>,
}

pub(super) enum Task {
    Do(Op),
    /// Commit what came before, close the file, end.
    Stop,
}

/// Why nothing can be made durable at the moment; empty when all is well.
pub type Trouble = ArcSwapOption<String>;

pub(super) struct Writer {
    pub tasks: Receiver<Task>,
    pub database: Arc<Mutex<Option<Arc<Database>>>>,
    pub opener: Opener,
    pub progress: Arc<Progress>,
    pub trouble: Arc<Trouble>,
    pub pace: Arc<Pace>,
    /// End without committing, as a process that is killed does.
    pub abandoned: Arc<AtomicBool>,
    /// End without what a full disk does not take.
    pub closing: Arc<AtomicBool>,
}

impl Writer {
    pub fn run(self) {
        let _guard = AbortOnPanic;
        let mut stop = false;
        while !stop {
            let mut batch = Vec::new();
            stop = self.gather(&mut batch);
            if self.abandoned.load(Ordering::Acquire) {
                break;
            }
            if batch.is_empty() {
                continue;
            }
            match self.persist(&batch) {
                Ok(true) => self.announce(batch),
                Ok(false) => break,
                Err(e) => {
                    tracing::error!("region map: the log can no longer be written: {e}");
                    self.trouble.store(Some(Arc::new(e.to_string())));
                    return self.hold(batch);
                }
            }
        }
        self.take_database();
    }

    /// Waits for changes and takes all that are there. True: no more will come.
    fn gather(&self, batch: &mut Vec<Op>) -> bool {
        let mut bytes = 0;
        let mut take = |task: Task, batch: &mut Vec<Op>| match task {
            Task::Stop => true,
            Task::Do(op) => {
                if let Change::Append(entries) = &op.change {
                    bytes += entries.iter().map(|(_, b)| b.len()).sum::<usize>();
                }
                batch.push(op);
                bytes > BATCH_BYTES
            }
        };
        let Ok(first) = self.tasks.recv() else { return true };
        let mut stop = matches!(first, Task::Stop);
        let mut full = take(first, batch);
        while !stop && !full && batch.len() < BATCH_OPS {
            let next = match self.tasks.try_recv() {
                Ok(task) => Ok(task),
                Err(_) if batch.iter().all(is_lazy) => self.tasks.recv_timeout(IDLE),
                Err(_) => break,
            };
            match next {
                Ok(task) => {
                    stop = matches!(task, Task::Stop);
                    full = take(task, batch);
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
        stop
    }

    /// False: it ended before there was room for them.
    fn persist(&self, batch: &[Op]) -> Result<bool, StoreError> {
        loop {
            self.pace.begins();
            let result =
                self.open().and_then(|database| disk::commit(&database, batch.iter().map(|op| &op.change)));
            self.pace.ends();
            match result {
                Ok(()) => {
                    if self.trouble.swap(None).is_some() {
                        tracing::warn!("region map: the log is written again");
                    }
                    return Ok(true);
                }
                Err(e) if e.is_full() => {
                    if self.trouble.swap(Some(Arc::new(e.to_string()))).is_none() {
                        tracing::error!("region map: {e}; writes wait for room on the disk");
                    }
                    self.take_database();
                    std::thread::sleep(RETRY);
                }
                Err(e) => return Err(e),
            }
            if self.abandoned.load(Ordering::Acquire) || self.closing.load(Ordering::Acquire) {
                return Ok(false);
            }
        }
    }

    /// The open file. After an error it is closed to further use: what is durable is found again by opening it.
    fn open(&self) -> Result<Arc<Database>, StoreError> {
        if let Some(database) = self.lock().clone() {
            return Ok(database);
        }
        let database = Arc::new((self.opener)()?);
        *self.lock() = Some(database.clone());
        Ok(database)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Database>>> {
        self.database.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Closes the file: waits for the readers that are at it.
    fn take_database(&self) {
        let Some(mut database) = self.lock().take() else { return };
        loop {
            match Arc::try_unwrap(database) {
                Ok(database) => return drop(database),
                Err(shared) => database = shared,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn announce(&self, batch: Vec<Op>) {
        for op in &batch {
            if let Some(end) = op.stable {
                self.progress.reached(end, op.epoch);
            }
        }
        for done in batch.into_iter().filter_map(|op| op.done) {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    /// Takes changes and never says that they are done: an error would end the protocol's task, and with it reading.
    fn hold(&self, batch: Vec<Op>) {
        let mut waiting: Vec<_> = batch.into_iter().filter_map(|op| op.done).collect();
        while let Ok(Task::Do(op)) = self.tasks.recv() {
            waiting.extend(op.done);
        }
        self.take_database();
    }
}

/// What stands half-done in a log or a map must not be served as if it were whole: the process ends.
pub struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

fn is_lazy(op: &Op) -> bool {
    matches!(op.change, Change::Committed(_))
}
