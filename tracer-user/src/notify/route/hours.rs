//! Hours of the day on the clock of this host, and when a quiet time ends.

use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::Hours;

/// Longest time that quiet hours can keep a message: a week, and a day for whatever clocks do. The configuration refuses
/// quiet hours that do not end within a week.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(8 * 24);

/// Whether a time on the clock is in the hours.
pub fn covers(hours: &Hours, at: DateTime) -> bool {
    let minute = minute_of(at);
    let begins = |day: Weekday| hours.days.contains(day);
    let (today, yesterday) = (at.weekday(), at.weekday().previous());
    if hours.from < hours.to {
        begins(today) && (hours.from..hours.to).contains(&minute)
    } else {
        begins(today) && minute >= hours.from || begins(yesterday) && minute < hours.to
    }
}

/// When all of these hours are over that follow each other without a break; `None` if it is in none of them.
///
/// The end is always later than `now`, and no more than [`LONGEST`] later.
pub fn end(quiet: &[&Hours], now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let farthest = now.checked_add(LONGEST).unwrap_or(Timestamp::MAX);
    let mut end = None;
    while let Some(next) = quiet.iter().find_map(|hours| end_of_one(hours, end.unwrap_or(now), zone)) {
        if next >= farthest {
            return Some(farthest);
        }
        end = Some(next);
    }
    end
}

fn end_of_one(hours: &Hours, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let at = zone.to_datetime(now);
    if !covers(hours, at) {
        return None;
    }
    let reaches_tomorrow = hours.from >= hours.to && minute_of(at) >= hours.from;
    let date = if reaches_tomorrow || hours.to == MINUTES { at.date().tomorrow().ok()? } else { at.date() };
    let minutes = hours.to % MINUTES;
    // In range: less than 24 hours of 60 minutes.
    let time = Time::new((minutes / 60) as i8, (minutes % 60) as i8, 0, 0).ok()?;
    let ambiguous = zone.to_ambiguous_timestamp(date.to_datetime(time));
    // A time that the clock skips is reached when it has skipped it; of one that it shows twice, the next one counts.
    let is_to_come = |end: &Timestamp| *end > now;
    let next = ambiguous.compatible().ok().filter(is_to_come);
    next.or_else(|| ambiguous.later().ok().filter(is_to_come))
}

/// Minutes of a day.
const MINUTES: u16 = 24 * 60;

