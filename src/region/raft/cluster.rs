//! What a [`Seat`](crate::region::Seat) finds behind it when there is Raft.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::node::{Node, denied};
use super::timing::after;
use super::{expiry, proposer};
use crate::region::map::{Command, Name, Reply};
use crate::region::member;
use crate::region::seat::{Cluster, Consistency, Freshness, Future, Leader, SeatError, Status};

pub struct RaftCluster {
    pub node: Arc<Node>,
    pub closed: Arc<AtomicBool>,
}

impl RaftCluster {
    fn open(&self) -> Result<(), SeatError> {
        if self.closed.load(Ordering::Acquire) { Err(SeatError::Shutdown) } else { Ok(()) }
    }

    fn stale(&self) -> Freshness {
        let leads = self.node.leads();
        let since = self.node.since_contact().as_millis() as u64;
        Freshness {
            last_contact_ms: if leads { 0 } else { since },
            known_leader: self.node.leader().is_some(),
        }
    }

    /// What is asked of others is of no use where nothing can be kept, and may never be answered.
    async fn asked_if_well(&self, consistent: bool) -> Result<u64, SeatError> {
        // One that leads alone reads what it has.
        if !member::votes_alone(&self.node) {
            self.node.well()?;
        }
        self.index(consistent).await
    }

    async fn index(&self, consistent: bool) -> Result<u64, SeatError> {
        let (reader, wait) = oneshot::channel();
        let readers = if consistent { &self.node.sure_readers } else { &self.node.readers };
        readers.try_send(reader).map_err(|e| match e {
            tokio::sync::mpsc::error::TrySendError::Full(_) => SeatError::Full("too many reads wait".into()),
            tokio::sync::mpsc::error::TrySendError::Closed(_) => SeatError::Shutdown,
        })?;
        wait.await.map_err(|_| SeatError::Shutdown)?
    }
}

impl Cluster for RaftCluster {
    fn fresh(&self, how: Consistency) -> Future<'_, Freshness> {
        Box::pin(async move {
            self.open()?;
            let fresh = Freshness { last_contact_ms: 0, known_leader: true };
            let end = match how {
                Consistency::Stale => return Ok(self.stale()),
                Consistency::Default => match self.node.leased_index() {
                    Some(_) => return Ok(fresh),
                    None => self.asked_if_well(false).await?,
                },
                Consistency::Consistent => self.asked_if_well(true).await?,
            };
            self.node.applied_if_well(end, after(self.node.timing.request())).await?;
            Ok(fresh)
        })
    }

    fn propose(&self, command: Command) -> Future<'_, Reply> {
        Box::pin(async move {
            self.open()?;
            proposer::ask(&self.node, command).await
        })
    }

    fn renew(&self, session: Name) -> Future<'_, bool> {
        Box::pin(async move {
            self.open()?;
            expiry::renew(&self.node, &session).await
        })
    }

    fn seal(&self, name: Name, text: Bytes) -> Future<'_, Option<Bytes>> {
        Box::pin(async move {
            self.open()?;
            member::seal(&self.node, &name, text).await.map_err(denied)
        })
    }

    fn unseal(&self, name: &str, sealed: &[u8]) -> Option<Bytes> {
        member::unseal(&self.node, name, sealed)
    }

    fn leader(&self) -> Option<Leader> {
        self.node.leader()
    }

    fn status(&self) -> Status {
        self.node.status()
    }
}
