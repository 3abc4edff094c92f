//! The thread that renews the kernel's leases of addresses. The kernel makes whoever changes an address wait for everybody
//! else who changes links or addresses on this host, for a tenth of a second at times: adverts and heartbeats, which the
//! loop sends, are not to wait with it.
//!
//! It renews when the loop asks, and a wish that has grown old is none: a loop that hangs renews nothing, and the kernel
//! lets its addresses lapse.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::base::Nanos;
use crate::base::clock::{self, MS};
use crate::os::child::run_in_real_time;
use crate::os::netlink::{Address, Netlink};

use super::order::Listener;

/// A wish that is older counts no more.
const FRESH_NS: Nanos = 200 * MS;

/// What the loop wants.
#[derive(Default)]
struct Wish {
    since: Option<Nanos>,
    is_over: bool,
}

#[derive(Default)]
struct Shared {
    /// What is held. Whoever has this lock is the only one who changes addresses.
    held: Mutex<Vec<Address>>,
    wish: Mutex<Wish>,
    wished: Condvar,
}

/// Ends its thread when it is dropped.
pub(super) struct Renewer(Arc<Shared>);

impl Renewer {
    pub(super) fn start(mut netlink: Netlink, listener: Listener) -> io::Result<Renewer> {
        let shared = Arc::new(Shared::default());
        let renewer = Renewer(shared.clone());
        let add = move |address: &Address| netlink.add(address);
        let work = move || {
            // Without it the loop says so.
            let _ = run_in_real_time();
            shared.run(add, &listener);
        };
        std::thread::Builder::new().name("vip-renew".into()).spawn(work)?;
        Ok(renewer)
    }

    /// Keeps the thread from renewing while addresses change; what is held is written here.
    pub(super) fn pause(&self) -> MutexGuard<'_, Vec<Address>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wants everything that is held renewed.
    pub(super) fn ask(&self, now: Nanos) {
        self.0.wish.lock().unwrap_or_else(PoisonError::into_inner).since = Some(now);
        self.0.wished.notify_one();
    }
}

impl Drop for Renewer {
    fn drop(&mut self) {
        self.0.wish.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.0.wished.notify_one();
    }
}

impl Shared {
    fn run(&self, mut add: impl FnMut(&Address) -> io::Result<()>, listener: &Listener) {
        let (mut complaint, mut last) = (None, 0);
        while let Some(since) = self.next() {
            let result = self.renew(since, &mut last, &mut add);
            let failed = result.err().map(|e| e.to_string());
            if let Some(text) = failed.as_ref().filter(|_| failed != complaint) {
                listener.warn(&format!("renewing addresses: {text}"));
            }
            complaint = failed;
        }
    }

    /// Since when it is wished; `None` at the end.
    fn next(&self) -> Option<Nanos> {
        let wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |wish: &mut Wish| !wish.is_over && wish.since.is_none();
        let mut wish = self.wished.wait_while(wish, waits).unwrap_or_else(PoisonError::into_inner);
        wish.since.take().filter(|_| !wish.is_over)
    }

    /// Renews what is held, one after the other, for as long as the wish is fresh: what was let go of meanwhile is not.
    /// It goes on after the `last` that was renewed, so that a slow kernel leaves none out for ever.
    fn renew(
        &self,
        since: Nanos,
        last: &mut usize,
        add: &mut impl FnMut(&Address) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut result = Ok(());
        for count in 0.. {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if count >= held.len() || clock::now_ns() >= since + FRESH_NS {
                break;
            }
            *last = (*last + 1) % held.len();
            result = result.and(add(&held[*last]));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Address {
        Address {
            index: 1,
            address: [10, 0, 0, last].into(),
            prefix: 32,
            scope: 0,
            label: None,
            broadcast: None,
            lifetime_s: Some(2),
        }
    }

    #[test]
    fn what_is_held_is_renewed_while_the_wish_is_fresh() {
        let shared = Shared { held: Mutex::new(vec![address(1), address(2)]), ..Shared::default() };
        let mut renewed = Vec::new();
        let mut add = |address: &Address| {
            renewed.push(address.address);
            Ok(())
        };
        let now = clock::now_ns();
        shared.renew(now, &mut 0, &mut add).unwrap();
        shared.renew(now.saturating_sub(2 * FRESH_NS), &mut 0, &mut add).unwrap();
        renewed.sort();
        assert_eq!(renewed, [address(1).address, address(2).address], "a loop that hangs wishes nothing");
    }

    #[test]
    fn a_slow_kernel_leaves_none_out_for_ever() {
        let shared = Shared { held: Mutex::new((1..=3).map(address).collect()), ..Shared::default() };
        let (mut renewed, mut last) = (Vec::new(), 0);
        for _ in 0..3 {
            let mut add = |address: &Address| {
                renewed.push(address.address);
                std::thread::sleep(std::time::Duration::from_nanos(2 * FRESH_NS));
                Ok(())
            };
            shared.renew(clock::now_ns(), &mut last, &mut add).unwrap();
        }
        renewed.sort();
        assert_eq!(renewed, [1, 2, 3].map(|n| address(n).address), "one for each wish");
    }

    #[test]
    fn one_that_fails_keeps_no_other_from_being_renewed() {
        let shared = Shared { held: Mutex::new(vec![address(1), address(2)]), ..Shared::default() };
        let mut tried = 0;
        let result = shared.renew(clock::now_ns(), &mut 0, &mut |_| {
            tried += 1;
            Err(io::ErrorKind::NotFound.into())
        });
        assert_eq!((result.is_err(), tried), (true, 2));
    }

    #[test]
    fn only_the_last_wish_counts_and_the_end_ends_it() {
        let shared = Arc::new(Shared::default());
        let renewer = Renewer(shared.clone());
        renewer.ask(5);
        renewer.ask(7);
        assert_eq!(shared.next(), Some(7));
        let thread = std::thread::spawn(move || shared.next());
        drop(renewer);
        assert_eq!(thread.join().unwrap(), None);
    }
}
