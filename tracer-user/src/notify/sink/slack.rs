//! Slack, by an incoming webhook.
//!
//! The message is an attachment, because only attachments have a colour bar, with blocks in it. Names that strangers
//! chose stand in `plain_text` objects, where no markup and no mention is looked for; in the one text outside of them,
//! parsing is switched off. `&`, `<` and `>` are escaped everywhere, as Slack asks.
//!
//! The webhook's URL is its password. It is in no error, no log and no `Debug` output.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::http::{Request, Service};
use super::redaction::secrets_of_url;
use super::{colour, escape_up_to};
use crate::config::{self, Rate, Secret};
use crate::notify::message::{Line, Message};
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};

/// Slack takes at most so many fields in a section block.
pub const MAX_FIELDS: usize = 10;
/// Slack takes at most so many characters in a field of a section block.
pub const MAX_FIELD_CHARS: usize = 2000;
/// Longest text outside of the fields; far below Slack's limit, and enough for every summary.
const MAX_TEXT_CHARS: usize = 1000;

/// One message a second for a webhook; whoever goes on faster may lose the app (api.slack.com/docs/rate-limits).
pub const PACE: &[Rate] = &[Rate::new(1, Duration::from_secs(1))];

/// One webhook.
pub struct Slack {
    url: Secret,
}

impl Slack {
    pub fn new(config: &config::Slack) -> Self {
        Self { url: config.webhook_url.clone() }
    }
}

impl Service for Slack {
    const NAME: &'static str = "Slack";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        Some(Request::json(self.url.expose(), &payload(&delivery.message)))
    }

    /// Documented: success is 200 with the body `ok`; 400, 403, 404 and 410 name a mistake that stays one.
    fn outcome(&self, answer: &Answer) -> Outcome {
        answer.outcome(answer.status == 200 && answer.body.trim() == "ok", Self::NAME)
    }

    fn secrets(&self) -> Vec<&str> {
        secrets_of_url(self.url.expose())
    }
}

/// The body of the request.
pub fn payload(message: &Message) -> Payload {
    let summary = escape(&message.summary, MAX_TEXT_CHARS);
    let blocks = message
        .lines
        .chunks(MAX_FIELDS / 2)
        .map(|lines| Block { r#type: "section", fields: lines.iter().flat_map(row).collect() })
        .collect();
    let color = format!("#{:06x}", colour(message.level));
    Payload {
        text: summary.clone(),
        mrkdwn: false,
        parse: "none",
        link_names: false,
        unfurl_links: false,
        unfurl_media: false,
        attachments: [Attachment { color, fallback: summary, blocks }],
    }
}

/// A label and its text: two fields, which Slack shows beside each other.
fn row(line: &Line) -> [Field; 2] {
    [
        Field::Mrkdwn { text: format!("*{}*", line.label.as_str()) },
        Field::PlainText { text: escape(&line.text, MAX_FIELD_CHARS), emoji: false },
    ]
}

/// Escapes what Slack gives a meaning to, and cuts what gets too long by it.
fn escape(text: &str, max_chars: usize) -> String {
    escape_up_to(text, max_chars, |_, character, _| {
        let entity = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => return None,
        };
        Some(entity.to_owned())
    })
}

/// A message as Slack takes it.
#[derive(Serialize)]
pub struct Payload {
    text: String,
    mrkdwn: bool,
    parse: &'static str,
    link_names: bool,
    unfurl_links: bool,
    unfurl_media: bool,
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
struct Attachment {
    color: String,
    fallback: String,
    blocks: Vec<Block>,
}

#[derive(Serialize)]
struct Block {
    r#type: &'static str,
    fields: Vec<Field>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Field {
    Mrkdwn { text: String },
    PlainText { text: String, emoji: bool },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_cuts_between_entities() {
        assert_eq!(escape("<!channel> & <@U1>", 100), "&lt;!channel&gt; &amp; &lt;@U1&gt;");
        assert_eq!(escape("abcdef", 4), "abc…");
        assert_eq!(escape("a&b", 5), "a…");
        assert_eq!(escape(&"&".repeat(500), 2000).chars().count(), 1996);
        assert_eq!(escape("abc", 100), "abc");
    }
}
