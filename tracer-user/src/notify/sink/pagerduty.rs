//! PagerDuty, by its Events API v2: each session is one alert, named by the session, resolved at its end.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cut;
use super::http::{Request, Service};
use crate::assess::Level;
use crate::config;
use crate::notify::message::{Event, Label};
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};
use crate::notify::record::Record;
use crate::words;

/// Longest summary; PagerDuty counts characters, bytes are never fewer.
const MAX_SUMMARY: usize = 1024;
/// PagerDuty asks for "a backoff of a few minutes" where it is throttling and says nothing of its own.
const THROTTLED_SECONDS: f64 = 180.0;

/// One service.
pub struct PagerDuty {
    config: config::PagerDuty,
}

impl PagerDuty {
    pub fn new(config: &config::PagerDuty) -> Self {
        Self { config: config.clone() }
    }
}

impl Service for PagerDuty {
    const NAME: &'static str = "PagerDuty";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        let (key, message) = (self.config.routing_key.expose(), &delivery.message);
        let url = format!("{}/v2/enqueue", self.config.base_url);
        if matches!(delivery.event, Event::Closed { .. }) {
            let resolve =
                json!({"routing_key": key, "event_action": "resolve", "dedup_key": delivery.subject});
            return self.config.resolve.then(|| Request::json(url, &resolve));
        }
        let record = Record::new(delivery);
        let details: serde_json::Map<_, _> = message
            .lines
            .iter()
            .map(|line| (line.label.as_str().to_owned(), Value::from(line.text.as_str())))
            .collect();
        let trigger = json!({
            "routing_key": key,
            "event_action": "trigger",
            "dedup_key": delivery.subject,
            "client": "login-tracer",
            "payload": {
                "summary": cut(&message.title(), MAX_SUMMARY),
                "source": message.get(Label::Host).unwrap_or(words::UNKNOWN),
                "severity": severity(message.level),
                "timestamp": record.at,
                "component": "sshd",
                "class": record.kind,
                "custom_details": details,
            },
        });
        Some(Request::json(url, &trigger))
    }

    /// Success is 202 with `status: success`.
    fn outcome(&self, answer: &Answer) -> Outcome {
        if answer.status == 429 && answer.retry_after.is_none() {
            return Outcome::retry_in(THROTTLED_SECONDS, answer.why());
        }
        let is_success = answer.json().get("status").and_then(Value::as_str) == Some("success");
        answer.outcome(answer.status == 202 && is_success, Self::NAME)
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.config.routing_key.expose()]
    }
}

fn severity(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::High) => "critical",
        Some(Level::Medium) | None => "warning",
        Some(Level::Low | Level::Unknown) => "info",
    }
}
