//! The handle on a lease that is held: it is renewed while the handle lives.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::holder::Holder;
use crate::base::clock::{self, Nanos};
use crate::region::map::{Command, Map, Name, Refusal, Topic};
use crate::region::seat::{Seat, SeatError};

/// Longest wait for the end of a lease of somebody else, in case one is missed.
const PATIENCE: Duration = Duration::from_secs(30);
/// After an error that says nothing of the lease.
const PAUSE: Duration = Duration::from_millis(250);

/// Why a lease is not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("shutting down")]
    Shutdown,
}

/// A lease that this node holds. Dropped, it is released.
pub struct HeldLease {
    seat: Seat,
    holder: Arc<Mutex<Holder>>,
    name: Name,
    term: u64,
    lost: watch::Receiver<bool>,
    renewing: AbortHandle,
}

fn lock(holder: &Mutex<Holder>) -> MutexGuard<'_, Holder> {
    holder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until this node holds the lease, as long as that takes: whoever holds it now releases it, or its time is over.
/// On a tokio runtime.
pub async fn acquire(seat: &Seat, name: &str, length: Duration) -> Result<HeldLease, LeaseError> {
    wait_for(seat, name, length, false).await
}

/// The same for what ends with its process: a lease that this node held before it was started anew is not waited for.
pub async fn acquire_anew(seat: &Seat, name: &str, length: Duration) -> Result<HeldLease, LeaseError> {
    wait_for(seat, name, length, true).await
}

/// Another one with each process.
static PROCESS: LazyLock<u64> = LazyLock::new(|| uuid::Uuid::new_v4().as_u64_pair().0 << 32);

/// By chance; it shows whether this process drew it.
fn claim() -> u64 {
    *PROCESS | uuid::Uuid::new_v4().as_u64_pair().1 & 0xffff_ffff
}

/// What ends a lease of this node's process before this one.
fn end_of_former(map: &Map, name: &str, me: u64, process: u64) -> Option<Command> {
    let lease = map.lease(name).filter(|lease| lease.holder == me && lease.claim >> 32 != process >> 32)?;
    Some(Command::LeaseRelease { name: lease.name.clone(), term: lease.term })
}

async fn wait_for(seat: &Seat, name: &str, length: Duration, anew: bool) -> Result<HeldLease, LeaseError> {
    let me = loop {
        match seat.status().id {
            0 => tokio::time::sleep(PAUSE).await,
            id => break id,
        }
    };
    let length = Duration::from_millis(length.as_millis() as u64);
    let mut holder = Holder::new(name.into(), me, claim(), length, clock::now_ns());
    let mut after = 0;
    let term = loop {
        let now = clock::now_ns();
        if let Some(term) = holder.held(now) {
            break term;
        }
        if holder.is_lost(now) {
            // It came too late to be of use: once more, as somebody else.
            holder = Holder::new(name.into(), me, claim(), length, now);
        }
        match holder.due(now) {
            Some(command) => {
                // From before it is asked, so that no end of the lease is missed.
                after = seat.map().index_of(&Topic::Leases);
                let answer = tokio::time::timeout(holder.patience(), seat.propose(command)).await;
                if matches!(answer, Ok(Err(SeatError::Shutdown))) {
                    return Err(LeaseError::Shutdown);
                }
                holder.answered(answer.ok().and_then(Result::ok), clock::now_ns())?;
            }
            None => {
                if let Some(end) = end_of_former(&seat.map(), name, me, *PROCESS).filter(|_| anew) {
                    let _ = tokio::time::timeout(holder.patience(), seat.propose(end)).await;
                }
                wait(seat, &holder, after).await;
                let map = seat.map();
                let is_news = map.index_of(&Topic::Leases) > after;
                after = map.index_of(&Topic::Leases);
                // Nothing changed for as long as it may last unless it is renewed: this map may lag behind, and the
                // leader knows.
                if map.lease(name).is_none() || !is_news {
                    holder.leases_changed(clock::now_ns());
                }
            }
        }
    };
    let holder = Arc::new(Mutex::new(holder));
    let (tell, lost) = watch::channel(false);
    let renewing = tokio::spawn(renew(seat.clone(), holder.clone(), tell)).abort_handle();
    Ok(HeldLease { seat: seat.clone(), holder, name: name.into(), term, lost, renewing })
}

