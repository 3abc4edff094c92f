//! Who waits for a slot gets one when one is free, whatever happens at the same time.

use std::sync::Arc as StdArc;

use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::in_every_order;
use crate::queue::{Ticket, WaitQueue};

/// A server with one slot, as streams use it.
struct Place {
    queue: WaitQueue,
    used: AtomicU32,
}

impl Place {
    fn new(used: u32) -> Arc<Place> {
        Arc::new(Place { queue: WaitQueue::default(), used: AtomicU32::new(used) })
    }

    fn acquire(&self) -> Option<u32> {
        let got = self.used.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        got.then_some(1)
    }

    /// Gives the slot back, and then looks whether somebody waits.
    fn release(&self) {
        assert_eq!(self.used.swap(0, Ordering::SeqCst), 1, "a slot was given twice");
        in_one_order();
        self.queue.grant(|| self.acquire());
    }

    /// Queues, and then looks whether a slot is free.
    fn enter(&self, bell: &Arc<Bell>) -> StdArc<Ticket> {
        let bell = bell.clone();
        let ticket = Ticket::new((0, 0), move || bell.ring());
        assert!(self.queue.push(ticket.clone()).is_some());
        in_one_order();
        self.queue.grant(|| self.acquire());
        ticket
    }
}

/// All threads agree on the order of what stands before and behind this. The accesses are in sequential consistency
/// themselves, but loom knows only that of fences.
fn in_one_order() {
    fence(Ordering::SeqCst);
}

/// What wakes a stream.
struct Bell(Mutex<bool>, Condvar);

impl Bell {
    fn new() -> Arc<Bell> {
        Arc::new(Bell(Mutex::new(false), Condvar::new()))
    }

    fn ring(&self) {
        *self.0.lock().expect("no panic") = true;
        self.1.notify_one();
    }

    /// Asleep for ever is what loom reports as a deadlock.
    fn wait(&self) {
        let mut rung = self.0.lock().expect("no panic");
        while !*rung {
            rung = self.1.wait(rung).expect("no panic");
        }
    }
}

#[test]
fn a_slot_that_is_freed_while_a_stream_queues_is_not_lost() {
    in_every_order(4, || {
        let place = Place::new(1);
        let holder = {
            let place = place.clone();
            thread::spawn(move || place.release())
        };
        let bell = Bell::new();
        let ticket = place.enter(&bell);
        bell.wait();
        assert!(ticket.is_ready());
        assert_eq!(ticket.take(), Some(1));
        holder.join().expect("no panic");
        assert!(place.queue.is_empty());
    });
}

#[test]
fn two_streams_share_one_slot_one_after_the_other() {
    in_every_order(3, || {
        let place = Place::new(0);
        let streams: Vec<_> = (0..2)
            .map(|_| {
                let place = place.clone();
                thread::spawn(move || {
                    let bell = Bell::new();
                    let ticket = place.enter(&bell);
                    bell.wait();
                    assert_eq!(ticket.take(), Some(1));
                    place.release();
                })
            })
            .collect();
        streams.into_iter().for_each(|stream| stream.join().expect("no panic"));
        assert_eq!(place.used.load(Ordering::SeqCst), 0);
        assert!(place.queue.is_empty());
    });
}

#[test]
fn a_stream_that_gives_up_either_has_the_slot_or_leaves_no_trace() {
    in_every_order(4, || {
        let place = Place::new(1);
        let holder = {
            let place = place.clone();
            thread::spawn(move || place.release())
        };
        let ticket = place.enter(&Bell::new());
        if !place.queue.cancel(&ticket) {
            // Granted at the last moment: it is ours, and has to be given back.
            assert_eq!(ticket.take(), Some(1));
            place.release();
        }
        holder.join().expect("no panic");
        assert_eq!(place.used.load(Ordering::SeqCst), 0, "a slot was lost");
        assert!(place.queue.is_empty());
    });
}

#[test]
fn who_is_sent_back_is_woken_without_a_slot_or_was_granted_one() {
    in_every_order(4, || {
        let place = Place::new(1);
        let other = {
            let place = place.clone();
            thread::spawn(move || place.queue.send_back())
        };
        let holder = {
            let place = place.clone();
            thread::spawn(move || place.release())
        };
        let bell = Bell::new();
        let ticket = place.enter(&bell);
        other.join().expect("no panic");
        holder.join().expect("no panic");
        // Queued behind the call, it still waits for the slot, which is free by now.
        place.queue.grant(|| place.acquire());
        bell.wait();
        if ticket.take().is_some() {
            place.release();
        }
        assert_eq!(place.used.load(Ordering::SeqCst), 0, "a slot was lost");
    });
}
