//! How many requests a service may get. Pure: the counts are kept by the [`super::Ledger`].

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Length of the sliding window in microseconds: one minute.
pub const WINDOW_US: i64 = 60_000_000;

/// The most requests that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Within any minute.
    pub per_minute: u32,
    /// Within a period of the calendar (UTC).
    pub per_period: u32,
    pub period: Period,
}

/// How much of the limits those who ask may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Those who look once more at somebody who is in: the rest is left to those who log in.
    Half,
    /// Those whom a login waits for.
    Whole,
}

impl Limits {
    /// What is left of them for those who may use up no more than a share.
    #[must_use]
    pub const fn of(self, share: Share) -> Self {
        match share {
            Share::Whole => self,
            Share::Half => Self { per_minute: self.per_minute / 2, per_period: self.per_period / 2, ..self },
        }
    }
}

/// What a service counts its requests by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Day,
    /// From Monday on (ISO 8601).
    Week,
    Month,
}

impl Period {
    /// The name of the period that a time belongs to (UTC): `2026-11-21`, `2026-W47`, `2026-11`.
    pub fn name(self, at: Timestamp) -> String {
        let format = match self {
            Self::Day => "%Y-%m-%d",
            Self::Week => "%G-W%V",
            Self::Month => "%Y-%m",
        };
        at.to_zoned(TimeZone::UTC).strftime(format).to_string()
    }
}

/// The requests so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    pub last_minute: u32,
    pub this_period: u32,
}

/// Why a request is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    Minute,
    Day,
    Week,
    Month,
    /// The request could not be written down, so it could not be counted.
    Uncounted,
}

/// Whether one more request fits.
pub fn allow(used: Used, limits: Limits) -> Result<(), Refusal> {
    if used.this_period >= limits.per_period {
        Err(match limits.period {
            Period::Day => Refusal::Day,
            Period::Week => Refusal::Week,
            Period::Month => Refusal::Month,
        })
    } else if used.last_minute >= limits.per_minute {
        Err(Refusal::Minute)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { per_minute: 10, per_period: 5000, period: Period::Month };

    #[test]
    fn stops_at_each_limit() {
        let table = [
            (0, 0, Ok(())),
            (9, 4999, Ok(())),
            (10, 10, Err(Refusal::Minute)),
            (0, 5000, Err(Refusal::Month)),
            (10, 5000, Err(Refusal::Month)),
        ];
        for (last_minute, this_period, expected) in table {
            assert_eq!(allow(Used { last_minute, this_period }, LIMITS), expected);
        }
        let none = Limits { per_minute: 0, ..LIMITS };
        assert_eq!(allow(Used { last_minute: 0, this_period: 0 }, none), Err(Refusal::Minute));
        for (period, refusal) in [(Period::Day, Refusal::Day), (Period::Week, Refusal::Week)] {
            let limits = Limits { per_minute: 10, per_period: 50, period };
            assert_eq!(allow(Used { last_minute: 0, this_period: 49 }, limits), Ok(()));
            assert_eq!(allow(Used { last_minute: 0, this_period: 50 }, limits), Err(refusal));
        }
    }

    #[test]
    fn half_is_left_to_those_who_log_in() {
        let half = LIMITS.of(Share::Half);
        assert_eq!((half.per_minute, half.per_period, half.period), (5, 2500, Period::Month));
        assert_eq!(LIMITS.of(Share::Whole), LIMITS);
        let one = Limits { per_minute: 1, ..LIMITS }.of(Share::Half);
        assert_eq!(allow(Used { last_minute: 0, this_period: 0 }, one), Err(Refusal::Minute));
    }

    #[test]
    fn periods_are_in_utc() {
        let name = |period: Period, text: &str| period.name(text.parse().unwrap());
        assert_eq!(name(Period::Month, "2026-11-30T23:59:59.999999Z"), "2026-11");
        assert_eq!(name(Period::Month, "2026-12-01T00:30:00+01:00"), "2026-11");
        assert_eq!(name(Period::Day, "2026-12-01T00:30:00+01:00"), "2026-11-30");
        assert_eq!(name(Period::Week, "2026-11-22T23:59:59Z"), "2026-W47");
        assert_eq!(name(Period::Week, "2026-11-23T00:00:00Z"), "2026-W48");
        // The first days of 2027 belong to the last week of 2026.
        assert_eq!(name(Period::Week, "2027-01-01T00:00:00Z"), "2026-W53");
    }
}
