//! What a registry says of its limits: `Retry-After`, and `RateLimit-*` as Docker Hub sends them.

use std::time::Duration;

use crate::base::clock::Nanos;

/// Longest that anything is put off by a header.
const MOST: Duration = Duration::from_secs(6 * 3600);

/// `Retry-After`: seconds, or a date. `wall`: seconds since 1970.
pub fn retry_after(text: &str, wall_s: u64) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(MOST));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let at = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(at.saturating_sub(wall_s)).min(MOST))
}

/// `76;w=21600`: a number and the window in seconds that it is for.
fn windowed(text: &str) -> Option<(u64, u64)> {
    let (number, rest) = text.trim().split_once(';').unwrap_or((text.trim(), ""));
    let window = rest.split(';').find_map(|p| p.trim().strip_prefix("w=")?.parse().ok());
    Some((number.trim().parse().ok()?, window.unwrap_or(0)))
}

/// How long to wait for the next pull when none is left: the quota comes back evenly over its window.
pub fn until_next_pull(limit: Option<&str>, remaining: Option<&str>) -> Option<Duration> {
    let (left, window) = windowed(remaining?)?;
    if left > 0 {
        return None;
    }
    let (limit, window) = limit.and_then(windowed).map_or((1, window), |(n, w)| (n.max(1), w.max(window)));
    Some(Duration::from_millis((window.saturating_mul(1000) / limit).max(1000)).min(MOST))
}

/// Pulls that a registry still allows, as far as it said so. Those that are under way are counted before it answers, so
/// that many at once do not go beyond.
#[derive(Debug, Default)]
pub struct Quota {
    left: Option<u64>,
    under_way: u64,
    /// When none is left: not before.
    until: Nanos,
    /// Since when none is left.
    none_since: Nanos,
    is_asking: bool,
}

/// What becomes of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Go,
    /// Not before.
    At(Nanos),
    /// The registry is to be asked how many are left, by what is no pull.
    Ask,
}

/// For others to come back.
const MOMENT: Nanos = 50_000_000;

impl Quota {
    /// A pull wants to begin; one that goes is ended by [`Quota::end`], and who is to ask says what came of it.
    pub fn begin(&mut self, now: Nanos) -> Turn {
        match &mut self.left {
            Some(0) if now < self.until => return Turn::At(self.until),
            Some(0) if self.is_asking || self.under_way > 0 => return Turn::At(now + MOMENT),
            Some(0) => {
                self.is_asking = true;
                return Turn::Ask;
            }
            Some(left) => {
                *left -= 1;
                self.none_since = now;
            }
            None => {}
        }
        self.under_way += 1;
        Turn::Go
    }

    pub fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// What an answer says. The registry may not have counted the pulls that are under way, but the one it answers.
    pub fn hear(&mut self, limit: Option<&str>, remaining: Option<&str>, is_pull: bool, now: Nanos) {
        let Some((said, _)) = remaining.and_then(windowed) else { return };
        let others = self.under_way.saturating_sub(u64::from(is_pull));
        let left = said.saturating_sub(others).min(self.left.unwrap_or(u64::MAX));
        if left == 0 && self.left != Some(0) {
            self.none_since = now;
        }
        self.left = Some(left);
        if let (0, Some(wait)) = (left, until_next_pull(limit, remaining)) {
            self.until = now + wait.as_nanos() as Nanos;
        }
    }

    /// What was asked for was answered, or was not. An answer that says nothing allows one pull, and so does a window
    /// that is over: some registries count anew only when they are pulled from.
    pub fn asked(&mut self, answered: bool, limit: Option<&str>, remaining: Option<&str>, now: Nanos) {
        self.is_asking = false;
        if !answered {
            self.until = now + 1_000_000_000;
            return;
        }
        let (mut said, window) = remaining.and_then(windowed).unwrap_or((1, 0));
        if said == 0 && now.saturating_sub(self.none_since) >= window.max(1).saturating_mul(1_000_000_000) {
            said = 1;
        }
        self.left = Some(said);
        if let Some(wait) = until_next_pull(limit, remaining) {
            self.until = now + wait.as_nanos() as Nanos;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn pulls_at_once_stay_within_what_is_left() {
        let mut quota = Quota::default();
        assert_eq!(quota.begin(0), Turn::Go, "nothing is said of a limit");
        quota.hear(Some("10;w=20"), Some("2;w=20"), true, 0);
        quota.end();
        assert_eq!([quota.begin(0), quota.begin(0), quota.begin(0)], [Turn::Go, Turn::Go, Turn::At(MOMENT)]);
        // The answers come in the other order.
        quota.hear(Some("10;w=20"), Some("0;w=20"), true, 0);
        quota.end();
        quota.hear(Some("10;w=20"), Some("1;w=20"), true, 0);
        quota.end();
        assert_eq!(quota.begin(SECOND), Turn::At(2 * SECOND), "a tenth of the window");
        assert_eq!(
            [quota.begin(2 * SECOND), quota.begin(2 * SECOND)],
            [Turn::Ask, Turn::At(2 * SECOND + MOMENT)]
        );
        quota.asked(true, Some("10;w=20"), Some("0;w=20"), 2 * SECOND);
        assert_eq!(quota.begin(3 * SECOND), Turn::At(4 * SECOND));
        assert_eq!(quota.begin(4 * SECOND), Turn::Ask);
        quota.asked(true, Some("10;w=20"), Some("10;w=20"), 4 * SECOND);
        assert_eq!(quota.begin(4 * SECOND), Turn::Go);
    }

    #[test]
    fn an_answer_to_what_is_no_pull_leaves_room_for_those_under_way() {
        let mut quota = Quota::default();
        assert_eq!(quota.begin(0), Turn::Go);
        quota.hear(Some("10;w=20"), Some("1;w=20"), false, 0);
        assert_eq!(quota.begin(0), Turn::At(MOMENT));
        quota.end();
        assert_eq!(quota.begin(0), Turn::Ask);
        quota.asked(false, None, None, 0);
        assert_eq!([quota.begin(0), quota.begin(SECOND)], [Turn::At(SECOND), Turn::Ask]);
        quota.asked(true, None, None, SECOND);
        assert_eq!(quota.begin(SECOND), Turn::Go);
    }

    #[test]
    fn a_window_that_is_over_allows_a_pull_whatever_is_said() {
        let mut quota = Quota::default();
        quota.hear(Some("1;w=5"), Some("0;w=5"), false, SECOND);
        for at in [6, 11] {
            assert_eq!(quota.begin(at * SECOND), Turn::Ask, "at {at}");
            quota.asked(true, Some("1;w=5"), Some("0;w=5"), at * SECOND);
            assert_eq!(quota.begin(at * SECOND), Turn::Go, "at {at}");
            quota.end();
        }
    }

    #[test]
    fn headers_of_limits() {
        assert_eq!(retry_after(" 30 ", 0), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("99999999999", 0), Some(MOST));
        let date = "Thu, 01 Jan 1970 00:01:40 GMT";
        assert_eq!(retry_after(date, 40), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(date, 400), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", 0), None);
        assert_eq!(until_next_pull(Some("100;w=21600"), Some("76;w=21600")), None);
        assert_eq!(until_next_pull(Some("100;w=21600"), Some("0;w=21600")), Some(Duration::from_secs(216)));
        assert_eq!(until_next_pull(None, Some("0")), Some(Duration::from_secs(1)));
        assert_eq!(until_next_pull(None, None), None);
        assert_eq!(until_next_pull(None, Some("x")), None);
    }
}
