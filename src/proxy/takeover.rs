//! An idle connection of another worker: asked for when a worker has none of its own, so that a server sees as few
//! connections as there is work for.

use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use crate::base::WorkerId;
use crate::base::clock::MS;
use crate::conn::Link;
use crate::model::Server;
use crate::rt::Remote;

use super::worker::Worker;

/// How long the other worker may take: opening a connection is the alternative.
const PATIENCE_NS: u64 = 20 * MS;

/// Where the other worker lays what it gives.
#[derive(Default)]
struct Tray {
    given: Mutex<Option<(OwnedFd, u32)>>,
    is_answered: AtomicBool,
}

/// A connection to `server` that some other worker holds idle and that began as `name` says, with the number of requests it
/// carried.
pub async fn take(
    worker: &'static Worker,
    server: &Server,
    proven_only: bool,
    name: u64,
) -> Option<(Rc<Link>, u32)> {
    let me = worker.rt.worker();
    let others = server.live.idle_by.iter().enumerate().filter(|(_, n)| n.load(Ordering::Relaxed) > 0);
    for (at, _) in others {
        let other = WorkerId(at as u16);
        if other != me
            && let Some((fd, uses)) = ask(worker, other, server, (proven_only, name)).await
        {
            let link = Link::accepted(worker.rt, fd);
            link.belong_to(server.live.uid);
            // What can be read on an idle connection is its end, or something that must not be answered with.
            if link.is_drained() {
                return Some((Rc::new(link), uses));
            }
        }
    }
    None
}

async fn ask(
    worker: &'static Worker,
    other: WorkerId,
    server: &Server,
    (proven_only, name): (bool, u64),
) -> Option<(OwnedFd, u32)> {
    let remote = Remote::of(other)?;
    let tray = Arc::new(Tray::default());
    let (me, task) = (worker.rt.worker(), worker.rt.current_task());
    let (theirs, wanted) = (tray.clone(), server.clone());
    remote.run(move |_| {
        if let Some(giver) = Worker::current() {
            *theirs.given.lock().unwrap_or_else(PoisonError::into_inner) =
                giver.pools.give(&wanted, proven_only, name);
        }
        theirs.is_answered.store(true, Ordering::Release);
        if let Some(asker) = Remote::of(me) {
            asker.wake(task);
        }
    });
    let until = worker.rt.now() + PATIENCE_NS;
    poll_fn(|_| {
        if tray.is_answered.load(Ordering::Acquire) || worker.rt.now() >= until {
            return Poll::Ready(());
        }
        worker.rt.arm(until);
        Poll::Pending
    })
    .await;
    tray.given.lock().unwrap_or_else(PoisonError::into_inner).take()
}
