//! Microsoft Teams, as an adaptive card through a workflow (Power Automate).
//!
//! The texts of a card are Markdown in text blocks and fact sets, but not in rich text blocks: all of ours are in those.
//! Cards have no colours of their own; the container has the style that comes nearest.
//!
//! 202 says that the workflow will run, not that anybody saw the card: Teams says no more.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::http::{Request, Service};
use super::redaction::secrets_of_url;
use super::{circle, cut};
use crate::assess::Level;
use crate::config::{self, Rate, Secret};
use crate::notify::message::Message;
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};

/// Longest text in the card, in bytes: a message of Teams has 28 KB for all of them, and escaping in JSON may take
/// six times as much.
const MAX_TEXT: usize = 320;

/// Four requests a second for a channel (learn.microsoft.com, throttling of Teams).
pub const PACE: &[Rate] = &[Rate::new(4, Duration::from_secs(1))];

/// One workflow.
pub struct Teams {
    url: Secret,
}

impl Teams {
    pub fn new(config: &config::Teams) -> Self {
        Self { url: config.webhook_url.clone() }
    }
}

impl Service for Teams {
    const NAME: &'static str = "Microsoft Teams";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        Some(Request::json(self.url.expose(), &payload(&delivery.message)))
    }

    /// Success is 202; some gateways before it answer 200.
    fn outcome(&self, answer: &Answer) -> Outcome {
        let is_page = answer.body.trim_start().starts_with('<');
        answer.outcome(matches!(answer.status, 200 | 202) && !is_page, Self::NAME)
    }

    fn secrets(&self) -> Vec<&str> {
        secrets_of_url(self.url.expose())
    }
}

fn payload(message: &Message) -> Value {
    let title = format!("{} {}", circle(message.level), message.title());
    let mut items = vec![paragraph(&[(&title, true)])];
    items.extend(message.lines.iter().map(|line| {
        let label = format!("{}: ", line.label.as_str());
        paragraph(&[(&label, true), (&line.text, false)])
    }));
    json!({
        "type": "message",
        "summary": cut(&title, MAX_TEXT),
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "fallbackText": cut(&title, MAX_TEXT),
                "msteams": {"width": "Full"},
                "body": [{"type": "Container", "style": style(message.level), "bleed": true, "items": items}],
            },
        }],
    })
}

/// A line of texts, bold or not, in which no Markdown is looked for.
fn paragraph(texts: &[(&String, bool)]) -> Value {
    let runs: Vec<_> = texts
        .iter()
        .map(|(text, is_bold)| {
            let weight = if *is_bold { "Bolder" } else { "Default" };
            json!({"type": "TextRun", "text": cut(text, MAX_TEXT), "weight": weight})
        })
        .collect();
    json!({"type": "RichTextBlock", "inlines": runs})
}

fn style(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Low) => "good",
        Some(Level::Medium) | None => "warning",
        Some(Level::High) => "attention",
        Some(Level::Unknown) => "emphasis",
    }
}
