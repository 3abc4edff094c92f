//! Durations of a transaction as logs show them (manual section 8.4): milliseconds, -1 for what was not reached.

use crate::base::Nanos;
use crate::base::clock::MS;

use super::txn::Timers;

/// Milliseconds from the start of the transaction to a moment, -1 when it was not reached.
fn since(t: &Timers, moment: Nanos) -> i64 {
    if moment == 0 { -1 } else { (moment.saturating_sub(t.accepted) / MS) as i64 }
}

fn handshake(t: &Timers) -> i64 {
    (t.handshake / MS) as i64
}

fn end(t: &Timers, now: Nanos) -> i64 {
    since(t, if t.closed == 0 { now } else { t.closed })
}

/// `%Ti`: from the handshake's end to the first byte.
pub fn idle(t: &Timers) -> i64 {
    match since(t, t.request_start) {
        -1 => -1,
        start => (start - handshake(t)).max(0),
    }
}

/// `%TR`.
pub fn head(t: &Timers) -> i64 {
    match since(t, t.request_done) {
        -1 => -1,
        done => done - idle(t).max(0) - handshake(t),
    }
}

/// `%Tq`.
pub fn tq(t: &Timers) -> i64 {
    since(t, t.request_done)
}

/// `%Tw`.
pub fn queue(t: &Timers) -> i64 {
    match since(t, t.queue_done) {
        -1 => -1,
        done => done - since(t, t.request_done).max(0),
    }
}

/// `%Tc`.
pub fn connect(t: &Timers) -> i64 {
    match since(t, t.connected) {
        -1 => -1,
        done => done - since(t, t.queue_done).max(0),
    }
}

/// `%Tr`.
pub fn response(t: &Timers) -> i64 {
    match since(t, t.response) {
        -1 => -1,
        done => done - since(t, t.connected).max(0),
    }
}

/// `%Td`.
pub fn data(t: &Timers, now: Nanos) -> i64 {
    match since(t, t.response) {
        -1 => -1,
        done => end(t, now) - done,
    }
}

/// `%Ta`.
pub fn active(t: &Timers, now: Nanos) -> i64 {
    match idle(t) {
        -1 => end(t, now),
        idle => end(t, now) - idle - handshake(t),
    }
}

/// `%Tt`.
pub fn total(t: &Timers, now: Nanos) -> i64 {
    end(t, now)
}

/// `%Tu`.
pub fn user(t: &Timers, now: Nanos) -> i64 {
    end(t, now) - idle(t).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up() {
        let t = Timers {
            accepted: 1000 * MS,
            handshake: 2 * MS,
            request_start: 1012 * MS,
            request_done: 1015 * MS,
            queue_done: 1020 * MS,
            connected: 1021 * MS,
            response: 1071 * MS,
            closed: 1171 * MS,
        };
        assert_eq!((idle(&t), head(&t), tq(&t)), (10, 3, 15));
        assert_eq!((queue(&t), connect(&t), response(&t)), (5, 1, 50));
        assert_eq!((data(&t, 0), active(&t, 0), total(&t, 0), user(&t, 0)), (100, 159, 171, 161));
        let aborted = Timers { accepted: MS, request_start: MS, ..Timers::default() };
        assert_eq!(
            (head(&aborted), queue(&aborted), connect(&aborted), response(&aborted)),
            (-1, -1, -1, -1)
        );
    }
}
