//! Times as cron writes them: minute, hour, day of the month, month, day of the week.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Unit, Zoned, ZonedRound};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// `*`: then the other of the two decides.
    any_day: bool,
    any_weekday: bool,
}

impl Cron {
    pub fn parse(fields: [&str; 5]) -> Result<Cron, String> {
        let [minute, hour, day, month, weekday] = fields;
        let weekdays = field(weekday, 0, 7)?;
        Ok(Cron {
            minutes: field(minute, 0, 59)?,
            hours: field(hour, 0, 23)?,
            days: field(day, 1, 31)?,
            months: field(month, 1, 12)?,
            // Sunday is 0 and 7.
            weekdays: (weekdays | (weekdays >> 7)) & 0x7f,
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
        })
    }

    /// The first minute after a time, both in milliseconds since 1970; `None` if there is none within four years.
    pub fn next(&self, after_ms: u64, zone: &TimeZone) -> Option<u64> {
        let after = Timestamp::from_millisecond(i64::try_from(after_ms).ok()?).ok()?.to_zoned(zone.clone());
        let mut at =
            after.round(ZonedRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Floor)).ok()?;
        at = at.checked_add(1.minute()).ok()?;
        let end = after.checked_add(4.years()).ok()?;
        while at < end {
            let step = if !self.has_day(&at) {
                at.start_of_day().ok()?.checked_add(1.day())
            } else if !has(self.hours, at.hour()) {
                at.checked_add(i64::from(60 - at.minute()).minutes())
            } else if !has(self.minutes, at.minute()) {
                at.checked_add(1.minute())
            } else {
                return u64::try_from(at.timestamp().as_millisecond()).ok();
            };
            at = step.ok()?;
        }
        None
    }

    fn has_day(&self, at: &Zoned) -> bool {
        let day = has(self.days, at.day());
        let weekday = has(self.weekdays, at.weekday().to_sunday_zero_offset());
        // Either of them, where both are given.
        let is_day = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        has(self.months, at.month()) && is_day
    }
}

fn has(set: u64, number: i8) -> bool {
    set & (1 << number) != 0
}

/// `*`, `5`, `1-5`, `*/15`, `1-30/2`, and lists of these.
fn field(text: &str, least: u8, most: u8) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no list of numbers from {least} to {most}");
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step: usize = step.map_or(Ok(1), str::parse).map_err(|_| wrong())?;
        let number =
            |text: &str| text.parse::<u8>().ok().filter(|n| (least..=most).contains(n)).ok_or_else(wrong);
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            None if step > 1 => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        if step == 0 || from > to {
            return Err(wrong());
        }
        (from..=to).step_by(step).for_each(|n| set |= 1_u64 << n);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next time after one, in UTC.
    fn next(text: &str, after: &str) -> String {
        let fields: Vec<&str> = text.split(' ').collect();
        let cron = Cron::parse(fields.try_into().expect("five fields")).expect("times");
        let after: Timestamp = format!("{after}Z").parse().expect("a time");
        match cron.next(after.as_millisecond() as u64, &TimeZone::UTC) {
            Some(ms) => Timestamp::from_millisecond(ms as i64).expect("a time").to_string(),
            None => "never".into(),
        }
    }

    #[test]
    fn the_next_time() {
        assert_eq!(next("*/15 * * * *", "2026-11-29T12:00:00"), "2026-11-29T12:15:00Z");
        assert_eq!(next("0 3 * * *", "2026-11-29T12:00:30"), "2026-11-30T03:00:00Z");
        assert_eq!(next("30 2 1 1 *", "2026-11-29T12:00:00"), "2027-01-01T02:30:00Z");
        assert_eq!(next("0 0 * * 7", "2026-11-29T12:00:00"), "2026-12-06T00:00:00Z");
        assert_eq!(next("0 0 13 * 5", "2026-11-29T12:00:00"), "2026-12-04T00:00:00Z", "a Friday or the 13th");
        assert_eq!(next("0 0 29 2 *", "2026-11-29T12:00:00"), "2028-02-29T00:00:00Z");
        assert_eq!(next("0 0 31 2 *", "2026-11-29T12:00:00"), "never");
        assert_eq!(next("5,10-12 8 * * 1-5", "2026-11-30T08:05:00"), "2026-11-30T08:10:00Z");
    }

    #[test]
    fn a_day_that_has_no_such_hour_is_passed_over() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let cron = Cron::parse(["30", "2", "*", "*", "*"]).expect("times");
        let at: Timestamp = "2026-03-28T12:00:00Z".parse().expect("a time");
        let next = cron.next(at.as_millisecond() as u64, &zone).expect("a time");
        let next = Timestamp::from_millisecond(next as i64).expect("a time");
        assert_eq!(next.to_string(), "2026-03-30T00:30:00Z", "on the 29th it is 03:00 after 01:59");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["60 * * * *", "* 24 * * *", "* * 0 * *", "x * * * *", "*/0 * * * *", "5-1 * * * *", "* * * * 8"]
        {
            let fields: Vec<&str> = text.split(' ').collect();
            assert!(Cron::parse(fields.try_into().expect("five")).is_err(), "{text}");
        }
    }
}
