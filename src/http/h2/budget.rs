//! What a peer may cost without being of use (RFC 9113 section 10.5).
//!
//! Everything that makes work and brings nothing costs points: a stream that is reset before its answer, a malformed
//! request, PING, SETTINGS, frames without content. Points come back with time and with each stream that is served, so
//! that a browser which scrolls or a channel that is kept alive for days never runs out.

/// Points of a new connection: two hundred images of a page that is left may be given up before anything was served, or a
/// head come in a hundred empty pieces.
const FIRST: u32 = 600;
/// The most there are, once enough was served.
const MOST: u32 = 1000;
/// Points a second that come back.
const A_SECOND: u64 = 20;
/// Points for a stream that was served to its end.
const SERVED: u32 = 10;

/// What things cost.
pub(super) mod cost {
    /// Any frame that asks for nothing.
    pub(crate) const IDLE_FRAME: u32 = 1;
    pub(crate) const SETTINGS: u32 = 4;
    /// A piece of a header block that is too short to make sense.
    pub(crate) const FRAGMENT: u32 = 5;
    /// A stream that the peer gave up before it was answered.
    pub(crate) const GIVEN_UP: u32 = 2;
    /// A stream over the limit.
    pub(crate) const REFUSED: u32 = 1;
    /// A stream that broke the rules.
    pub(crate) const FAULT: u32 = 10;
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    points: u32,
    /// Up to when points came back.
    at_ms: u64,
}

impl Budget {
    pub(super) const fn new() -> Budget {
        Budget { points: FIRST, at_ms: 0 }
    }

    /// False: there is not enough left.
    pub(super) fn spend(&mut self, points: u32, now_ms: u64) -> bool {
        let back = now_ms.saturating_sub(self.at_ms).saturating_mul(A_SECOND) / 1000;
        if back > 0 {
            // Time alone makes nobody richer than it was at first.
            let most = FIRST.max(self.points);
            self.points = self.points.saturating_add(back.min(u64::from(most)) as u32).min(most);
            self.at_ms = now_ms;
        }
        match self.points.checked_sub(points) {
            Some(left) => {
                self.points = left;
                true
            }
            None => false,
        }
    }

    pub(super) fn earn(&mut self) {
        self.points = (self.points + SERVED).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_run_out_and_come_back() {
        let mut budget = Budget::new();
        assert!((0..FIRST).all(|_| budget.spend(1, 5)));
        assert!(!budget.spend(1, 5));
        assert!(budget.spend(20, 1_005) && !budget.spend(1, 1_005));
        budget.earn();
        assert!(budget.spend(SERVED, 1_005) && !budget.spend(1, 1_005));
        assert!(budget.spend(FIRST, u64::MAX), "never more than there were");
        assert!(!budget.spend(1, u64::MAX));
    }

    /// A page of a hundred images that are all given up passes twice at first; a flood does not, and only who was served
    /// well may give up more.
    #[test]
    fn who_was_served_may_give_up_more() {
        let given_up = |budget: &mut Budget| (0..).take_while(|_| budget.spend(cost::GIVEN_UP, 0)).count();
        let first = given_up(&mut Budget::new());
        assert!((200..500).contains(&first), "{first}");
        let mut budget = Budget::new();
        (0..1000).for_each(|_| budget.earn());
        assert_eq!(given_up(&mut budget), (MOST / cost::GIVEN_UP) as usize);
    }

    /// A PING every ten seconds for a year.
    #[test]
    fn a_channel_may_be_kept_alive() {
        let mut budget = Budget::new();
        assert!((0..3_000_000).all(|n| budget.spend(cost::IDLE_FRAME, n * 10_000)));
    }
}
