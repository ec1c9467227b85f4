//! Mattermost, by an incoming webhook.
//!
//! Its payload is like Slack's, its markup is not: texts are Markdown everywhere. Names stand in code spans, where
//! Mattermost looks for no link, mention, emoji or hashtag; a backtick in them becomes an apostrophe.

use jiff::Timestamp;
use serde::Serialize;

use super::http::{Request, Service};
use super::redaction::secrets_of_url;
use super::{circle, colour};
use crate::config::{self, Secret};
use crate::notify::message::Message;
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};

/// One webhook.
pub struct Mattermost {
    url: Secret,
}

impl Mattermost {
    pub fn new(config: &config::Mattermost) -> Self {
        Self { url: config.webhook_url.clone() }
    }
}

impl Service for Mattermost {
    const NAME: &'static str = "Mattermost";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        Some(Request::json(self.url.expose(), &payload(&delivery.message)))
    }

    /// Success is 200 with the body `ok`.
    fn outcome(&self, answer: &Answer) -> Outcome {
        answer.outcome(answer.status == 200 && answer.body.trim() == "ok", Self::NAME)
    }

    fn secrets(&self) -> Vec<&str> {
        secrets_of_url(self.url.expose())
    }
}

/// The body of the request.
fn payload(message: &Message) -> Payload {
    let fields = message.lines.iter().map(|line| Field {
        title: line.label.as_str(),
        value: code(&line.text),
        short: line.text.chars().count() <= SHORT_VALUE,
    });
    Payload {
        text: format!("{} {}", circle(message.level), code(&message.summary)),
        attachments: [Attachment {
            color: format!("#{:06x}", colour(message.level)),
            fallback: code(&message.summary),
            fields: fields.collect(),
        }],
    }
}

/// Values up to this length, in characters, stand beside each other.
const SHORT_VALUE: usize = 30;

/// A text as a code span. The blanks belong to the span: a text that begins or ends with one keeps it.
fn code(text: &str) -> String {
    format!("` {} `", text.replace('`', "'"))
}

#[derive(Serialize)]
struct Payload {
    text: String,
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
struct Attachment {
    color: String,
    fallback: String,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    title: &'static str,
    value: String,
    short: bool,
}
