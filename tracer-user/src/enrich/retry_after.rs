//! `Retry-After`: when a service wants to be asked again. Pure.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The longest wait that a service can ask for: a day. What it asks beyond that is a mistake or malice.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the header: seconds, whole or with a fraction, or a date (RFC 9110, section 10.2.3). `None` for anything else.
///
/// A date that has passed is zero; whatever is longer than [`LONGEST`] is cut to it.
pub fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => seconds.min(LONGEST.as_secs_f64()),
        Ok(_) => return None,
        Err(_) => {
            let until = rfc2822::parse(value).ok()?.timestamp();
            until.duration_since(now).as_secs_f64().clamp(0.0, LONGEST.as_secs_f64())
        }
    };
    Duration::try_from_secs_f64(wait).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seconds_fractions_and_dates() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        let table: &[(&str, Option<f64>)] = &[
            ("0", Some(0.0)),
            ("30", Some(30.0)),
            (" 30 ", Some(30.0)),
            ("1.5", Some(1.5)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37.0)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0.0)),
            ("Tue, 06 Nov 2094 08:49:37 GMT", None), // not a Tuesday
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(86400.0)),
            ("99999999999999999999", Some(86400.0)),
            ("1e300", Some(86400.0)),
            ("inf", None),
            ("NaN", None),
            ("-1", None),
            ("", None),
            ("soon", None),
        ];
        for (value, expected) in table {
            assert_eq!(parse(value, now).map(|wait| wait.as_secs_f64()), *expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn is_never_longer_than_a_day(value in "\\PC{0,40}", seconds in any::<f64>()) {
            let now = Timestamp::UNIX_EPOCH;
            for value in [value, seconds.to_string()] {
                prop_assert!(parse(&value, now).unwrap_or_default() <= LONGEST);
            }
        }
    }
}
