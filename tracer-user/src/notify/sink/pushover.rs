//! Pushover: plain text, the priority follows the risk.
//!
//! Priority 2 (an emergency) needs `retry` and `expire`, and is used only where that is configured. Any 4xx says that the
//! same request will never work; the quota of the month comes as 429.

use jiff::Timestamp;
use reqwest::{Method, Url};

use super::http::{Request, Service};
use super::{Urgency, cut};
use crate::config;
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};

/// Longest message. Pushover counts characters; bytes are never fewer.
const MAX_MESSAGE: usize = 1024;
/// Longest title, in the same way.
const MAX_TITLE: usize = 250;

/// One user or group.
pub struct Pushover {
    config: config::Pushover,
}

impl Pushover {
    pub fn new(config: &config::Pushover) -> Self {
        Self { config: config.clone() }
    }
}

impl Service for Pushover {
    const NAME: &'static str = "Pushover";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        let config = &self.config;
        let message = &delivery.message;
        let mut form = vec![
            ("token", config.token.expose().to_owned()),
            ("user", config.user.expose().to_owned()),
            ("title", cut(&message.title(), MAX_TITLE)),
            ("message", cut(&message.text(), MAX_MESSAGE)),
            ("timestamp", delivery.event.at().as_second().to_string()),
        ];
        form.extend(config.device.iter().map(|device| ("device", device.clone())));
        let priority = match (Urgency::of(delivery), config.emergency) {
            (Urgency::Low, _) => -1,
            (Urgency::Normal, _) => 0,
            (Urgency::Highest, Some(emergency)) => {
                form.push(("retry", emergency.retry.as_secs().to_string()));
                form.push(("expire", emergency.expire.as_secs().to_string()));
                2
            }
            (Urgency::High | Urgency::Highest, _) => 1,
        };
        form.push(("priority", priority.to_string()));
        Some(Request {
            method: Method::POST,
            url: format!("{}/1/messages.json", config.base_url),
            headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
            body: encoded(&form),
        })
    }

    /// Success is `status: 1`. What is wrong is named by its parameter: without its token or user, no message arrives.
    fn outcome(&self, answer: &Answer) -> Outcome {
        let body = answer.json();
        let is_invalid = |key: &str| body.get(key).and_then(serde_json::Value::as_str) == Some("invalid");
        match (answer.status, body.get("status").and_then(serde_json::Value::as_i64)) {
            (400, _) if is_invalid("token") || is_invalid("user") => Outcome::Gone { why: answer.why() },
            (200, Some(1)) => Outcome::Delivered,
            (200, Some(_)) => Outcome::Park { why: answer.why() },
            _ => answer.outcome(false, Self::NAME),
        }
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.config.token.expose(), self.config.user.expose()]
    }
}

/// A form, as URLs write it.
fn encoded(form: &[(&str, String)]) -> String {
    // Nothing is ever asked of this address; it only carries the form.
    let address = Url::parse_with_params("https://form.invalid/", form);
    address.ok().and_then(|address| address.query().map(str::to_owned)).unwrap_or_default()
}
