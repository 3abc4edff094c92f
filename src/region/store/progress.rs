//! How much of the log is durable, and waiting for it.

use tokio::sync::watch;

/// How much of the log is durable.
pub(super) struct Progress {
    /// (epoch, one past the last durable entry). The epoch moves with each truncation.
    pub(super) at: watch::Sender<(u64, u64)>,
}

impl Progress {
    pub(super) fn reached(&self, end: u64, epoch: u64) {
        self.at.send_if_modified(|at| {
            let moved = at.0 == epoch && end > at.1;
            at.1 = if moved { end } else { at.1 };
            moved
        });
    }

    /// A truncation at `from`: returns the new epoch.
    pub(super) fn cut(&self, from: u64) -> u64 {
        let mut epoch = 0;
        self.at.send_modify(|at| {
            *at = (at.0 + 1, at.1.min(from));
            epoch = at.0;
        });
        epoch
    }
}

/// To wait until an entry is durable here.
#[derive(Clone)]
pub struct Stable(pub(super) watch::Receiver<(u64, u64)>);

impl Stable {
    /// One past the last durable entry.
    pub fn end(&self) -> u64 {
        self.0.borrow().1
    }

    /// Returns once the entry at `index`, and all before it, are durable; false when they never will be, because the
    /// store is closed.
    pub async fn reached(&mut self, index: u64) -> bool {
        self.0.wait_for(|at| at.1 > index).await.is_ok()
    }
}
