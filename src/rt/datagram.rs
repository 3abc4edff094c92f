//! `Datagrams`: a datagram socket of a worker, its own or one that others hold too.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::Poll;

use super::runtime::Rt;
use super::source::Source;

/// A datagram socket, registered with its worker at the first wait. Whoever takes from it says when it is drained:
/// registration is edge-triggered.
pub struct Datagrams {
    fd: Arc<OwnedFd>,
    source: &'static Source,
    rt: &'static Rt,
}

impl Datagrams {
    pub fn new(rt: &'static Rt, fd: Arc<OwnedFd>) -> Datagrams {
        let source = rt.sources.add(false, true);
        Datagrams { fd, source, rt }
    }

    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Waits until something may be there, or until `is_over` says so when the task is woken. A task that has had its
    /// share of this turn waits for the next one.
    pub async fn readable(&self, is_over: impl Fn() -> bool) -> io::Result<()> {
        poll_fn(|context| {
            self.rt.assert_own(context);
            if is_over() {
                return Poll::Ready(Ok(()));
            }
            if !self.source.readable.get() {
                return match self.rt.wait_for(self.source, self.fd(), false) {
                    Ok(()) => Poll::Pending,
                    Err(e) => Poll::Ready(Err(e)),
                };
            }
            if self.rt.has_had_its_share() { Poll::Pending } else { Poll::Ready(Ok(())) }
        })
        .await
    }

    /// A call took `octets`; `drained`: as far as it could see nothing is left.
    pub fn took(&self, octets: usize, drained: bool) {
        self.rt.charge(octets);
        if drained {
            self.source.readable.set(false);
        }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        // The last one to hold it closes it, which takes it out of epoll by itself.
        if Arc::strong_count(&self.fd) > 1 {
            self.rt.unregister(self.source, self.fd());
        }
        self.rt.sources.end(self.source);
    }
}
