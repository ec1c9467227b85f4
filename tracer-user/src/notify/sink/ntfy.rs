//! ntfy: a topic of the public server or of an own one.
//!
//! The message is JSON at the server's *root*; at the topic's address it would be shown as it is. Nothing stands in
//! headers, which hold ASCII alone. The priority follows the risk, and a coloured tag shows it.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;
use serde_json::Value;

use super::http::{AUTHORIZATION, Request, Service, basic, bearer};
use super::{Urgency, cut};
use crate::assess::Level;
use crate::config::{self, NtfyAccess, Rate};
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};

/// Longest message in bytes; what is longer becomes an attachment.
const MAX_MESSAGE: usize = 4096;
/// Longest title, in bytes; the server has no limit of its own.
const MAX_TITLE: usize = 2048;
/// The daily quota is used up (ntfy `server/errors.go`); it begins anew at midnight UTC.
const DAILY_QUOTA: u64 = 42_908;
/// All other limits refill by one request in five seconds (ntfy `docs/publish.md`).
const REFILL_SECONDS: f64 = 5.0;

/// Sixty at once and one more in five seconds (ntfy `docs/config.md`, `visitor-request-limit-*`).
pub const PACE: &[Rate] = &[Rate::new(60, Duration::from_secs(300))];

/// One topic.
pub struct Ntfy {
    config: config::Ntfy,
}

impl Ntfy {
    pub fn new(config: &config::Ntfy) -> Self {
        Self { config: config.clone() }
    }
}

impl Service for Ntfy {
    const NAME: &'static str = "ntfy";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        let message = &delivery.message;
        let (priority, tag) = (priority(Urgency::of(delivery)), tag(message.level));
        let payload = Payload {
            topic: self.config.topic.expose(),
            title: cut(&message.title(), MAX_TITLE),
            message: cut(&message.text(), MAX_MESSAGE),
            priority,
            tags: [tag],
        };
        let request = Request::json(format!("{}/", self.config.base_url), &payload);
        Some(match &self.config.access {
            NtfyAccess::Anybody => request,
            NtfyAccess::Token(token) => request.header(AUTHORIZATION, bearer(token)),
            NtfyAccess::Password { user, password } => request.header(AUTHORIZATION, basic(user, password)),
        })
    }

    /// Success is 200 with the stored message. 429 comes without `Retry-After`, but with a code that says which limit
    /// was met.
    fn outcome(&self, answer: &Answer) -> Outcome {
        let body = answer.json();
        if answer.status == 429 && answer.retry_after.is_none() {
            match body.get("code").and_then(Value::as_u64) {
                Some(DAILY_QUOTA) => return Outcome::retry_in(until_midnight(answer.at), answer.why()),
                Some(_) => return Outcome::retry_in(REFILL_SECONDS, answer.why()),
                None => {}
            }
        }
        answer.outcome(answer.status == 200 && body.get("id").is_some(), Self::NAME)
    }

    fn secrets(&self) -> Vec<&str> {
        let topic = self.config.topic.expose();
        match &self.config.access {
            NtfyAccess::Anybody => vec![topic],
            NtfyAccess::Token(secret) | NtfyAccess::Password { password: secret, .. } => {
                vec![topic, secret.expose()]
            }
        }
    }
}

/// From 1 (no sound) to 5 (until somebody looks).
fn priority(urgency: Urgency) -> u8 {
    match urgency {
        Urgency::Low => 2,
        Urgency::Normal => 3,
        Urgency::High => 4,
        Urgency::Highest => 5,
    }
}

/// Shown as an emoji before the title.
fn tag(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Low) => "green_circle",
        Some(Level::Medium) => "yellow_circle",
        Some(Level::High) => "red_circle",
        Some(Level::Unknown) => "white_circle",
        None => "warning",
    }
}

/// Seconds until the next day begins, UTC.
fn until_midnight(now: Timestamp) -> f64 {
    let midnight = now.to_zoned(TimeZone::UTC).start_of_day().and_then(|day| day.checked_add(1.day()));
    midnight.map_or(REFILL_SECONDS, |midnight| midnight.timestamp().duration_since(now).as_secs_f64())
}

#[derive(Serialize)]
struct Payload<'a> {
    topic: &'a str,
    title: String,
    message: String,
    priority: u8,
    tags: [&'static str; 1],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quota_begins_anew_at_midnight() {
        assert_eq!(until_midnight("2026-11-21T22:30:00Z".parse().unwrap()), 5400.0);
        assert_eq!(until_midnight("2026-11-21T00:00:00Z".parse().unwrap()), 86_400.0);
    }
}
