//! A double of a workflow that posts adaptive cards to Teams.

use serde_json::Value;

use crate::http::{Reply, Request};
use crate::over_http::SECRET;
use crate::service::{array, json, object, string};

pub(crate) fn rules(request: &Request) -> Reply {
    let path = format!("/workflows/0123/triggers/manual/paths/invoke?api-version=2016-06-01&sig={SECRET}");
    if request.method != "POST" || request.path != path {
        return Reply::new(401, r#"{"error":{"code":"DirectApiAuthorizationRequired"}}"#);
    }
    match check(request) {
        Ok(()) => Reply::new(202, ""),
        Err(why) => Reply::new(
            400,
            format!(r#"{{"error":{{"code":"TriggerInputSchemaMismatch","message":"{why}"}}}}"#),
        ),
    }
}

fn check(request: &Request) -> Result<(), String> {
    if request.body.len() > 28 * 1024 {
        return Err("the card is too large".to_owned());
    }
    let body = json(request)?;
    let body = object(&body, &["type", "summary", "attachments"])?;
    if string(body, "type", 1, 20)? != "message" {
        return Err("no message".to_owned());
    }
    let [attachment] = array(body, "attachments", 1, 1)? else { return Err("attachments".to_owned()) };
    if attachment["contentType"] != "application/vnd.microsoft.card.adaptive" {
        return Err("no card".to_owned());
    }
    let keys = ["$schema", "type", "version", "fallbackText", "msteams", "body"];
    let card = object(&attachment["content"], &keys)?;
    if card["type"] != "AdaptiveCard" || card["version"] != "1.4" {
        return Err("not a card that Teams shows".to_owned());
    }
    for container in array(card, "body", 1, 10)? {
        let container = object(container, &["type", "style", "bleed", "items"])?;
        let style = string(container, "style", 1, 20)?;
        if !["default", "emphasis", "good", "attention", "warning", "accent"].contains(&style) {
            return Err(format!("style {style}"));
        }
        for item in array(container, "items", 1, 50)? {
            let item = object(item, &["type", "inlines"])?;
            if item["type"] != "RichTextBlock" {
                // Everything else reads its texts as Markdown.
                return Err("an element whose text is Markdown".to_owned());
            }
            for run in array(item, "inlines", 1, 10)? {
                let run = object(run, &["type", "text", "weight"])?;
                if run["type"] != "TextRun"
                    || !["Default", "Bolder"].contains(&run["weight"].as_str().unwrap_or(""))
                {
                    return Err("an unknown run".to_owned());
                }
                string(run, "text", 1, 4000)?;
            }
        }
    }
    Ok(())
}

/// The lines of the card, each with the texts of its runs.
pub(crate) fn lines(body: &Value) -> Vec<Vec<&str>> {
    let items = body["attachments"][0]["content"]["body"][0]["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            item["inlines"].as_array().unwrap().iter().map(|run| run["text"].as_str().unwrap()).collect()
        })
        .collect()
}
