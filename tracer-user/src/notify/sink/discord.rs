//! Discord, by a webhook.
//!
//! The summary is the text, because it is what a phone shows; the details are an embed, because only embeds have a
//! colour bar. `allowed_mentions` is empty: webhooks parse mentions by default. Everything that Discord reads as markup
//! is escaped by a backslash, so that names link and format nothing either.
//!
//! Without `wait=true` Discord confirms what it then does not save.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::http::{Request, Service};
use super::redaction::secrets_of_url;
use super::{colour, escape_up_to};
use crate::config::{self, Rate, Secret};
use crate::notify::message::Message;
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};

/// Longest text of a message, in characters.
const MAX_CONTENT: usize = 2000;
/// Most fields of an embed.
const MAX_FIELDS: usize = 25;
/// Longest value of a field, in characters.
const MAX_VALUE: usize = 1024;

/// What Discord's headers have said of webhooks so far. Its documentation names no numbers and wants the headers obeyed
/// (`topics/rate-limits.mdx`): this keeps within them, 429 with its `retry_after` stays the rule.
pub const PACE: &[Rate] = &[Rate::new(5, Duration::from_secs(2)), Rate::new(30, Duration::from_secs(60))];

/// One webhook.
pub struct Discord {
    url: Secret,
}

impl Discord {
    pub fn new(config: &config::Discord) -> Self {
        Self { url: config.webhook_url.clone() }
    }
}

impl Service for Discord {
    const NAME: &'static str = "Discord";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        let url = self.url.expose();
        let separator = if url.contains('?') { '&' } else { '?' };
        Some(Request::json(format!("{url}{separator}wait=true"), &payload(&delivery.message)))
    }

    /// With `wait=true`, success is 200 with the message; 429 has its wait in `retry_after`, in seconds with a fraction.
    fn outcome(&self, answer: &Answer) -> Outcome {
        let body = answer.json();
        match (answer.status, body.get("retry_after").and_then(Value::as_f64)) {
            (429, Some(seconds)) => Outcome::retry_in(seconds, answer.why()),
            _ => answer.outcome(answer.status == 200 && body.get("id").is_some(), Self::NAME),
        }
    }

    fn secrets(&self) -> Vec<&str> {
        secrets_of_url(self.url.expose())
    }
}

/// The body of the request.
fn payload(message: &Message) -> Payload {
    let fields = message.lines.iter().take(MAX_FIELDS).map(|line| Field {
        name: line.label.as_str(),
        value: escape(&line.text, MAX_VALUE),
        inline: line.text.chars().count() <= SHORT_VALUE,
    });
    Payload {
        content: escape(&message.summary, MAX_CONTENT),
        embeds: [Embed { color: colour(message.level), fields: fields.collect() }],
        allowed_mentions: Mentions { parse: [] },
    }
}

/// Values up to this length, in characters, stand beside each other.
const SHORT_VALUE: usize = 30;

/// Escapes everything that Discord reads as markup: emphasis, code, spoilers, quotes, links, mentions, lists.
fn escape(text: &str, max_chars: usize) -> String {
    escape_up_to(text, max_chars, |before, character, after| {
        let is_markup = match character {
            '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '@' | '#' | '/' => true,
            // The beginning of an address.
            ':' => after.starts_with('/'),
            // Lists and small print, at the beginning of a line alone.
            '-' | '+' => before.is_empty(),
            '.' => {
                let ends = after.is_empty() || after.starts_with(' ');
                ends && !before.is_empty() && before.bytes().all(|byte| byte.is_ascii_digit())
            }
            _ => false,
        };
        is_markup.then(|| format!("\\{character}"))
    })
}

#[derive(Serialize)]
struct Payload {
    content: String,
    embeds: [Embed; 1],
    allowed_mentions: Mentions,
}

#[derive(Serialize)]
struct Embed {
    color: u32,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    name: &'static str,
    value: String,
    inline: bool,
}

#[derive(Serialize)]
struct Mentions {
    /// Kinds of mentions that are looked for: none.
    parse: [&'static str; 0],
}