/// Until a lease changes hands after that index, or it is time to ask.
async fn wait(seat: &Seat, holder: &Holder, after: u64) {
    let pause = holder.next().map(|at| Duration::from_nanos(at.saturating_sub(clock::now_ns())));
    let patience = holder.length().min(PATIENCE);
    let until = tokio::time::sleep(pause.unwrap_or(patience).min(patience)).deadline();
    if seat.map().index_of(&Topic::Leases) <= after
        && seat.changed(&[Topic::Leases], after, until).await.is_err()
    {
        // No place to wait in.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Keeps it, until it is lost.
async fn renew(seat: Seat, holder: Arc<Mutex<Holder>>, tell: watch::Sender<bool>) {
    loop {
        let (due, next, patience) = {
            let (mut holder, now) = (lock(&holder), clock::now_ns());
            if holder.is_lost(now) {
                break;
            }
            (holder.due(now), holder.next(), holder.patience())
        };
        let pause = |at: Option<Nanos>| Duration::from_nanos(at.unwrap_or(0).saturating_sub(clock::now_ns()));
        let Some(command) = due else {
            tokio::time::sleep(pause(next)).await;
            continue;
        };
        // Whatever is on its way, its time may be over meanwhile.
        let patience = patience.min(pause(next));
        let answer = tokio::time::timeout(patience, seat.propose(command)).await;
        let _ = lock(&holder).answered(answer.ok().and_then(Result::ok), clock::now_ns());
    }
    tell.send_replace(true);
}

impl HeldLease {
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What a fence lets through: greater than the term of any holder before.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Until when it is held if nothing is heard any more, by [`clock::now_ns`]. Who acts by it must have ended by then.
    pub fn held_until(&self) -> Nanos {
        lock(&self.holder).held_until()
    }

    pub fn is_held(&self) -> bool {
        lock(&self.holder).held(clock::now_ns()).is_some()
    }

    /// Returns when it is lost, for good.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Gives it up: another may have it when this returns, if the cluster answers.
    pub async fn release(self) {
        if let Some(command) = self.end() {
            let _ = self.seat.propose(command).await;
        }
    }

    /// What is to be proposed, once.
    fn end(&self) -> Option<Command> {
        self.renewing.abort();
        let mut holder = lock(&self.holder);
        let held = holder.held(clock::now_ns()).is_some();
        holder.give_up().filter(|_| held)
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        let Some(command) = self.end() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let seat = self.seat.clone();
            runtime.spawn(async move { seat.propose(command).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::testing::World;

    #[test]
    fn only_a_lease_of_the_process_before_is_ended() {
        let mut world = World::default();
        let before = 7 << 32;
        let acquire = |claim| Command::LeaseAcquire { name: "job".into(), holder: 1, claim, length_ms: 5000 };
        assert!(end_of_former(&world.map, "job", 1, *PROCESS).is_none());
        world.apply(acquire(before | 1));
        assert!(end_of_former(&world.map, "job", 2, *PROCESS).is_none(), "of another node");
        assert!(end_of_former(&world.map, "job", 1, before).is_none(), "of this process");
        let end = end_of_former(&world.map, "job", 1, *PROCESS).expect("of the process before");
        world.apply(end.clone());
        assert!(world.map.lease("job").is_none());
        // What comes late ends nothing else.
        world.apply(acquire(claim()));
        world.apply(end);
        assert!(world.map.lease("job").is_some_and(|lease| lease.claim >> 32 == *PROCESS >> 32));
    }
}
