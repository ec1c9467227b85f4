//! A double of Pushover's message API, with its limits.

use std::collections::BTreeMap;

use crate::http::{Reply, Request};
use crate::over_http::SECRET;

pub(crate) fn rules(request: &Request) -> Reply {
    if request.path != "/1/messages.json" || request.method != "POST" {
        return Reply::new(404, "not found");
    }
    match check(request) {
        Ok(()) => Reply::new(200, r#"{"status":1,"request":"647d2300-702c-4b38-8b2f-d56326ae460b"}"#),
        Err(why) => Reply::new(400, format!(r#"{{"status":0,"errors":["{why}"]}}"#)),
    }
}

/// The form of a request.
pub(crate) fn form(request: &Request) -> BTreeMap<String, String> {
    let address = reqwest::Url::parse(&format!("https://form.invalid/?{}", request.body)).unwrap();
    address.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// A key that this account has: 30 letters and digits.
pub(crate) fn key(first: char) -> String {
    format!("{first}{SECRET}{}", "x".repeat(29 - SECRET.len()))
}

fn check(request: &Request) -> Result<(), String> {
    if request.header("content-type") != Some("application/x-www-form-urlencoded") {
        return Err("no form".to_owned());
    }
    let form = form(request);
    let get = |name: &str| form.get(name).cloned().ok_or_else(|| format!("{name} cannot be blank"));
    if get("token")? != key('a') {
        return Err("application token is invalid".to_owned());
    }
    if get("user")? != key('u') {
        return Err("user identifier is not a valid user".to_owned());
    }
    for (name, max) in [("message", 1024), ("title", 250)] {
        let length = get(name)?.chars().count();
        if length == 0 || length > max {
            return Err(format!("{name} is too long"));
        }
    }
    get("timestamp")?.parse::<u64>().map_err(|_| "timestamp".to_owned())?;
    let number = |name: &str| get(name)?.parse::<i64>().map_err(|_| format!("{name} is no number"));
    let priority = number("priority")?;
    if !(-2..=2).contains(&priority) {
        return Err("priority is invalid".to_owned());
    }
    if priority == 2 && (number("retry")? < 30 || number("expire")? > 10_800) {
        return Err("retry or expire is out of range".to_owned());
    }
    let known = ["token", "user", "device", "title", "message", "timestamp", "priority", "retry", "expire"];
    form.keys()
        .find(|name| !known.contains(&name.as_str()))
        .map_or(Ok(()), |name| Err(format!("unknown {name}")))
}
