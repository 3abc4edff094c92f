//! The state machine as Raft drives it: entries go to the [`Publisher`], snapshots come from its map.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, EntryPayload, ErrorSubject, ErrorVerb, RaftSnapshotBuilder, Snapshot, StorageIOError,
};
use tokio::sync::watch;

use super::figures::{self, Pace};
use super::types::{Consensus, Entry, LogId, SnapshotMeta, StorageError, StoredMembership};
use crate::base::clock;
use crate::region::map::{Index, Map, Proposal, Reply};
use crate::region::seat::Publisher;
use crate::region::store::{AbortOnPanic, Image, LogStore, Snapshots, Stable};

pub struct Machine {
    publisher: Publisher,
    pace: Pace,
    last: Option<LogId>,
    membership: StoredMembership,
    snapshots: Snapshots,
    stable: Stable,
    /// This node's id: what it proposed itself waits until it is durable here.
    pub me: u64,
    /// One past the last entry that readers can see.
    applied: watch::Sender<Index>,
}

impl Machine {
    /// From the newest snapshot, or empty. Blocks.
    pub fn open(
        log: &LogStore,
        snapshots: Snapshots,
        applied: watch::Sender<Index>,
    ) -> std::io::Result<Machine> {
        let (meta, map) = match snapshots.current() {
            None => (SnapshotMeta::default(), Map::default()),
            Some((_, image)) => Snapshots::load(&image, read_map)?,
        };
        let publisher = Publisher::new(map);
        applied.send_replace(meta.last_log_id.map_or(0, |id| id.index + 1));
        Ok(Machine {
            publisher,
            pace: Pace::default(),
            last: meta.last_log_id,
            membership: meta.last_membership,
            snapshots,
            stable: log.stable(),
            me: log.id(),
            applied,
        })
    }

    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    fn show(&self) {
        self.applied.send_replace(self.last.map_or(0, |id| id.index + 1));
    }
}

fn read_map(input: &mut dyn Read) -> std::io::Result<Map> {
    Map::read_snapshot(input).map_err(std::io::Error::other)
}

fn write_map(map: &Map, out: &mut dyn Write) -> std::io::Result<()> {
    map.write_snapshot(out)
}

fn failed(verb: ErrorVerb, error: &(dyn std::error::Error + 'static)) -> StorageError {
    StorageIOError::new(ErrorSubject::StateMachine, verb, AnyError::error(error)).into()
}

/// Between two attempts to write a snapshot.
const RETRY: Duration = Duration::from_secs(2);

/// Runs what blocks where it may, until it succeeds: an error would end the protocol's task, and with it reading. A
/// snapshot that cannot be written, on a full disk say, keeps the log from being shortened and harms nothing else.
async fn persistently<T: Send + 'static>(
    work: impl Fn() -> std::io::Result<T> + Send + Sync + 'static,
) -> Result<T, StorageError> {
    let work = Arc::new(work);
    loop {
        let attempt = work.clone();
        match tokio::task::spawn_blocking(move || attempt()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(e)) => tracing::error!("region map: a snapshot cannot be written: {e}; it is tried again"),
            Err(e) => return Err(failed(ErrorVerb::Write, &e)),
        }
        tokio::time::sleep(RETRY).await;
    }
}

impl RaftStateMachine<Consensus> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        // A leader counts itself before its disk has answered; see `store::log`.
        let mine = |e: &&Entry| self.me != 0 && e.log_id.leader_id.node_id == self.me;
        let own = entries.iter().rev().find(mine).map(|e| e.log_id.index);
        if let Some(index) = own
            && !self.stable.reached(index).await
        {
            return Err(failed(ErrorVerb::Write, &std::io::Error::other("the store is closed")));
        }
        let mut replies: Vec<Option<Reply>> = Vec::with_capacity(entries.len());
        let mut proposals: Vec<(Index, Proposal)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let index = entry.log_id.index;
            self.last = Some(entry.log_id);
            replies.push(match entry.payload {
                EntryPayload::Blank => Some(Reply::Done { index }),
                EntryPayload::Normal(proposal) => {
                    proposals.push((index, Arc::unwrap_or_clone(proposal)));
                    None
                }
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Some(Reply::Done { index })
                }
            });
        }
        let mut applied = Vec::new().into_iter();
        let _guard = AbortOnPanic;
        if !proposals.is_empty() {
            let began = clock::now_ns();
            applied = self.publisher.apply_all(proposals).into_iter();
            self.pace.applied(applied.len(), clock::now_ns() - began);
        }
        self.show();
        let filled = replies.into_iter().map(|reply| reply.or_else(|| applied.next()));
        Ok(filled.map(|reply| reply.unwrap_or(Reply::Done { index: 0 })).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            map: self.publisher.map().clone(),
            last: self.last,
            membership: self.membership.clone(),
            snapshots: self.snapshots.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Image>, StorageError> {
        let snapshots = self.snapshots.clone();
        persistently(move || Ok(Box::new(snapshots.incoming()?.finish()))).await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Image>,
    ) -> Result<(), StorageError> {
        let (snapshots, meta, kept) = (self.snapshots.clone(), meta.clone(), meta.clone());
        let map = persistently(move || {
            let (_, map) = Snapshots::load(&snapshot, read_map)?;
            snapshots.install(&meta, &snapshot)?;
            Ok(map)
        });
        let map = map.await?;
        self.last = kept.last_log_id;
        self.membership = kept.last_membership;
        let former = self.publisher.install(map);
        drop(tokio::task::spawn_blocking(move || drop(former)));
        self.show();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Consensus>>, StorageError> {
        let current = self.snapshots.current();
        Ok(current.map(|(meta, image)| Snapshot { meta, snapshot: Box::new(image) }))
    }
}

/// Builds a snapshot from a map that stands still, while the machine goes on.
pub struct Builder {
    map: Map,
    last: Option<LogId>,
    membership: StoredMembership,
    snapshots: Snapshots,
}

impl RaftSnapshotBuilder<Consensus> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Consensus>, StorageError> {
        let meta = SnapshotMeta {
            last_log_id: self.last,
            last_membership: self.membership.clone(),
            snapshot_id: uuid::Uuid::new_v4().to_string(),
        };
        let (map, snapshots, described) = (self.map.clone(), self.snapshots.clone(), meta.clone());
        let began = clock::now_ns();
        let image = persistently(move || snapshots.make(&described, |out| write_map(&map, out))).await?;
        figures::snapshot(clock::now_ns() - began);
        Ok(Snapshot { meta, snapshot: Box::new(image) })
    }
}
