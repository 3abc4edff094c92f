//! The rise/fall machine: what a finding does to a server, and when to check again. No I/O and no clock.
//!
//! `health` counts as in `show servers state`: below `rise` the server is down and counts successes, from `rise` on it
//! is up; `rise + fall - 1` is full health. A server begins at `rise`: one failure takes it down (manual, 5.2
//! "init-state").

use crate::base::Millis;
use crate::model::OperState;

use super::spec::{CheckSpec, InitState, OnError};
use super::status::{Status, Verdict};

/// A change of a server's operational state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    Down,
    Up,
    /// No new sessions, as the check asked.
    Stopping,
}

/// What follows from a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Counts as a failed check (`chkfail`).
    pub failed: bool,
    /// Status or health changed: a line for `option log-health-checks`.
    pub report: bool,
    pub transition: Option<Transition>,
}

/// What the machine knows of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    pub health: u32,
    pub oper: OperState,
    /// Of the last finding.
    pub status: Status,
    /// `observe` wants the next check soon, whatever the health.
    pub hurry: bool,
}

impl Machine {
    /// A server nothing was checked of yet.
    pub fn new(spec: &CheckSpec) -> Machine {
        let (oper, health) = initial(spec);
        Machine { health, oper, status: Status::Init, hurry: false }
    }

    /// Takes in a finished check.
    pub fn conclude(&mut self, spec: &CheckSpec, status: Status) -> Effect {
        let mut effect = Effect { report: status != self.status, ..Effect::default() };
        self.status = status;
        match status.verdict() {
            Verdict::Unknown => {}
            Verdict::Failed => self.weaken(spec, &mut effect),
            verdict => self.strengthen(spec, &mut effect, verdict),
        }
        effect
    }

    fn weaken(&mut self, spec: &CheckSpec, effect: &mut Effect) {
        if self.health > 0 {
            effect.failed = true;
            effect.report = true;
            self.health -= 1;
            if self.health < spec.rise {
                self.health = 0;
            }
        }
        if self.health == 0 && self.oper != OperState::Stopped {
            self.oper = OperState::Stopped;
            effect.transition = Some(Transition::Down);
        }
    }

    fn strengthen(&mut self, spec: &CheckSpec, effect: &mut Effect, verdict: Verdict) {
        let full = spec.full_health();
        if self.health < full {
            effect.report = true;
            self.health += 1;
            if self.health >= spec.rise {
                self.health = full;
            }
        }
        if self.health < spec.rise {
            return;
        }
        effect.transition = match (verdict, self.oper) {
            (Verdict::Conditional, OperState::Stopping) => None,
            (Verdict::Conditional, _) => Some(Transition::Stopping),
            (_, OperState::Running | OperState::Starting) => None,
            _ => Some(Transition::Up),
        };
        match effect.transition {
            Some(Transition::Up) => self.oper = spec.oper_when_up(),
            Some(_) => self.oper = OperState::Stopping,
            None => {}
        }
    }

    /// `observe` counted `error-limit` errors in a row.
    pub fn observed(&mut self, spec: &CheckSpec) -> Effect {
        self.hurry = true;
        match spec.on_error {
            OnError::FastInter => return Effect::default(),
            OnError::FailCheck => {}
            OnError::SuddenDeath => {
                if self.health > spec.rise {
                    self.health = spec.rise + 1;
                }
            }
            OnError::MarkDown => self.health = spec.rise,
        }
        self.conclude(spec, Status::Observed)
    }

    /// Milliseconds to the next check.
    pub fn interval_ms(&self, spec: &CheckSpec) -> u64 {
        let or_inter = |ms: u64| if ms > 0 { ms } else { spec.inter_ms };
        if self.health == spec.full_health() && !self.hurry {
            spec.inter_ms
        } else if self.oper == OperState::Stopped && self.health == 0 {
            or_inter(spec.downinter_ms)
        } else {
            or_inter(spec.fastinter_ms)
        }
    }

    /// When the next check is due after one that ended at `now`; `random` spreads it by `spread_percent`.
    pub fn next_check(&mut self, spec: &CheckSpec, now: Millis, random: u32) -> Millis {
        let interval = self.interval_ms(spec);
        self.hurry = false;
        (now + interval).saturating_add_signed(spread(interval, spec.spread_percent, random)).max(now + 1)
    }
}

fn initial(spec: &CheckSpec) -> (OperState, u32) {
    match spec.init_state {
        InitState::None | InitState::Up => (OperState::Running, spec.rise),
        InitState::FullyUp => (OperState::Running, spec.full_health()),
        InitState::Down => (OperState::Stopped, spec.rise - 1),
        InitState::FullyDown => (OperState::Stopped, 0),
    }
}

/// A number of milliseconds within plus or minus `percent` of `interval`.
fn spread(interval: u64, percent: u32, random: u32) -> i64 {
    let most = (interval * u64::from(percent.min(50)) / 100) as i64;
    most - ((2 * most as i128 * i128::from(random)) >> 32) as i64
}

