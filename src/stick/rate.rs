//! Events in a sliding period, as HAProxy counts them: those of the current period, and a share of those of the one
//! before it.

/// A counter as it lies in an entry: when the period began, events since, events in the period before.
pub type Words = [u32; 3];

/// Counts `n` events at `now`.
pub fn add(rate: &mut Words, period: u32, now: u32, n: u32) {
    turn(rate, period, now);
    rate[1] = rate[1].saturating_add(n);
}

/// Goes on to the period of `now`.
fn turn(rate: &mut Words, period: u32, now: u32) {
    let elapsed = now.wrapping_sub(rate[0]);
    if rate[0] == 0 {
        *rate = [now.max(1), 0, 0];
    } else if elapsed < period || elapsed > i32::MAX as u32 {
        // The clock of another thread may be ahead of this one.
    } else if elapsed - period < period {
        *rate = [rate[0].wrapping_add(period).max(1), 0, rate[1]];
    } else {
        *rate = [now.max(1), 0, 0];
    }
}

/// Events in the period that ends at `now`.
pub fn read(rate: &Words, period: u32, now: u32) -> u32 {
    let [start, mut current, mut past] = *rate;
    if period == 0 || start == 0 {
        return 0;
    }
    let elapsed = now.wrapping_sub(start);
    let mut remaining = i64::from(period) - i64::from(if elapsed > i32::MAX as u32 { 0 } else { elapsed });
    if remaining < 0 {
        remaining += i64::from(period);
        past = std::mem::take(&mut current);
        if remaining < 0 {
            return 0;
        }
    }
    // A lone event neither fades nor flickers before its period is over.
    if current == 0 && past <= 1 {
        return past;
    }
    let share = u64::from(past) * remaining as u64 / u64::from(period);
    (share + u64::from(current)).min(u64::from(u32::MAX)) as u32
}
