//! Waits for the address of a name that a rule asked for (`do-resolve`).

use std::future::poll_fn;
use std::task::Poll;

use crate::resolve::Lookup;
use crate::rt::{Remote, Rt};
use crate::rules::Txn;
use crate::rules::txn::{Looking, Wait};

/// How often a stream that waits looks by itself.
const LOOK_MS: u64 = 1000;

/// Asks the resolver and comes back when there is an answer; there always is one, be it that nothing was found.
pub async fn look_up(txn: &mut Txn, rt: &'static Rt) {
    txn.wait = Wait::Data;
    let Looking::For { rule, resolvers, name, prefer } = std::mem::take(&mut txn.looking) else { return };
    let (worker, task) = (rt.worker(), rt.current_task());
    let (lookup, ticket) = Lookup::new(name, prefer, move || {
        if let Some(remote) = Remote::of(worker) {
            remote.wake(task);
        }
    });
    resolvers.look_up(lookup);
    let found = poll_fn(|_| match ticket.answer() {
        Some(found) => Poll::Ready(found),
        None => {
            rt.arm(rt.after_ms(LOOK_MS));
            Poll::Pending
        }
    });
    txn.looking = Looking::Done { rule, found: found.await };
}
