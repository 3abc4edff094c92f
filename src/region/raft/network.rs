//! Raft's own requests to other members.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::Snapshot;
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};

use super::connection::{Class, ConnectionError, Connections};
use super::frame::{Answer, Append, Appended, PIECE_BYTES, Piece, Request};
use super::lease::Lease;
use super::types::{Consensus, LogId, Peer, Vote};
use crate::base::clock;
use crate::region::store::LogStore;
use crate::region::store::record;

/// How long a message waits for this node's own disk.
const DISK: Duration = Duration::from_millis(40);

/// Makes the way to each member.
#[derive(Clone)]
pub struct Network {
    pub connections: Arc<Connections>,
    pub log: LogStore,
    pub lease: Arc<Lease>,
    /// How long a piece of a snapshot may take.
    pub piece: Duration,
}

impl RaftNetworkFactory<Consensus> for Network {
    type Network = Way;

    async fn new_client(&mut self, target: u64, node: &Peer) -> Way {
        Way { network: self.clone(), to: target, address: node.address.clone(), told: Arc::default() }
    }
}

/// To one member.
#[derive(Clone)]
pub struct Way {
    network: Network,
    to: u64,
    address: Arc<str>,
    told: Arc<Told>,
}

/// Messages without entries (heartbeats, and how far is committed) may be on their way without Raft waiting for the
/// answer: it sends one message at a time, and an entry that comes meanwhile would wait for a round trip that has
/// nothing to do with it. That goes for those alone which stand on what the follower is known to have, so that the
/// answer says nothing about its log; the lease counts only answers that came.
#[derive(Default)]
struct Told {
    /// It answered last, so that there is somebody to tell. A fresh way is not sure: a read waits for true answers.
    sure: AtomicBool,
    /// One past the last entry that it said it has, in this leader's log.
    has: AtomicU64,
    open: AtomicUsize,
    /// Somebody else leads: what Raft hears next.
    higher: Mutex<Option<Vote>>,
}

/// Such messages without an answer, at most, to one member.
const OPEN: usize = 4;

impl Told {
    fn higher(&self) -> std::sync::MutexGuard<'_, Option<Vote>> {
        self.higher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, last: Option<LogId>, answer: &AppendEntriesResponse<u64>) {
        let has = match answer {
            AppendEntriesResponse::Success => last,
            AppendEntriesResponse::PartialSuccess(upto) => *upto,
            _ => None,
        };
        self.has.fetch_max(end(has), Ordering::Relaxed);
    }

    /// Whether what comes after `prev` may be told now; it is on its way then.
    fn begins(&self, prev: Option<LogId>) -> bool {
        let one_more = |n: usize| (n < OPEN).then_some(n + 1);
        self.sure.load(Ordering::Relaxed)
            && end(prev) <= self.has.load(Ordering::Relaxed)
            && self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }
}

/// One past an entry's index.
fn end(id: Option<LogId>) -> u64 {
    id.map_or(0, |id| id.index + 1)
}

type Rpc<T> = Result<T, RPCError<u64, Peer, RaftError<u64>>>;

impl Way {
    async fn call(
        &self,
        class: Class,
        request: &Request,
        within: Duration,
    ) -> Result<Answer, ConnectionError> {
        self.network.connections.to(&self.address, class).call(request, within).await
    }

    /// Returns once `id` is durable here, or after a while: a disk that stands still must not hold back heartbeats.
    async fn until_durable(&self, id: Option<LogId>) {
        if let Some(id) = id {
            let mut stable = self.network.log.stable();
            let _ = tokio::time::timeout(DISK, stable.reached(id.index)).await;
        }
    }

    /// `last`: what the follower has after it.
    async fn append(
        &self,
        append: Append,
        last: Option<LogId>,
        vote: Vote,
        within: Duration,
    ) -> Rpc<AppendEntriesResponse<u64>> {
        let sent = clock::now_ns();
        let request = Request::Append(append);
        let answer = self.call(Class::Protocol, &request, within).await;
        self.told.sure.store(matches!(answer, Ok(Answer::Append(_))), Ordering::Relaxed);
        match answer.map_err(rpc_error)? {
            Answer::Append(appended) => {
                if !matches!(appended, Appended::Higher(_)) {
                    self.network.lease.acknowledged(vote, self.to, sent);
                }
                let answer = match appended {
                    Appended::Success => AppendEntriesResponse::Success,
                    Appended::Partial(upto) => AppendEntriesResponse::PartialSuccess(upto.map(LogId::from)),
                    Appended::Conflict => AppendEntriesResponse::Conflict,
                    Appended::Higher(vote) => AppendEntriesResponse::HigherVote(vote.into()),
                };
                self.told.answered(last, &answer);
                Ok(answer)
            }
            other => refused(other),
        }
    }

    /// How far is committed, as far as this disk has come, after what the follower has already.
    async fn append_nothing(
        &self,
        prev: Option<LogId>,
        commit: Option<LogId>,
        vote: Vote,
        within: Duration,
    ) -> Rpc<AppendEntriesResponse<u64>> {
        self.until_durable(commit).await;
        let commit = commit.and_then(|id| self.network.log.durable_upto(id)).map(Into::into);
        let nothing = Append {
            to: self.to,
            vote: vote.into(),
            prev: prev.map(Into::into),
            commit,
            entries: Vec::new(),
        };
        self.append(nothing, prev, vote, within).await
    }

