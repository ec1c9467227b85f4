//! A double of Slack's Web API: `chat.postMessage`, whose failures are HTTP 200.

use serde_json::Value;

use crate::http::{Reply, Request};
use crate::over_http::SECRET;
use crate::slack::double as slack;

pub(crate) const CHANNEL: &str = "C0123456789";
/// How it calls the messages that it takes.
pub(crate) const TS: &str = "1503435956.000247";

pub(crate) fn rules(request: &Request) -> Reply {
    let refused = |error: &str| Reply::new(200, format!(r#"{{"ok":false,"error":"{error}"}}"#));
    if request.method != "POST" || request.path != "/api/chat.postMessage" {
        return refused("unknown_method");
    }
    if request.authorization.as_deref() != Some(&format!("Bearer xoxb-{SECRET}")) {
        return refused("invalid_auth");
    }
    if request.header("content-type") != Some("application/json; charset=utf-8") {
        return refused("missing_charset");
    }
    let Ok(Value::Object(mut body)) = serde_json::from_str(&request.body) else {
        return refused("invalid_json");
    };
    if body.remove("channel") != Some(CHANNEL.into()) {
        return refused("channel_not_found");
    }
    if body.remove("thread_ts").is_some_and(|thread| thread != TS) {
        return refused("thread_not_found");
    }
    match slack::check(&Value::Object(body).to_string()) {
        Ok(()) => {
            Reply::new(200, format!(r#"{{"ok":true,"channel":"{CHANNEL}","ts":"{TS}","message":{{}}}}"#))
        }
        Err(_) => refused("invalid_blocks"),
    }
}
