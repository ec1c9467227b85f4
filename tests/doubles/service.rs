//! A double of any service over HTTP: judges requests by the service's own rules, unless it is in a mood.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use crate::http::{Reply, Request, Server};

/// The answer of a service to a request, by its documentation.
pub(crate) type Rules = fn(&Request) -> Reply;

/// A service that listens.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) server: Server,
    moods: Arc<Mutex<VecDeque<Reply>>>,
}

impl Service {
    pub(crate) fn start(rules: Rules) -> Self {
        let moods: Arc<Mutex<VecDeque<Reply>>> = Arc::default();
        let next = Arc::clone(&moods);
        let server = Server::start(move |request| {
            let mood = next.lock().unwrap().pop_front();
            mood.unwrap_or_else(|| rules(request))
        });
        Self { server, moods }
    }

    /// The next requests are answered like this, one each.
    pub(crate) fn next(&self, moods: impl IntoIterator<Item = Reply>) {
        self.moods.lock().unwrap().extend(moods);
    }
}

/// The body of a request of JSON.
pub(crate) fn json(request: &Request) -> Result<Value, String> {
    let kind = request.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(format!("{kind} is not JSON"));
    }
    serde_json::from_str(&request.body).map_err(|error| error.to_string())
}

/// An object with no other keys than these.
pub(crate) fn object<'a>(value: &'a Value, keys: &[&str]) -> Result<&'a Map<String, Value>, String> {
    let object = value.as_object().ok_or("not an object")?;
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown key {key}")),
        None => Ok(object),
    }
}

/// A text of so many characters.
pub(crate) fn string<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    min: usize,
    max: usize,
) -> Result<&'a str, String> {
    let text = object.get(key).and_then(Value::as_str).ok_or_else(|| format!("no text {key}"))?;
    let length = text.chars().count();
    if (min..=max).contains(&length) { Ok(text) } else { Err(format!("{key} has {length} characters")) }
}

/// A list of so many items.
pub(crate) fn array<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    min: usize,
    max: usize,
) -> Result<&'a [Value], String> {
    let items = object.get(key).and_then(Value::as_array).ok_or_else(|| format!("no list {key}"))?;
    let length = items.len();
    if (min..=max).contains(&length) { Ok(items) } else { Err(format!("{key} has {length} items")) }
}

/// A whole number within limits.
pub(crate) fn integer(object: &Map<String, Value>, key: &str, min: i64, max: i64) -> Result<i64, String> {
    let number = object.get(key).and_then(Value::as_i64).ok_or_else(|| format!("no whole number {key}"))?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(format!("{key} is {number}")) }
}
