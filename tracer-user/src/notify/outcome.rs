//! What an attempt came to, and what follows from it. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::enrich::retry_after;
use crate::sanitize;

/// How often a delivery with a doubtful answer is tried before it is parked.
pub const DOUBTFUL_ATTEMPTS: u32 = 5;

/// How much of a service's answer is kept, in characters.
const ANSWER_CHARS: usize = 200;

/// The outcome of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The service confirmed it.
    Delivered,
    /// It may work later; not before `after`, where the service said so.
    Retry { after: Option<Duration>, why: String },
    /// Not what the service is known to answer: something else sits in between, or it is another service. Tried again
    /// a few times ([`DOUBTFUL_ATTEMPTS`]), then parked: it might well have been taken, and must not repeat for ever.
    Doubtful { why: String },
    /// It will never work; kept with the reason.
    Park { why: String },
}

/// Sorts the answer of a Slack incoming webhook.
///
/// Documented: success is 200 with the body `ok`; 400, 403, 404 and 410 name a mistake that stays one; 429 says in
/// `Retry-After` when to come back; 5xx pass.
pub fn of_slack(status: u16, retry_after: Option<&str>, body: &str, now: Timestamp) -> Outcome {
    let after = retry_after.and_then(|value| retry_after::parse(value, now));
    let answer = sanitize::text(body.trim(), ANSWER_CHARS);
    let why = if answer.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {answer}") };
    match status {
        200 if body.trim() == "ok" => Outcome::Delivered,
        408 | 425 | 429 | 500..=599 => Outcome::Retry { after, why },
        // The proxy on the way wants a password: nothing is wrong with the message.
        407 => Outcome::Retry { after: None, why },
        400..=499 => Outcome::Park { why },
        _ => Outcome::Doubtful { why: format!("not an answer of Slack, {why}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_one_consequence() {
        #[derive(Debug, PartialEq)]
        enum Then {
            Done,
            Again(Option<u64>),
            Doubt,
            Never,
        }
        use Then::{Again, Done, Doubt, Never};
        let table: &[(u16, Option<&str>, &str, Then)] = &[
            (200, None, "ok", Done),
            (200, None, "ok\n", Done),
            (200, None, "", Doubt),
            (200, None, "<html>Sign in to the guest network</html>", Doubt),
            (200, None, r#"{"ok":false,"error":"invalid_auth"}"#, Doubt),
            (204, None, "", Doubt),
            (302, None, "", Doubt),
            (400, None, "invalid_payload", Never),
            (400, None, "user_not_found", Never),
            (400, Some("30"), "invalid_payload", Never),
            (401, None, "", Never),
            (403, None, "action_prohibited", Never),
            (404, None, "no_service", Never),
            (404, None, "channel_not_found", Never),
            (407, None, "", Again(None)),
            (408, None, "", Again(None)),
            (410, None, "channel_is_archived", Never),
            (413, None, "", Never),
            (429, Some("30"), "rate_limited", Again(Some(30))),
            (429, Some("Thu, 01 Jan 1970 00:01:00 GMT"), "", Again(Some(60))),
            (429, Some("999999999"), "", Again(Some(86400))),
            (429, Some("whenever"), "", Again(None)),
            (429, None, "", Again(None)),
            (500, None, "rollup_error", Again(None)),
            (502, None, "<html>Bad gateway</html>", Again(None)),
            (503, Some("7"), "", Again(Some(7))),
            (599, None, "", Again(None)),
            (600, None, "", Doubt),
            (101, None, "", Doubt),
        ];
        for (status, header, body, expected) in table {
            let then = match of_slack(*status, *header, body, Timestamp::UNIX_EPOCH) {
                Outcome::Delivered => Done,
                Outcome::Retry { after, .. } => Again(after.map(|after| after.as_secs())),
                Outcome::Doubtful { .. } => Doubt,
                Outcome::Park { .. } => Never,
            };
            assert_eq!(&then, expected, "{status} {header:?} {body}");
        }
    }

    #[test]
    fn the_reason_keeps_what_the_service_said_harmless_and_short() {
        let park = |body: &str| {
            let outcome = of_slack(400, None, body, Timestamp::UNIX_EPOCH);
            let Outcome::Park { why } = outcome else { panic!("{outcome:?}") };
            why
        };
        assert_eq!(park("invalid_payload"), "HTTP 400: invalid_payload");
        assert_eq!(park(""), "HTTP 400");
        assert!(!park("\u{1b}[2Jx\ny").contains(['\u{1b}', '\n']));
        assert!(park(&"x".repeat(100_000)).chars().count() < 220);
    }
}
