//! What an operator does with a node's place in a cluster that has an authority of its own: make one, join one, leave.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::frame::{Denial, MemberError, Operation};
use super::start::RaftHandle;
use super::timing::{after, over};
use crate::region::map::Role;
use crate::region::member::{self, Token};
use crate::region::store::departed;

/// How long the others may take to let one go.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at whether something is done.
const LOOK: Duration = Duration::from_millis(50);
/// Tries, where who leads is not known.
const TRIES: u32 = 3;

impl RaftHandle {
    /// Does it on the node's own runtime.
    async fn there<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Denial>> + Send + 'static,
    ) -> Result<T, Denial> {
        self.runtime.spawn(work).await.unwrap_or(Err(Denial::Shutdown))
    }

    /// Makes a cluster of this node, which waits for that.
    pub async fn found(&self) -> Result<(), Denial> {
        let node = self.node.clone();
        self.there(async move { member::founded(&node).await }).await
    }

    /// Makes this node, which waits for that, join the cluster of which one of these (`host:port`) is. Whether it is a
    /// manager there.
    pub async fn join(&self, token: Token, addresses: Vec<String>) -> Result<bool, Denial> {
        let node = self.node.clone();
        self.there(async move { member::enter(&node, &token, &addresses).await }).await
    }

    /// The token by which nodes join in a role; `rotate`: a new one, after which the old one admits nobody.
    pub async fn join_token(&self, role: Role, rotate: bool) -> Result<String, Denial> {
        let node = self.node.clone();
        self.there(async move { Ok(member::join_token(&node, role, rotate).await?.to_string()) }).await
    }

    /// Gives the cluster another authority, other join tokens, and other keys of its secrets. Returns once all is done
    /// but for the members' certificates, which they renew by themselves.
    pub async fn rotate_authority(&self) -> Result<(), Denial> {
        let before = member::in_use(&self.node);
        self.operate(Operation::RotateAuthority).await?;
        let until = after(PATIENCE);
        loop {
            match member::in_use(&self.node) {
                number if number.is_some() && number != before => return Ok(()),
                _ if over(until) => return Err(Denial::Timeout),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Where other members are reached that admit nodes, this one first.
    pub fn managers(&self) -> Vec<String> {
        let map = self.node.view.map();
        let managers = map.members().filter(|m| m.role == Role::Manager && m.alive);
        let mut managers: Vec<(bool, String)> =
            managers.map(|m| (m.id != self.node.id(), m.address.to_string())).collect();
        managers.sort();
        managers.into_iter().map(|(_, address)| address).collect()
    }

    /// Gives up this node's place: the others forget it, and at its next start it knows nothing of them. `force`: also
    /// as a manager, and if the others cannot be told.
    pub async fn leave(&self, force: bool) -> Result<(), Denial> {
        let node = self.node.clone();
        if node.id() == 0 {
            return Err(MemberError::NotPart.into());
        }
        if !force {
            member::refuse_leaving(&node)?;
        }
        if !member::votes_alone(&node) {
            let what = Operation::Leave { id: node.id(), force };
            match self.tell(what).await {
                Ok(()) => {}
                Err(Denial::NotLeader(_) | Denial::Timeout) if !force => {
                    let why = "the cluster has no leader that could be told; '--force' leaves nevertheless";
                    return Err(Denial::Refused(why.into()));
                }
                Err(e) if !force => return Err(e),
                Err(e) => {
                    tracing::warn!("region map: this node leaves its cluster, which does not know: {e}")
                }
            }
        }
        self.forget_all().await
    }

    /// Gives up this node's place if the cluster can do without it, as an agent of Consul does before it ends; else it
    /// keeps it, and says why.
    pub async fn depart(&self) -> Result<(), Denial> {
        let node = &self.node;
        if self.departed.load(Ordering::Acquire) || node.id() == 0 || member::votes_alone(node) {
            return Ok(());
        }
        let told = self.tell(Operation::Leave { id: node.id(), force: false }).await;
        let done = match told {
            Ok(()) => self.forget_all().await,
            Err(e) => Err(e),
        };
        done.inspect_err(|e| tracing::warn!("region map: this node keeps its place in the cluster: {e}"))
    }

    /// Members change one at a time: while another change is under way, this one waits for its turn.
    async fn tell(&self, what: Operation) -> Result<(), Denial> {
        let until = after(PATIENCE);
        let mut lost = 0;
        loop {
            let asked = tokio::time::timeout(PATIENCE, self.operate(what)).await;
            match asked.unwrap_or(Err(Denial::Timeout)) {
                Err(Denial::Member(MemberError::Busy)) if !over(until) => tokio::time::sleep(LOOK).await,
                Err(Denial::NotLeader(_)) if lost + 1 < TRIES => lost += 1,
                told => return told,
            }
        }
    }

    async fn forget_all(&self) -> Result<(), Denial> {
        self.departed.store(true, Ordering::Release);
        let Some(dir) = self.data_dir.clone() else { return Ok(()) };
        let marked = tokio::task::spawn_blocking(move || departed::mark(&dir)).await;
        let marked = marked.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        marked.map_err(|e| Denial::Refused(format!("the data-dir: {e}")))
    }
}
