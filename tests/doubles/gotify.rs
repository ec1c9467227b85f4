//! A double of a Gotify server: creating a message.

use crate::http::{Reply, Request};
use crate::over_http::SECRET;
use crate::service::{integer, json, object, string};

pub(crate) fn rules(request: &Request) -> Reply {
    if request.method != "POST" || request.path != "/message" {
        return Reply::new(404, r#"{"error":"Not Found","errorCode":404}"#);
    }
    if request.header("x-gotify-key") != Some(SECRET) {
        return Reply::new(401, r#"{"error":"Unauthorized","errorCode":401}"#);
    }
    match check(request) {
        Ok(()) => Reply::new(200, r#"{"id":25,"appid":5,"message":"..."}"#),
        Err(why) => Reply::new(400, format!(r#"{{"error":"Bad Request","errorDescription":"{why}"}}"#)),
    }
}

fn check(request: &Request) -> Result<(), String> {
    let body = json(request)?;
    let body = object(&body, &["title", "message", "priority", "extras"])?;
    string(body, "title", 1, 1000)?;
    string(body, "message", 1, 10_000)?;
    integer(body, "priority", 0, 10)?;
    match body.get("extras").map(|extras| extras["client::display"]["contentType"] == "text/plain") {
        Some(true) => Ok(()),
        _ => Err("names would be Markdown".to_owned()),
    }
}
