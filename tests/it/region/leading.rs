//! How long nobody leads: every node is asked who does, all the time.

use std::time::Duration;

use super::api::Api;
use super::traffic::Traffic;

/// Between two questions to one node, and how long an answer may take.
const PAUSE: Duration = Duration::from_millis(15);
const PATIENCE: Duration = Duration::from_millis(150);

/// A time in which nobody led, in nanoseconds of the trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: u64,
    pub to: u64,
}

impl Gap {
    pub fn length(self) -> Duration {
        Duration::from_nanos(self.to - self.from)
    }
}

/// Asks a node until the trial is over: the times at which it said, of itself, that it leads. A leader that is not sure
/// says so of nobody.
pub fn watch(traffic: &Traffic, node: usize) -> Vec<u64> {
    let mut api = Api::new(traffic.api(node)).patience(PATIENCE);
    let mut led = Vec::new();
    while !traffic.is_over() {
        let place = traffic.api(node);
        if api.address() != place {
            api = Api::new(place).patience(PATIENCE);
        }
        if let Ok(reply) = api.get("/v1/status/leader")
            && reply.status == 200
            && reply.body.trim().trim_matches('"') == format!("{}:7400", place.ip())
        {
            led.push(traffic.now());
        }
        std::thread::sleep(PAUSE);
    }
    led
}

/// The times between words of leaders, whichever, from the first to the last: those that are longer than answers take.
pub fn gaps(mut led: Vec<u64>) -> Vec<Gap> {
    led.sort_unstable();
    let pairs = led.windows(2).map(|pair| Gap { from: pair[0], to: pair[1] });
    pairs.filter(|gap| gap.length() > PATIENCE).collect()
}

/// How much of a time nobody led.
pub fn leaderless(gaps: &[Gap], from: u64, to: u64) -> u64 {
    gaps.iter().map(|gap| gap.to.min(to).saturating_sub(gap.from.max(from))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn what_no_node_says_it_led_is_a_gap() {
        let led = [900, 100, 0, 1000, 120].map(|ms| ms * MS).to_vec();
        let found = gaps(led);
        assert_eq!(found, [Gap { from: 120 * MS, to: 900 * MS }]);
        assert_eq!(leaderless(&found, 0, 200 * MS), 80 * MS);
        assert_eq!(leaderless(&found, 200 * MS, 300 * MS), 100 * MS);
        assert_eq!(leaderless(&found, 900 * MS, 1000 * MS), 0);
    }
}
