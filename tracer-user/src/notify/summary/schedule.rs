//! When a summary is due and what time it covers. Pure; the clock is that of the host's zone.
//!
//! A time that the clock skips is taken at the moment after the gap, one that it shows twice at the first of both.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _};

use crate::config::{Every, Schedule};
use crate::words;

/// The longest time that a summary covers, in days, however long nothing ran.
pub const LONGEST: i32 = 31;

/// Up to this long, a summary shows its logins by hour; beyond it, by day.
const BY_HOUR: i64 = 48;

/// The last time of a schedule that is not after `now`.
pub fn last_due(schedule: &Schedule, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = zone.to_datetime(now).date().to_datetime(time(schedule));
    // One day more than a week, since the moment may be that of the same day and still to come.
    (0..=8).filter_map(|days| today.checked_sub(days.days()).ok()).find_map(|at| due(schedule, at, now, zone))
}

/// The first time of a schedule that is after `now`.
pub fn next_due(schedule: &Schedule, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = zone.to_datetime(now).date().to_datetime(time(schedule));
    let at = |days: i32| today.checked_add(days.days()).ok();
    (-1..=8).filter_map(at).filter(|at| is_day(schedule, *at)).find_map(|at| {
        let at = zone.to_timestamp(at).ok()?;
        (at > now).then_some(at)
    })
}

/// What the summary of this time covers, if the last one of its schedule went up to `told`: from where on.
///
/// A day or a week, and what was missed before it.
pub fn begin(schedule: &Schedule, due: Timestamp, told: Timestamp, zone: &TimeZone) -> Timestamp {
    let period = match schedule.every {
        Every::Day => 1,
        Every::Week(_) => 7,
    };
    let usual = back(due, period, zone);
    if told < usual { told.max(back(due, LONGEST, zone)) } else { usual }
}

/// The beginnings of the hours or days of a time with what the clock shows then (`14:00`, `Mon 23`), in their order; the
/// first one is its own beginning.
pub fn bars(from: Timestamp, until: Timestamp, zone: &TimeZone) -> Vec<(Timestamp, String)> {
    let by_hour = until.duration_since(from).as_hours() <= BY_HOUR;
    let label = |at: Timestamp| {
        let at = at.to_zoned(zone.clone());
        if by_hour { at.strftime("%H:%M").to_string() } else { words::day(at.weekday(), at.day()) }
    };
    let step = if by_hour { Span::new().hours(1) } else { Span::new().days(1) };
    let mut begins = Vec::new();
    let (mut next, first) = (from, from.to_zoned(zone.clone()));
    while next < until {
        begins.push((next, label(next)));
        let steps = i64::try_from(begins.len()).unwrap_or(i64::MAX);
        let at = step.checked_mul(steps).and_then(|span| first.checked_add(span)).map(|at| at.timestamp());
        // Outside of the calendar, or a clock that stands still: what is left is one bar.
        match at {
            Ok(at) if at > next => next = at,
            Ok(_) | Err(_) => break,
        }
    }
    begins
}

fn due(schedule: &Schedule, at: DateTime, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let moment = zone.to_timestamp(at).ok().filter(|moment| *moment <= now)?;
    is_day(schedule, at).then_some(moment)
}

fn is_day(schedule: &Schedule, at: DateTime) -> bool {
    match schedule.every {
        Every::Day => true,
        Every::Week(day) => at.weekday() == day,
    }
}

fn time(schedule: &Schedule) -> Time {
    let minutes = i8::try_from(schedule.at % 60).unwrap_or(0);
    let hours = i8::try_from(schedule.at / 60).unwrap_or(0);
    Time::new(hours, minutes, 0, 0).unwrap_or(Time::midnight())
}