fn minute_of(at: DateTime) -> u16 {
    u16::from(at.hour().unsigned_abs()) * 60 + u16::from(at.minute().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Days;

    #[test]
    fn what_begins_before_midnight_belongs_to_its_day() {
        let night = hours(22 * 60, 7 * 60, Days::of([Weekday::Friday]));
        let table = [
            // 2026-11-20 is a Friday.
            ("2026-11-20T06:59", false),
            ("2026-11-20T21:59", false),
            ("2026-11-20T22:00", true),
            ("2026-11-20T23:59", true),
            ("2026-11-21T00:00", true),
            ("2026-11-21T06:59", true),
            ("2026-11-21T07:00", false),
            ("2026-11-21T22:00", false),
        ];
        for (at, expected) in table {
            assert_eq!(covers(&night, at.parse().unwrap()), expected, "{at}");
        }
        let day = hours(9 * 60, 17 * 60, Days::ALL);
        for (at, expected) in
            [("2026-11-20T08:59", false), ("2026-11-20T09:00", true), ("2026-11-20T17:00", false)]
        {
            assert_eq!(covers(&day, at.parse().unwrap()), expected, "{at}");
        }
        let whole = hours(0, MINUTES, Days::of([Weekday::Saturday]));
        assert!(covers(&whole, "2026-11-21T23:59".parse().unwrap()));
        assert!(!covers(&whole, "2026-11-22T00:00".parse().unwrap()));
    }

    #[test]
    fn hours_that_follow_each_other_end_together() {
        let zone = TimeZone::get("Europe/Madrid").unwrap();
        let night = hours(22 * 60, 7 * 60, Days::ALL);
        let weekend = hours(0, MINUTES, Days::of([Weekday::Saturday, Weekday::Sunday]));
        let now: Timestamp = "2026-11-20T22:30:00Z".parse().unwrap();
        let quiet = [&night, &weekend];
        let end_of = |quiet: &[&Hours]| end(quiet, now, &zone).unwrap().to_string();
        assert_eq!(end_of(&quiet[..1]), "2026-11-21T06:00:00Z");
        assert_eq!(end_of(&quiet), "2026-11-23T06:00:00Z");
        assert_eq!(end(&quiet[1..], now, &zone), None);
    }

    #[test]
    fn clocks_that_are_changed_end_quiet_hours_once() {
        let zone = TimeZone::get("Europe/Madrid").unwrap();
        let until_half = hours(22 * 60, 2 * 60 + 30, Days::ALL);
        let cases = [
            // 02:00 to 03:00 is skipped on 2026-03-29: 02:30 is where 03:30 is.
            ("2026-03-29T00:30:00Z", Some("2026-03-29T01:30:00Z")),
            ("2026-03-29T01:15:00Z", None),
            // and shown twice on 2026-10-25, from 00:00Z on.
            ("2026-10-25T00:15:00Z", Some("2026-10-25T00:30:00Z")),
            ("2026-10-25T00:45:00Z", None),
            ("2026-10-25T01:15:00Z", Some("2026-10-25T01:30:00Z")),
        ];
        for (now, expected) in cases {
            let end = end(&[&until_half], now.parse().unwrap(), &zone);
            assert_eq!(end.map(|end| end.to_string()).as_deref(), expected, "{now}");
        }
    }

    #[test]
    fn quiet_for_ever_ends() {
        let always = [&hours(0, MINUTES, Days::ALL)];
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(end(&always, now, &TimeZone::UTC), Some(now + LONGEST));
    }

    proptest! {
        #[test]
        fn an_end_is_to_come_and_is_one(
            seconds in 1_750_000_000i64..1_800_000_000,
            windows in prop::collection::vec((0u16..1440, 1u16..=1440, 1u8..128), 1..4),
            zone in prop::sample::select(vec!["Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "UTC"]),
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let now = Timestamp::from_second(seconds).unwrap();
            let windows: Vec<_> = windows
                .into_iter()
                .filter(|(from, to, _)| from != to)
                .map(|(from, to, days)| hours(from, to, days_of(days)))
                .collect();
            let quiet: Vec<_> = windows.iter().collect();
            let covered = |at: Timestamp| quiet.iter().any(|hours| covers(hours, zone.to_datetime(at)));
            match end(&quiet, now, &zone) {
                None => prop_assert!(!covered(now)),
                Some(end) => {
                    prop_assert!(covered(now));
                    prop_assert!(end > now && end <= now + LONGEST);
                    prop_assert!(end == now + LONGEST || !covered(end), "{end}");
                }
            }
        }

        #[test]
        fn the_complement_is_the_other_way_round(from in 0u16..1440, to in 1u16..1440, minute in 0i8..60, hour in 0i8..24) {
            prop_assume!(from != to && from != 0);
            let at = jiff::civil::date(2026, 11, 20).at(hour, minute, 0, 0);
            let (one, other) = (hours(from, to, Days::ALL), hours(to, from, Days::ALL));
            prop_assert!(covers(&one, at) != covers(&other, at));
        }
    }

    fn hours(from: u16, to: u16, days: Days) -> Hours {
        Hours { from, to, days }
    }

    fn days_of(bits: u8) -> Days {
        Days::of(
            Weekday::Monday
                .cycle_forward()
                .take(7)
                .filter(|day| bits & (1 << day.to_monday_zero_offset()) != 0),
        )
    }
}
