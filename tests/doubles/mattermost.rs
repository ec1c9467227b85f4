//! A double of Mattermost's incoming webhooks.

use serde_json::Value;

use crate::http::{Reply, Request};
use crate::over_http::SECRET;
use crate::service::{array, json, object, string};

pub(crate) fn rules(request: &Request) -> Reply {
    if request.method != "POST" || request.path != format!("/hooks/{SECRET}") {
        return Reply::new(
            400,
            r#"{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook"}"#,
        );
    }
    match check(request) {
        Ok(()) => Reply::new(200, "ok"),
        Err(why) => Reply::new(400, why),
    }
}

fn check(request: &Request) -> Result<(), String> {
    let body = json(request)?;
    let body = object(&body, &["text", "attachments"])?;
    string(body, "text", 1, 16_383)?;
    for attachment in array(body, "attachments", 0, 100)? {
        let attachment = object(attachment, &["color", "fallback", "fields"])?;
        string(attachment, "color", 7, 7)?;
        string(attachment, "fallback", 1, 16_383)?;
        for field in array(attachment, "fields", 1, 50)? {
            let field = object(field, &["title", "value", "short"])?;
            string(field, "title", 1, 100)?;
            string(field, "value", 1, 16_383)?;
            field.get("short").and_then(Value::as_bool).ok_or("short is no boolean")?;
        }
    }
    Ok(())
}
