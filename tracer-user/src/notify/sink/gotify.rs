//! Gotify: plain text, so that names are no Markdown; the priority follows the risk.

use jiff::Timestamp;
use serde::Serialize;

use super::http::{Request, Service};
use super::{Urgency, circle};
use crate::config;
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};

/// One application.
pub struct Gotify {
    config: config::Gotify,
}

impl Gotify {
    pub fn new(config: &config::Gotify) -> Self {
        Self { config: config.clone() }
    }
}

impl Service for Gotify {
    const NAME: &'static str = "Gotify";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        let message = &delivery.message;
        let payload = Payload {
            title: format!("{} {}", circle(message.level), message.title()),
            message: message.text(),
            priority: priority(Urgency::of(delivery)),
            extras: Extras { display: Display { content_type: "text/plain" } },
        };
        let request = Request::json(format!("{}/message", self.config.base_url), &payload);
        Some(request.header("x-gotify-key", self.config.token.expose()))
    }

    /// Success is 200 with the stored message.
    fn outcome(&self, answer: &Answer) -> Outcome {
        answer.outcome(answer.status == 200 && answer.json().get("id").is_some(), Self::NAME)
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.config.token.expose()]
    }
}

/// Clients show 1 to 3 in silence, from 4 on with a sound, from 8 on over everything else.
fn priority(urgency: Urgency) -> u8 {
    match urgency {
        Urgency::Low => 2,
        Urgency::Normal => 5,
        Urgency::High => 7,
        Urgency::Highest => 9,
    }
}

#[derive(Serialize)]
struct Payload {
    title: String,
    message: String,
    priority: u8,
    extras: Extras,
}

#[derive(Serialize)]
struct Extras {
    #[serde(rename = "client::display")]
    display: Display,
}

#[derive(Serialize)]
struct Display {
    #[serde(rename = "contentType")]
    content_type: &'static str,
}
