//! How many requests a service may get. Pure: the counts are kept by the [`super::Ledger`].

use std::fmt;

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
    /// Within a calendar month (UTC).
    pub per_month: u32,
}

/// The requests so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    pub last_minute: u32,
    pub this_month: u32,
}

/// Why a request is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    Minute,
    Month,
    /// The request could not be written down, so it could not be counted.
    Uncounted,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "the limit of requests per minute is reached",
            Self::Month => "the limit of requests per month is reached",
            Self::Uncounted => "requests cannot be counted",
        })
    }
}

/// Whether one more request fits.
pub fn allow(used: Used, limits: Limits) -> Result<(), Refusal> {
    if used.this_month >= limits.per_month {
        Err(Refusal::Month)
    } else if used.last_minute >= limits.per_minute {
        Err(Refusal::Minute)
    } else {
        Ok(())
    }
}

/// The name of the month that a time belongs to, such as `2026-11` (UTC).
pub fn month(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { per_minute: 10, per_month: 5000 };

    #[test]
    fn stops_at_each_limit() {
        let table = [
            (0, 0, Ok(())),
            (9, 4999, Ok(())),
            (10, 10, Err(Refusal::Minute)),
            (0, 5000, Err(Refusal::Month)),
            (10, 5000, Err(Refusal::Month)),
        ];
        for (last_minute, this_month, expected) in table {
            assert_eq!(allow(Used { last_minute, this_month }, LIMITS), expected);
        }
        assert_eq!(
            allow(Used { last_minute: 0, this_month: 0 }, Limits { per_minute: 0, per_month: 1 }),
            Err(Refusal::Minute)
        );
    }

    #[test]
    fn months_are_in_utc() {
        let name = |text: &str| month(text.parse().unwrap());
        assert_eq!(name("2026-11-30T23:59:59.999999Z"), "2026-11");
        assert_eq!(name("2026-12-01T00:30:00+01:00"), "2026-11");
    }
}
