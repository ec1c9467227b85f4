//! A double of PagerDuty's Events API v2.

use crate::http::{Reply, Request};
use crate::over_http::SECRET;
use crate::service::{json, object, string};

/// An integration key: 32 letters and digits.
pub(crate) fn key() -> String {
    format!("{SECRET}{}", "x".repeat(32 - SECRET.len()))
}

pub(crate) fn rules(request: &Request) -> Reply {
    if request.method != "POST" || request.path != "/v2/enqueue" {
        return Reply::new(404, "");
    }
    match check(request) {
        Ok(dedup) => Reply::new(
            202,
            format!(r#"{{"status":"success","message":"Event processed","dedup_key":"{dedup}"}}"#),
        ),
        Err(why) => Reply::new(
            400,
            format!(r#"{{"status":"invalid event","message":"Event object is invalid","errors":["{why}"]}}"#),
        ),
    }
}

fn check(request: &Request) -> Result<String, String> {
    if request.body.len() > 512 * 1024 {
        return Err("too large".to_owned());
    }
    let body = json(request)?;
    let body = object(&body, &["routing_key", "event_action", "dedup_key", "client", "payload"])?;
    if string(body, "routing_key", 32, 32)? != key() {
        return Err("Invalid routing key".to_owned());
    }
    let dedup = string(body, "dedup_key", 1, 255)?.to_owned();
    match string(body, "event_action", 1, 20)? {
        "resolve" | "acknowledge" => return Ok(dedup),
        "trigger" => {}
        other => return Err(format!("event_action {other}")),
    }
    let keys =
        ["summary", "source", "severity", "timestamp", "component", "class", "custom_details", "group"];
    let payload = object(body.get("payload").ok_or("'payload' is missing")?, &keys)?;
    string(payload, "summary", 1, 1024)?;
    string(payload, "source", 1, 255)?;
    let severity = string(payload, "severity", 1, 20)?;
    if !["critical", "error", "warning", "info"].contains(&severity) {
        return Err(format!("severity {severity}"));
    }
    string(payload, "timestamp", 1, 40)?.parse::<jiff::Timestamp>().map_err(|error| error.to_string())?;
    payload.get("custom_details").and_then(serde_json::Value::as_object).ok_or("custom_details")?;
    Ok(dedup)
}
