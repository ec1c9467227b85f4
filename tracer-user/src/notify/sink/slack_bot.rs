//! Slack, by an app's bot (`chat.postMessage`).
//!
//! The message is that of [`super::slack`]. Slack names it by its `ts`, which is kept: what is told later about the same
//! session answers it in a thread. Failures come as HTTP 200 with `ok: false`.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::http::{AUTHORIZATION, Request, Service, bearer};
use super::slack::{Payload, payload};
use crate::config::{self, Rate};
use crate::notify::outbox::Delivery;
use crate::notify::outcome::{Answer, Outcome};

/// Errors of Slack's own that pass (docs.slack.dev, `chat.postMessage`); all others name a mistake that stays one.
const PASSING: [&str; 7] = [
    "ratelimited",
    "rate_limited",
    "internal_error",
    "fatal_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
];

/// Errors that every other message would meet as well: the token is not taken, the channel is not there.
const GONE: [&str; 10] = [
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "missing_scope",
    "access_denied",
    "channel_not_found",
    "not_in_channel",
    "is_archived",
];

/// About one a second for a channel (docs.slack.dev, rate limits).
pub const PACE: &[Rate] = &[Rate::new(1, Duration::from_secs(1))];

/// One channel.
pub struct SlackBot {
    config: config::SlackBot,
}

impl SlackBot {
    pub fn new(config: &config::SlackBot) -> Self {
        Self { config: config.clone() }
    }
}

impl Service for SlackBot {
    const NAME: &'static str = "Slack";

    fn request(&self, delivery: &Delivery, _: Timestamp) -> Option<Request> {
        let post = Post {
            channel: &self.config.channel,
            thread_ts: delivery.first_receipt.as_deref(),
            payload: payload(&delivery.message),
        };
        let mut request = Request::json(format!("{}/chat.postMessage", self.config.base_url), &post);
        request.headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
        Some(request.header(AUTHORIZATION, bearer(&self.config.token)))
    }

    /// Success is `ok: true`.
    fn outcome(&self, answer: &Answer) -> Outcome {
        let body = answer.json();
        match (answer.status, body.get("ok").and_then(Value::as_bool)) {
            (200, Some(true)) => Outcome::Delivered,
            (200, Some(false)) => {
                let error = body.get("error").and_then(Value::as_str).unwrap_or_default();
                if PASSING.contains(&error) {
                    return Outcome::Retry { after: answer.retry_after, why: answer.why() };
                }
                let why = answer.why();
                if GONE.contains(&error) { Outcome::Gone { why } } else { Outcome::Park { why } }
            }
            _ => answer.outcome(false, Self::NAME),
        }
    }

    fn receipt(&self, answer: &Answer) -> Option<String> {
        answer.json().get("ts").and_then(Value::as_str).map(str::to_owned)
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.config.token.expose()]
    }
}

#[derive(Serialize)]
struct Post<'a> {
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    #[serde(flatten)]
    payload: Payload,
}
