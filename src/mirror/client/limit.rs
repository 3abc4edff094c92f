//! What a registry says of its limits: `Retry-After`, and `RateLimit-*` as Docker Hub sends them.

use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::*;

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
