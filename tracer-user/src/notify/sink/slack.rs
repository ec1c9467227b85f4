//! Slack, by an incoming webhook.
//!
//! The message is an attachment, because only attachments have a colour bar, with blocks in it. Names that strangers
//! chose stand in `plain_text` objects, where no markup and no mention is looked for; in the one text outside of them,
//! parsing is switched off. `&`, `<` and `>` are escaped everywhere, as Slack asks.
//!
//! The webhook's URL is its password. It is in no error, no log and no `Debug` output.

use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Serialize;

use super::{Report, Sending, Sink};
use crate::assess::Level;
use crate::config::{self, Secret};
use crate::notify::message::{Line, Message};
use crate::notify::outbox::Delivery;
use crate::notify::outcome;
use crate::sanitize;

/// Slack takes at most so many fields in a section block.
pub const MAX_FIELDS: usize = 10;
/// Slack takes at most so many characters in a field of a section block.
pub const MAX_FIELD_CHARS: usize = 2000;
/// Longest text outside of the fields; far below Slack's limit, and enough for every summary.
const MAX_TEXT_CHARS: usize = 1000;
/// How much of an answer is read, in bytes; Slack answers with one word.
const MAX_ANSWER: usize = 4096;
/// Longest reason of a failed connection that is kept, in characters.
const REASON_CHARS: usize = 200;

/// One webhook.
pub struct Slack {
    url: Secret,
    timeout: Duration,
    client: reqwest::Client,
}

impl Slack {
    /// The client must not follow redirects: the message is for the holder of the URL alone.
    pub fn new(config: &config::Slack, client: reqwest::Client) -> Self {
        Self { url: config.webhook_url.clone(), timeout: config.timeout, client }
    }

    async fn post(&self, delivery: &Delivery) -> Result<Report, reqwest::Error> {
        let request = self
            .client
            .post(self.url.expose())
            .header(CONTENT_TYPE, "application/json")
            .timeout(self.timeout)
            .body(payload(&delivery.message));
        let mut response = request.send().await?;
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.map(str::to_owned);
        let mut answer = Vec::new();
        while answer.len() < MAX_ANSWER
            && let Some(chunk) = response.chunk().await?
        {
            answer.extend_from_slice(&chunk);
        }
        let answer = String::from_utf8_lossy(&answer);
        let outcome = outcome::of_slack(status, after.as_deref(), &answer, Timestamp::now());
        Ok(Report { outcome, status: Some(status) })
    }

    fn no_answer(&self, error: &reqwest::Error) -> Report {
        let why = if error.is_timeout() {
            format!("no answer within {:?}", self.timeout)
        } else {
            let what = if error.is_connect() { "cannot connect" } else { "the connection broke" };
            // The innermost cause; the outer ones name the URL.
            let mut cause: &dyn Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            let cause = if std::ptr::addr_eq(cause, error) { String::new() } else { format!(": {cause}") };
            format!("{what}{cause}").replace(self.url.expose(), "…")
        };
        Report::no_answer(sanitize::text(&why, REASON_CHARS))
    }
}

impl Sink for Slack {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(async { self.post(delivery).await.unwrap_or_else(|error| self.no_answer(&error)) })
    }
}

/// The body of the request.
pub fn payload(message: &Message) -> String {
    let summary = escape(&message.summary, MAX_TEXT_CHARS);
    let blocks = message
        .lines
        .chunks(MAX_FIELDS / 2)
        .map(|lines| Block { r#type: "section", fields: lines.iter().flat_map(row).collect() })
        .collect();
    let payload = Payload {
        text: &summary,
        mrkdwn: false,
        parse: "none",
        link_names: false,
        unfurl_links: false,
        unfurl_media: false,
        attachments: [Attachment { color: colour(message.level), fallback: &summary, blocks }],
    };
    serde_json::to_string(&payload).expect("a payload of strings is JSON")
}

/// The colour bar.
pub fn colour(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Low) => "#02ff00",
        Some(Level::Medium) | None => "#ffe200",
        Some(Level::High) => "#ff0002",
        Some(Level::Unknown) => "#9e9e9e",
    }
}

/// A label and its text: two fields, which Slack shows beside each other.
fn row(line: &Line) -> [Field; 2] {
    [
        Field::Mrkdwn { text: format!("*{}*", line.label.as_str()) },
        Field::PlainText { text: escape(&line.text, MAX_FIELD_CHARS), emoji: false },
    ]
}

/// Escapes what Slack gives a meaning to, and cuts what gets too long by it, never within an entity.
fn escape(text: &str, max_chars: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = 0;
    for character in text.chars() {
        let mut plain = [0; 4];
        let piece = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            other => other.encode_utf8(&mut plain),
        };
        chars += piece.chars().count();
        // One character is kept free for the sign that something was cut.
        if chars >= max_chars {
            escaped.push('…');
            break;
        }
        escaped.push_str(piece);
    }
    escaped
}

#[derive(Serialize)]
struct Payload<'a> {
    text: &'a str,
    mrkdwn: bool,
    parse: &'static str,
    link_names: bool,
    unfurl_links: bool,
    unfurl_media: bool,
    attachments: [Attachment<'a>; 1],
}

#[derive(Serialize)]
struct Attachment<'a> {
    color: &'static str,
    fallback: &'a str,
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

    #[test]
    fn the_address_is_in_no_reason() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // A port that nothing listens on, and a URL that is none.
        for url in ["http://127.0.0.1:1/services/T0/B0/verysecret", "verysecret", "http://verysecret:x/"] {
            let config =
                config::Slack { webhook_url: Secret::new(url.to_owned()), timeout: Duration::from_secs(5) };
            let slack = Slack::new(&config, reqwest::Client::builder().no_proxy().build().unwrap());
            let message = Message { summary: "s".to_owned(), level: None, lines: Vec::new() };
            let delivery = Delivery { id: uuid::Uuid::nil(), attempt: 1, message };
            let report = runtime.block_on(slack.send(&delivery));
            assert!(matches!(report.outcome, outcome::Outcome::Retry { .. }), "{report:?}");
            assert!(!format!("{report:?}").contains("verysecret"), "{report:?}");
        }
    }
}
