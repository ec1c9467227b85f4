//! Matrix: a message event in a room.
//!
//! The transaction id is the delivery, so that a homeserver drops a repetition by itself. The text comes plain and as
//! HTML; `m.mentions` is empty, so that no name in it notifies anybody (Matrix specification 1.7, client-server API,
//! "User and room mentions").

use jiff::Timestamp;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use super::http::{AUTHORIZATION, Request, Service, bearer};
use super::markup::html;
use super::{circle, colour};
use crate::config;
use crate::notify::message::Message;
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};
use crate::sanitize;

/// One room.
pub struct Matrix {
    config: config::Matrix,
}

impl Matrix {
    pub fn new(config: &config::Matrix) -> Self {
        Self { config: config.clone() }
    }
}

impl Service for Matrix {
    const NAME: &'static str = "Matrix";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        let (config, message) = (&self.config, &delivery.message);
        let event = Event {
            msgtype: "m.text",
            body: format!("{} {}\n{}", circle(message.level), message.title(), message.text()),
            format: "org.matrix.custom.html",
            formatted_body: page(message),
            mentions: Mentions {},
        };
        let (room, id) = (segment(&config.room), delivery.id);
        let url = format!("{}/_matrix/client/v3/rooms/{room}/send/m.room.message/{id}", config.base_url);
        let request = Request { method: Method::PUT, ..Request::json(url, &event) };
        Some(request.header(AUTHORIZATION, bearer(&config.token)))
    }

    /// Success is 200 with the event's id. Older servers say in the body how long to wait.
    fn outcome(&self, answer: &Answer) -> Outcome {
        let body = answer.json();
        match (answer.status, answer.retry_after, body.get("retry_after_ms").and_then(Value::as_f64)) {
            (429, None, Some(milliseconds)) => Outcome::retry_in(milliseconds / 1000.0, answer.why()),
            _ => answer.outcome(answer.status == 200 && body.get("event_id").is_some(), Self::NAME),
        }
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.config.token.expose()]
    }
}

/// The message as HTML, with those elements alone that Matrix suggests to clients.
fn page(message: &Message) -> String {
    let text = |text: &str| html(&sanitize::unlinked(text));
    let mut page = format!(
        "<p><font data-mx-color=\"#{:06x}\">\u{25a0}</font> <b>{}</b></p><table>",
        colour(message.level),
        text(&message.summary)
    );
    for line in &message.lines {
        page.push_str(&format!("<tr><td>{}</td><td>{}</td></tr>", line.label.as_str(), text(&line.text)));
    }
    page.push_str("</table>");
    page
}

/// A text as one segment of a path.
fn segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                segment.push(char::from(byte))
            }
            other => segment.push_str(&format!("%{other:02X}")),
        }
    }
    segment
}

#[derive(Serialize)]
struct Event {
    msgtype: &'static str,
    body: String,
    format: &'static str,
    formatted_body: String,
    #[serde(rename = "m.mentions")]
    mentions: Mentions,
}

/// Who is mentioned: nobody.
#[derive(Serialize)]
struct Mentions {}