/// So many days before, at the same time of the day.
fn back(at: Timestamp, days: i32, zone: &TimeZone) -> Timestamp {
    at.to_zoned(zone.clone()).checked_sub(days.days()).map_or(Timestamp::MIN, |at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_day_at_its_time() {
        let schedule = schedule(Every::Day, 8, 0);
        for (now, last, next) in [
            ("2026-11-21T06:59:59Z", "2026-11-20T07:00:00Z", "2026-11-21T07:00:00Z"),
            ("2026-11-21T07:00:00Z", "2026-11-21T07:00:00Z", "2026-11-22T07:00:00Z"),
            ("2026-11-21T23:30:00Z", "2026-11-21T07:00:00Z", "2026-11-22T07:00:00Z"),
            // The clock was set back in the night, and forward.
            ("2026-10-25T06:59:00Z", "2026-10-24T06:00:00Z", "2026-10-25T07:00:00Z"),
            ("2026-03-29T06:01:00Z", "2026-03-29T06:00:00Z", "2026-03-30T06:00:00Z"),
        ] {
            assert_eq!(last_due(&schedule, at(now), &berlin()), Some(at(last)), "{now}");
            assert_eq!(next_due(&schedule, at(now), &berlin()), Some(at(next)), "{now}");
        }
    }

    #[test]
    fn every_week_on_its_day() {
        let schedule = schedule(Every::Week(Weekday::Monday), 8, 30);
        for (now, last, next) in [
            // A Saturday; a Monday before and at the time.
            ("2026-11-21T12:00:00Z", "2026-11-16T07:30:00Z", "2026-11-23T07:30:00Z"),
            ("2026-11-23T07:29:59Z", "2026-11-16T07:30:00Z", "2026-11-23T07:30:00Z"),
            ("2026-11-23T07:30:00Z", "2026-11-23T07:30:00Z", "2026-11-30T07:30:00Z"),
        ] {
            assert_eq!(last_due(&schedule, at(now), &berlin()), Some(at(last)), "{now}");
            assert_eq!(next_due(&schedule, at(now), &berlin()), Some(at(next)), "{now}");
        }
    }

    #[test]
    fn a_time_that_the_clock_skips_or_shows_twice_is_told_once() {
        let schedule = schedule(Every::Day, 2, 30);
        let due = |now| last_due(&schedule, at(now), &berlin());
        assert_eq!(due("2026-03-29T12:00:00Z"), Some(at("2026-03-29T01:30:00Z")));
        assert_eq!(due("2026-10-25T00:30:00Z"), Some(at("2026-10-25T00:30:00Z")));
        assert_eq!(due("2026-10-25T01:45:00Z"), Some(at("2026-10-25T00:30:00Z")));
    }

    #[test]
    fn what_was_missed_is_covered_by_the_next_one() {
        let (day, week) = (schedule(Every::Day, 8, 0), schedule(Every::Week(Weekday::Monday), 8, 0));
        let due = at("2026-11-23T07:00:00Z");
        for (schedule, told, expected) in [
            (&day, "2026-11-22T07:00:00Z", "2026-11-22T07:00:00Z"),
            // Set up in the middle of the day: the whole day nevertheless.
            (&day, "2026-11-22T20:00:00Z", "2026-11-22T07:00:00Z"),
            (&day, "2026-11-19T07:00:00Z", "2026-11-19T07:00:00Z"),
            (&day, "2020-01-01T07:00:00Z", "2026-10-23T06:00:00Z"),
            (&week, "2026-11-16T07:00:00Z", "2026-11-16T07:00:00Z"),
            (&week, "2026-11-20T07:00:00Z", "2026-11-16T07:00:00Z"),
            (&week, "2026-11-09T07:00:00Z", "2026-11-09T07:00:00Z"),
        ] {
            assert_eq!(begin(schedule, due, at(told), &berlin()), at(expected), "{told}");
        }
    }

    #[test]
    fn bars_are_hours_of_a_day_and_days_of_a_week() {
        let bars = |from, until| bars(at(from), at(until), &berlin());
        let day = bars("2026-11-20T07:00:00Z", "2026-11-21T07:00:00Z");
        assert_eq!((day.len(), day[0].1.as_str(), day[23].1.as_str()), (24, "08:00", "07:00"));
        // A day of 25 hours, and of 23.
        assert_eq!(bars("2026-10-24T06:00:00Z", "2026-10-25T07:00:00Z").len(), 25);
        assert_eq!(bars("2026-03-28T07:00:00Z", "2026-03-29T06:00:00Z").len(), 23);
        let week = bars("2026-10-19T06:00:00Z", "2026-10-26T07:00:00Z");
        assert_eq!(week.len(), 7);
        let last = (at("2026-10-25T07:00:00Z"), "Sun 25".to_owned());
        assert_eq!(week.last(), Some(&last), "the same time of the day");
        assert_eq!(bars("2026-11-21T07:00:00Z", "2026-11-21T07:00:00Z"), []);
    }

    proptest! {
        #[test]
        fn one_time_follows_the_other(second in 0_i64..4_000_000_000, minute in 0_u16..1440, day in 0_i8..8) {
            let every = match day {
                7 => Every::Day,
                day => Every::Week(Weekday::from_monday_zero_offset(day).unwrap()),
            };
            let schedule = Schedule { every, at: minute, sinks: vec!["mail".to_owned()] };
            let now = Timestamp::from_second(second).unwrap();
            let last = last_due(&schedule, now, &berlin()).unwrap();
            let next = next_due(&schedule, now, &berlin()).unwrap();
            prop_assert!(last <= now && now < next);
            prop_assert_eq!(last_due(&schedule, next, &berlin()), Some(next));
            prop_assert_eq!(next_due(&schedule, last, &berlin()), Some(next));
            let begins = bars(last, next, &berlin());
            let begins: Vec<_> = begins.into_iter().map(|(begin, _)| begin).collect();
            prop_assert_eq!(begins.first(), Some(&last));
            prop_assert!(begins.is_sorted() && begins.last() < Some(&next) && begins.len() <= 49);
        }
    }

    fn schedule(every: Every, hours: u16, minutes: u16) -> Schedule {
        Schedule { every, at: hours * 60 + minutes, sinks: vec!["mail".to_owned()] }
    }

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }
}
