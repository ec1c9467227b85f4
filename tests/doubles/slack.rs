//! A double of Slack's incoming webhooks: takes what Slack takes, refuses what Slack refuses.
//!
//! The rules are those of Slack's reference for messages, attachments, section blocks and text objects.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use crate::http::{Reply, Server};

/// Path of the webhook; whoever knows it may post.
pub(crate) const PATH: &str = "/services/T00000000/B00000000/hushhushhushhushhushhush";

/// A workspace with one webhook.
#[derive(Clone)]
pub(crate) struct Slack {
    pub(crate) server: Server,
    moods: Arc<Mutex<VecDeque<Reply>>>,
    /// Bodies that were shown in the channel.
    shown: Arc<Mutex<Vec<String>>>,
}

impl Slack {
    pub(crate) fn start() -> Self {
        let moods: Arc<Mutex<VecDeque<Reply>>> = Arc::default();
        let shown: Arc<Mutex<Vec<String>>> = Arc::default();
        let (next, channel) = (Arc::clone(&moods), Arc::clone(&shown));
        let server = Server::start(move |request| {
            if let Some(mood) = next.lock().unwrap().pop_front() {
                return mood;
            }
            if request.method != "POST" || request.path != PATH {
                return Reply::new(404, "no_service");
            }
            match check(&request.body) {
                Ok(()) => {
                    channel.lock().unwrap().push(request.body.clone());
                    Reply::new(200, "ok")
                }
                Err(_) => Reply::new(400, "invalid_payload"),
            }
        });
        Self { server, moods, shown }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}{PATH}", self.server.url())
    }

    /// The next requests are answered like this, one each.
    pub(crate) fn next(&self, moods: impl IntoIterator<Item = Reply>) {
        self.moods.lock().unwrap().extend(moods);
    }

    /// The payloads that were accepted, oldest first.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.shown.lock().unwrap().clone()
    }

    /// The top-level texts of what was accepted.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |body: &String| {
            let body: Value = serde_json::from_str(body).unwrap();
            body["text"].as_str().unwrap().to_owned()
        };
        self.shown().iter().map(text).collect()
    }
}

/// Whether Slack takes this payload.
pub(crate) fn check(body: &str) -> Result<(), String> {
    let body: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let body = object(
        &body,
        &["text", "mrkdwn", "parse", "link_names", "unfurl_links", "unfurl_media", "attachments"],
    )?;
    let text = string(body, "text", 1, 40_000)?;
    no_control_sequence(text)?;
    for flag in ["mrkdwn", "link_names", "unfurl_links", "unfurl_media"] {
        if body.get(flag).is_some_and(|flag| !flag.is_boolean()) {
            return Err(format!("{flag} is not a boolean"));
        }
    }
    let attachments = array(body, "attachments", 0, 100)?;
    for attachment in attachments {
        let attachment = object(attachment, &["color", "fallback", "blocks"])?;
        let color = string(attachment, "color", 7, 7)?;
        if !color.starts_with('#') || !color[1..].bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("{color} is not a colour"));
        }
        no_control_sequence(string(attachment, "fallback", 1, 40_000)?)?;
        for block in array(attachment, "blocks", 1, 50)? {
            let block = object(block, &["type", "fields"])?;
            if string(block, "type", 1, 100)? != "section" {
                return Err("an unknown block".to_owned());
            }
            for field in array(block, "fields", 1, 10)? {
                check_text_object(field)?;
            }
        }
    }
    Ok(())
}

fn check_text_object(text: &Value) -> Result<(), String> {
    let text = object(text, &["type", "text", "emoji", "verbatim"])?;
    no_control_sequence(string(text, "text", 1, 2000)?)?;
    match (string(text, "type", 1, 100)?, text.contains_key("emoji"), text.contains_key("verbatim")) {
        ("plain_text", _, false) | ("mrkdwn", false, _) => Ok(()),
        (kind, _, _) => Err(format!("a text object of type {kind} with a key that it does not have")),
    }
}

/// `<` begins a link or a mention; a lone `&` is no entity. Slack shows such texts, but not as they were meant.
fn no_control_sequence(text: &str) -> Result<(), String> {
    let entity = |rest: &str| ["&amp;", "&lt;", "&gt;"].iter().any(|entity| rest.starts_with(entity));
    let bad = text
        .char_indices()
        .any(|(at, character)| matches!(character, '<' | '>') || (character == '&' && !entity(&text[at..])));
    if bad { Err(format!("unescaped text: {text}")) } else { Ok(()) }
}

fn object<'a>(value: &'a Value, keys: &[&str]) -> Result<&'a Map<String, Value>, String> {
    let object = value.as_object().ok_or("not an object")?;
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown key {key}")),
        None => Ok(object),
    }
}

fn string<'a>(object: &'a Map<String, Value>, key: &str, min: usize, max: usize) -> Result<&'a str, String> {
    let text = object.get(key).and_then(Value::as_str).ok_or_else(|| format!("no text {key}"))?;
    let length = text.chars().count();
    if (min..=max).contains(&length) { Ok(text) } else { Err(format!("{key} has {length} characters")) }
}

fn array<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    min: usize,
    max: usize,
) -> Result<&'a [Value], String> {
    let items = object.get(key).and_then(Value::as_array).ok_or_else(|| format!("no list {key}"))?;
    let length = items.len();
    if (min..=max).contains(&length) { Ok(items) } else { Err(format!("{key} has {length} items")) }
}
