//! A double of a Matrix homeserver: sending a message event.

use serde_json::{Value, json};

use crate::http::{Reply, Request};
use crate::over_http::SECRET;
use crate::service::{json as body_of, object, string};

/// `!abc:example.org`, as a segment of a path.
const ROOM: &str = "%21abc%3Aexample.org";

pub(crate) fn rules(request: &Request) -> Reply {
    let error = |status, code: &str| Reply::new(status, format!(r#"{{"errcode":"{code}","error":"..."}}"#));
    if request.authorization.as_deref() != Some(&format!("Bearer syt_{SECRET}")) {
        return error(401, "M_UNKNOWN_TOKEN");
    }
    let Some(rest) = request.path.strip_prefix("/_matrix/client/v3/rooms/") else {
        return error(404, "M_UNRECOGNIZED");
    };
    if request.method != "PUT" {
        return error(405, "M_UNRECOGNIZED");
    }
    let Some(transaction) = rest.strip_prefix(&format!("{ROOM}/send/m.room.message/")) else {
        return error(403, "M_FORBIDDEN");
    };
    if transaction.len() != 36 || transaction.contains('/') || request.body.len() > 60_000 {
        return error(413, "M_TOO_LARGE");
    }
    match check(request) {
        Ok(()) => Reply::new(200, r#"{"event_id":"$YUwRidLecu:example.com"}"#),
        Err(_) => error(400, "M_BAD_JSON"),
    }
}

fn check(request: &Request) -> Result<(), String> {
    let body: Value = body_of(request)?;
    let body = object(&body, &["msgtype", "body", "format", "formatted_body", "m.mentions"])?;
    if string(body, "msgtype", 1, 40)? != "m.text"
        || string(body, "format", 1, 40)? != "org.matrix.custom.html"
    {
        return Err("kind".to_owned());
    }
    string(body, "body", 1, 20_000)?;
    string(body, "formatted_body", 1, 20_000)?;
    if body.get("m.mentions") == Some(&json!({})) { Ok(()) } else { Err("mentions".to_owned()) }
}
