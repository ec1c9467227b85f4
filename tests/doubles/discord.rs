//! A double of Discord's webhooks: the limits of the reference for webhooks, messages and embeds.

use serde_json::Value;

use crate::http::{Reply, Request};
use crate::over_http::SECRET;
use crate::service::{array, integer, json, object, string};

pub(crate) fn rules(request: &Request) -> Reply {
    let Some((path, query)) = request.path.split_once('?') else {
        // Taken, and perhaps not saved: nobody would know.
        return Reply::new(204, "");
    };
    if request.method != "POST" || path != format!("/api/webhooks/1/{SECRET}") {
        return Reply::new(404, r#"{"message":"Unknown Webhook","code":10015}"#);
    }
    if query != "wait=true" {
        return Reply::new(204, "");
    }
    match check(request) {
        Ok(()) => Reply::new(200, r#"{"id":"1234","type":0,"content":"..."}"#),
        Err(why) => {
            Reply::new(400, format!(r#"{{"message":"Invalid Form Body","code":50035,"errors":"{why}"}}"#))
        }
    }
}

fn check(request: &Request) -> Result<(), String> {
    let body = json(request)?;
    let body = object(&body, &["content", "embeds", "allowed_mentions"])?;
    if body.get("allowed_mentions") != Some(&serde_json::json!({"parse": []})) {
        return Err("mentions are looked for".to_owned());
    }
    string(body, "content", 1, 2000)?;
    let mut total = 0;
    for embed in array(body, "embeds", 1, 10)? {
        let embed = object(embed, &["color", "fields"])?;
        integer(embed, "color", 0, 0xff_ff_ff)?;
        for field in array(embed, "fields", 1, 25)? {
            let field = object(field, &["name", "value", "inline"])?;
            total += string(field, "name", 1, 256)?.chars().count();
            total += string(field, "value", 1, 1024)?.chars().count();
            if !field.get("inline").is_some_and(Value::is_boolean) {
                return Err("inline is no boolean".to_owned());
            }
        }
    }
    if total > 6000 { Err("the embeds are too long".to_owned()) } else { Ok(()) }
}
