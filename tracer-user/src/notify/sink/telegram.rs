//! Telegram, by a bot.
//!
//! Everything that strangers chose stands in `<code>`, where Telegram looks for no link, mention, hashtag or command;
//! `& < >` are escaped, as its HTML asks. Low risks make no sound. The bot's token is part of the address.
//!
//! A group that becomes a supergroup gets another number: it is used from then on, until the role ends, and told.

use std::cell::Cell;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::http::{Request, Service};
use super::markup::html;
use super::{Urgency, circle, cut};
use crate::config::{self, Rate};
use crate::notify::message::Message;
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};

/// Longest text of a detail in bytes. Telegram takes 4096 characters in all, counted without markup; a dozen details of
/// this length stay below.
const MAX_TEXT: usize = 330;

/// One message a second in a chat, twenty a minute in a group (core.telegram.org/bots/faq).
pub const PACE: &[Rate] = &[Rate::new(1, Duration::from_secs(1)), Rate::new(20, Duration::from_secs(60))];

/// One chat.
pub struct Telegram {
    config: config::Telegram,
    /// The chat's number after it moved.
    moved_to: Cell<Option<i64>>,
}

impl Telegram {
    pub fn new(config: &config::Telegram) -> Self {
        Self { config: config.clone(), moved_to: Cell::new(None) }
    }
}

impl Service for Telegram {
    const NAME: &'static str = "Telegram";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        let config = &self.config;
        let payload = Payload {
            chat_id: self.moved_to.get().map_or_else(|| config.chat.clone(), |chat| chat.to_string()),
            message_thread_id: config.thread,
            text: text(&delivery.message),
            parse_mode: "HTML",
            disable_notification: Urgency::of(delivery) == Urgency::Low,
            link_preview_options: Previews { is_disabled: true },
        };
        let url = format!("{}/bot{}/sendMessage", config.base_url, config.token.expose());
        Some(Request::json(url, &payload))
    }

    /// Success is `ok: true`. 429 has its wait in the body.
    fn outcome(&self, answer: &Answer) -> Outcome {
        let body = answer.json();
        let parameter = |name: &str| body.get("parameters").and_then(|parameters| parameters.get(name));
        if let Some(seconds) = parameter("retry_after").and_then(Value::as_f64) {
            return Outcome::retry_in(seconds, answer.why());
        }
        if let Some(chat) = parameter("migrate_to_chat_id").and_then(Value::as_i64)
            && self.moved_to.replace(Some(chat)) != Some(chat)
        {
            tracing::warn!(chat, "a Telegram group has moved; put its new number into the configuration");
            return Outcome::retry_in(0.0, answer.why());
        }
        match (answer.status, body.get("ok").and_then(Value::as_bool)) {
            (400, _) if answer.body.contains("chat not found") => Outcome::Gone { why: answer.why() },
            (200, Some(false)) => Outcome::Park { why: answer.why() },
            (200, Some(true)) => Outcome::Delivered,
            _ => answer.outcome(false, Self::NAME),
        }
    }

    fn secrets(&self) -> Vec<&str> {
        let token = self.config.token.expose();
        [token].into_iter().chain(token.split_once(':').map(|(_, secret)| secret)).collect()
    }
}

fn text(message: &Message) -> String {
    let code = |text: &str| format!("<code>{}</code>", html(&cut(text, MAX_TEXT)));
    let mut text = format!("{} {}\n", circle(message.level), code(&message.summary));
    for line in &message.lines {
        text.push_str(&format!("\n<b>{}</b> {}", line.label.as_str(), code(&line.text)));
    }
    text
}

#[derive(Serialize)]
struct Payload {
    chat_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_thread_id: Option<i64>,
    text: String,
    parse_mode: &'static str,
    disable_notification: bool,
    link_preview_options: Previews,
}

#[derive(Serialize)]
struct Previews {
    is_disabled: bool,
}