/// Offsets of first checks: as far as possible from each other within the shortest interval of at least a second,
/// and at most `max_spread_ms` (0: no limit).
///
/// `intervals` are those of all checks in file order; the result has the same order.
pub fn start_offsets(intervals: &[u64], max_spread_ms: u64) -> Vec<u64> {
    let shortest = intervals.iter().copied().filter(|&ms| ms >= 1000).min().unwrap_or(0);
    let count = intervals.len().max(1) as u64;
    let offset = |(place, &own): (usize, &u64)| {
        let mut within = shortest.max(own);
        if max_spread_ms > 0 {
            within = within.min(max_spread_ms);
        }
        within * place as u64 / count
    };
    intervals.iter().enumerate().map(offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(spec: &CheckSpec, machine: &mut Machine, statuses: &[Status]) -> Vec<(u32, Option<Transition>)> {
        statuses
            .iter()
            .map(|&s| {
                let effect = machine.conclude(spec, s);
                (machine.health, effect.transition)
            })
            .collect()
    }

    #[test]
    fn starts_up_and_falls_at_the_first_failure() {
        let spec = CheckSpec::default();
        let mut m = Machine::new(&spec);
        assert_eq!(run(&spec, &mut m, &[Status::L4Con]), [(0, Some(Transition::Down))]);
        let up = run(&spec, &mut m, &[Status::L4Ok, Status::L4Con, Status::L4Ok, Status::L4Ok]);
        assert_eq!(up, [(1, None), (0, None), (1, None), (4, Some(Transition::Up))]);
        let down =
            run(&spec, &mut m, &[Status::L4Con, Status::L4Con, Status::L4Ok, Status::L4Con, Status::L4Con]);
        assert_eq!(down.last(), Some(&(2, None)));
        assert_eq!(run(&spec, &mut m, &[Status::L4Con]), [(0, Some(Transition::Down))]);
    }

    #[test]
    fn stopping_and_back() {
        let spec = CheckSpec { fall: 2, ..CheckSpec::default() };
        let mut m = Machine::new(&spec);
        let steps = [
            Status::L7OkCond,
            Status::L7OkCond,
            Status::L7Ok,
            Status::L7OkCond,
            Status::L7Sts,
            Status::L7Sts,
        ];
        let seen: Vec<_> = run(&spec, &mut m, &steps).into_iter().map(|s| s.1).collect();
        let (stop, up, down) = (Some(Transition::Stopping), Some(Transition::Up), Some(Transition::Down));
        assert_eq!(seen, [stop, None, up, stop, None, down]);
    }

    #[test]
    fn init_states() {
        for (state, oper, health) in [
            (InitState::FullyUp, OperState::Running, 4),
            (InitState::Up, OperState::Running, 2),
            (InitState::Down, OperState::Stopped, 1),
            (InitState::FullyDown, OperState::Stopped, 0),
        ] {
            let m = Machine::new(&CheckSpec { init_state: state, ..CheckSpec::default() });
            assert_eq!((m.oper, m.health), (oper, health));
        }
    }

    #[test]
    fn intervals_follow_the_manual() {
        let spec = CheckSpec { fastinter_ms: 500, downinter_ms: 9000, ..CheckSpec::default() };
        let mut m = Machine::new(&spec);
        assert_eq!(m.interval_ms(&spec), 500, "yet unchecked");
        m.conclude(&spec, Status::L4Ok);
        assert_eq!(m.interval_ms(&spec), 2000);
        m.hurry = true;
        assert_eq!(m.next_check(&spec, 100, 0), 600);
        assert_eq!(m.next_check(&spec, 100, 0), 2100, "hurry is for one check");
        for ms in [500, 500, 9000, 9000] {
            m.conclude(&spec, Status::L4Con);
            assert_eq!(m.interval_ms(&spec), ms);
        }
        m.conclude(&spec, Status::L4Ok);
        assert_eq!(m.interval_ms(&spec), 500, "going up");
    }

    #[test]
    fn observed_errors() {
        let full = |on_error| {
            let spec = CheckSpec { on_error, ..CheckSpec::default() };
            let mut m = Machine::new(&spec);
            m.conclude(&spec, Status::L7Ok);
            let effect = m.observed(&spec);
            (m.health, effect.transition, effect.failed)
        };
        assert_eq!(full(OnError::FastInter), (4, None, false));
        assert_eq!(full(OnError::FailCheck), (3, None, true));
        assert_eq!(full(OnError::SuddenDeath), (2, None, true));
        assert_eq!(full(OnError::MarkDown), (0, Some(Transition::Down), true));
    }

    #[test]
    fn first_checks_are_apart() {
        assert_eq!(start_offsets(&[2000, 2000, 4000, 500], 0), [0, 500, 2000, 1500]);
        assert_eq!(start_offsets(&[2000, 2000], 100), [0, 50]);
        assert_eq!(start_offsets(&[], 0), Vec::<u64>::new());
    }

    proptest! {
        /// Whatever the order of results: health stays in range, agrees with the state, and transitions alternate.
        #[test]
        fn health_and_state_agree(rise in 1u32..6, fall in 1u32..6, steps in proptest::collection::vec(0u8..4, 0..80)) {
            let spec = CheckSpec { rise, fall, spread_percent: 50, ..CheckSpec::default() };
            let mut m = Machine::new(&spec);
            let (mut now, mut good, mut bad) = (1000u64, 0, 0);
            for (i, step) in steps.into_iter().enumerate() {
                let status = [Status::L7Ok, Status::L4Con, Status::L7OkCond, Status::L7Sts][step as usize];
                let before = m;
                let effect = m.conclude(&spec, status);
                let passed = status.verdict() != Verdict::Failed;
                (good, bad) = if passed { (good + 1, 0) } else { (0, bad + 1) };
                prop_assert!(m.health < rise + fall);
                prop_assert_eq!(m.oper == OperState::Stopped, m.health < rise);
                prop_assert_eq!(effect.transition.is_some(), m.oper != before.oper);
                match effect.transition {
                    Some(Transition::Down) => prop_assert!(bad >= fall || i as u32 + 1 == bad),
                    Some(Transition::Up) if before.oper == OperState::Stopped => prop_assert!(good >= rise),
                    _ => {}
                }
                let next = m.next_check(&spec, now, (i as u32).wrapping_mul(0x9e37_79b9));
                prop_assert!(next >= now + 1000 && next <= now + 3000);
                now = next;
            }
        }
    }
}