    /// The same, without waiting for the answer. False when it has to be waited for.
    fn tell(&self, prev: Option<LogId>, commit: Option<LogId>, vote: Vote, within: Duration) -> bool {
        if !self.told.begins(prev) {
            return false;
        }
        let way = self.clone();
        tokio::spawn(async move {
            if let Ok(AppendEntriesResponse::HigherVote(vote)) =
                way.append_nothing(prev, commit, vote, within).await
            {
                *way.told.higher() = Some(vote);
            }
            way.told.open.fetch_sub(1, Ordering::Relaxed);
        });
        true
    }

    async fn send_piece(&self, piece: &Piece) -> Result<(u64, Option<Vote>), ConnectionError> {
        let request = Request::Piece(Piece { meta: piece.meta.clone(), data: piece.data.clone(), ..*piece });
        match self.call(Class::Bulk, &request, self.network.piece).await? {
            Answer::Piece { written, installed } => Ok((written, installed.map(Vote::from))),
            other => Err(ConnectionError::Unreachable(unexpected(other))),
        }
    }
}

fn rpc_error<E: std::error::Error>(error: ConnectionError) -> RPCError<u64, Peer, E> {
    match error {
        ConnectionError::Unreachable(_) => RPCError::Unreachable(Unreachable::new(&error)),
        other => RPCError::Network(NetworkError::new(&other)),
    }
}

fn unexpected(answer: Answer) -> String {
    match answer {
        Answer::Denied(denial) => denial.to_string(),
        other => format!("an answer to something else: {other:?}"),
    }
}

#[allow(clippy::result_large_err)] // openraft's own type
fn refused<T>(answer: Answer) -> Rpc<T> {
    Err(rpc_error(ConnectionError::Unreachable(unexpected(answer))))
}

impl RaftNetwork<Consensus> for Way {
    /// Raft may count this node before its disk has answered; nobody else may. So the leader's commit index is told as
    /// far as this disk has come, and what it held back is told right after: Raft believes it said and says no more
    /// until the next heartbeat.
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Consensus>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<u64>> {
        let (vote, commit, within) = (rpc.vote, rpc.leader_commit, option.hard_ttl());
        let higher = self.told.higher().take();
        if let Some(higher) = higher {
            return Ok(AppendEntriesResponse::HigherVote(higher));
        }
        let log = &self.network.log;
        let Some(last) = rpc.entries.last().map(|entry| entry.log_id) else {
            return match self.tell(rpc.prev_log_id, commit, vote, within) {
                true => Ok(AppendEntriesResponse::Success),
                false => self.append_nothing(rpc.prev_log_id, commit, vote, within).await,
            };
        };
        let request = Append {
            to: self.to,
            vote: vote.into(),
            prev: rpc.prev_log_id.map(Into::into),
            commit: commit.and_then(|id| log.durable_upto(id)).map(Into::into),
            entries: rpc.entries.iter().map(|entry| log.record_of(entry)).collect(),
        };
        let told = request.commit;
        let answer = self.append(request, Some(last), vote, within).await?;
        let held_back = told != commit.map(Into::into);
        if held_back && matches!(answer, AppendEntriesResponse::Success) {
            // Lost, it is said with the next heartbeat.
            self.tell(Some(last), commit, vote, within);
        }
        Ok(answer)
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> Rpc<VoteResponse<u64>> {
        let request =
            Request::Vote { to: self.to, vote: rpc.vote.into(), last: rpc.last_log_id.map(Into::into) };
        match self.call(Class::Protocol, &request, option.hard_ttl()).await.map_err(rpc_error)? {
            Answer::Vote { vote, granted, last } => {
                Ok(VoteResponse::new(Vote::from(vote), last.map(LogId::from), granted))
            }
            other => refused(other),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<Consensus>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Consensus, Fatal<u64>>> {
        tokio::pin!(cancel);
        let mut piece = Piece {
            to: self.to,
            vote: vote.into(),
            meta: record::meta_to_bytes(&snapshot.meta).into(),
            offset: 0,
            data: Default::default(),
            last: false,
        };
        loop {
            let (image, offset) = (snapshot.snapshot.clone(), piece.offset);
            let read = tokio::task::spawn_blocking(move || image.piece(offset, PIECE_BYTES)).await;
            let read = read.unwrap_or_else(|e| Err(std::io::Error::other(e)));
            piece.data = read.map_err(|e| StreamingError::Network(NetworkError::new(&e)))?;
            piece.last = piece.offset + piece.data.len() as u64 >= snapshot.snapshot.len();
            let answer = tokio::select! {
                closed = &mut cancel => return Err(StreamingError::Closed(closed)),
                answer = self.send_piece(&piece) => answer,
            };
            match answer {
                Ok((_, Some(vote))) => return Ok(SnapshotResponse::new(vote)),
                // It says how much it has: after a lost answer one goes on from there.
                Ok((written, None)) => piece.offset = written,
                Err(e @ ConnectionError::Unreachable(_)) => {
                    return Err(StreamingError::Unreachable(Unreachable::new(&e)));
                }
                Err(e) => return Err(StreamingError::Network(NetworkError::new(&e))),
            }
        }
    }

    fn backoff(&self) -> Backoff {
        let doubling = (0..5).map(|n| Duration::from_millis(50 << n));
        Backoff::new(doubling.chain(std::iter::repeat(Duration::from_secs(1))))
    }
}
