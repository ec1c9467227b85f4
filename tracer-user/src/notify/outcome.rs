//! What an attempt came to, and what follows from it. Pure.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

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
    /// Nothing works any more: the channel is gone, the credential is not taken. All messages wait until somebody has
    /// seen to it.
    Gone { why: String },
}

impl Outcome {
    /// A wait that a service named in its own words; bounded like that of `Retry-After`.
    pub fn retry_in(seconds: f64, why: String) -> Self {
        let seconds = if seconds.is_finite() { seconds } else { 0.0 };
        let after = seconds.clamp(0.0, retry_after::LONGEST.as_secs_f64());
        Self::Retry { after: Duration::try_from_secs_f64(after).ok(), why }
    }
}

/// The answer of a service over HTTP.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// What `Retry-After` asks for.
    pub retry_after: Option<Duration>,
    /// As much of the body as was read.
    pub body: String,
    /// The body as it may be shown: services repeat what they were sent, and that may hold secrets.
    pub shown: String,
    /// When it came.
    pub at: Timestamp,
}

impl Answer {
    /// `retry_after` is the header as it came; the body can be shown as it is.
    pub fn new(status: u16, retry_after: Option<&str>, body: String, at: Timestamp) -> Self {
        let retry_after = retry_after.and_then(|value| retry_after::parse(value, at));
        Self { status, retry_after, shown: body.clone(), body, at }
    }

    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// Status and body in one harmless line.
    pub fn why(&self) -> String {
        let (status, answer) = (self.status, sanitize::text(self.shown.trim(), ANSWER_CHARS));
        if answer.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {answer}") }
    }

    /// What follows by the rules of HTTP, which most services keep. `confirmed` says whether the body is the one by
    /// which the service confirms a message; a status of success without it is doubtful.
    ///
    /// 429 says in `Retry-After` when to come back; 5xx pass. A credential that is not taken (401, 403) or a place that is
    /// not there (404, 410) will be so for every message: asking again and again gets a sender banned. Any other 4xx is
    /// about this one message, and stays what it is.
    pub fn outcome(&self, confirmed: bool, service: &str) -> Outcome {
        let (after, why) = (self.retry_after, self.why());
        match self.status {
            200..=299 if confirmed => Outcome::Delivered,
            408 | 425 | 429 | 500..=599 => Outcome::Retry { after, why },
            // The proxy on the way wants a password: nothing is wrong with the message.
            407 => Outcome::Retry { after: None, why },
            401 | 403 | 404 | 410 => Outcome::Gone { why },
            400..=499 => Outcome::Park { why },
            _ => Outcome::Doubtful { why: format!("not an answer of {service}, {why}") },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that confirms with `ok`.
    fn of(status: u16, retry_after: Option<&str>, body: &str) -> Outcome {
        let answer = Answer::new(status, retry_after, body.to_owned(), Timestamp::UNIX_EPOCH);
        answer.outcome(status == 200 && body.trim() == "ok", "Slack")
    }

    #[test]
    fn every_answer_has_one_consequence() {
        #[derive(Debug, PartialEq)]
        enum Then {
            Done,
            Again(Option<u64>),
            Doubt,
            Never,
            Nobody,
        }
        use Then::{Again, Done, Doubt, Never, Nobody};
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
            (401, None, "", Nobody),
            (403, None, "action_prohibited", Nobody),
            (404, None, "no_service", Nobody),
            (404, None, "channel_not_found", Nobody),
            (407, None, "", Again(None)),
            (408, None, "", Again(None)),
            (410, None, "channel_is_archived", Nobody),
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
            let then = match of(*status, *header, body) {
                Outcome::Delivered => Done,
                Outcome::Retry { after, .. } => Again(after.map(|after| after.as_secs())),
                Outcome::Doubtful { .. } => Doubt,
                Outcome::Park { .. } => Never,
                Outcome::Gone { .. } => Nobody,
            };
            assert_eq!(&then, expected, "{status} {header:?} {body}");
        }
    }

    #[test]
    fn the_reason_keeps_what_the_service_said_harmless_and_short() {
        let park = |body: &str| {
            let outcome = of(400, None, body);
            let Outcome::Park { why } = outcome else { panic!("{outcome:?}") };
            why
        };
        assert_eq!(park("invalid_payload"), "HTTP 400: invalid_payload");
        assert_eq!(park(""), "HTTP 400");
        assert!(!park("\u{1b}[2Jx\ny").contains(['\u{1b}', '\n']));
        assert!(park(&"x".repeat(100_000)).chars().count() < 220);
    }

    #[test]
    fn waits_in_a_services_own_words_are_bounded() {
        let wait = |seconds| {
            let outcome = Outcome::retry_in(seconds, String::new());
            let Outcome::Retry { after, .. } = outcome else { panic!("{outcome:?}") };
            after.map(|after| after.as_millis())
        };
        assert_eq!(wait(0.65), Some(650));
        assert_eq!(wait(-1.0), Some(0));
        assert_eq!(wait(f64::NAN), Some(0));
        assert_eq!(wait(1e300), Some(86_400_000));
    }
}
