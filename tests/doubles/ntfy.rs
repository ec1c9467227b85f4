//! A double of an ntfy server: publishing as JSON, with its limits and its way to treat a topic's own address.

use crate::http::{Reply, Request};
use crate::over_http::SECRET;
use crate::service::{array, integer, object, string};

pub(crate) fn rules(request: &Request) -> Reply {
    if request.path != "/" {
        // The body of a request to a topic is its text, whatever it looks like.
        return Reply::new(200, r#"{"id":"x","event":"message","message":"{\"topic\":..."}"#);
    }
    let known = [format!("Bearer tk_{SECRET}"), format!("Basic {}", "aG9zdDpodXNoaHVzaGh1c2gwMTIzNDU2Nzg5")];
    match &request.authorization {
        Some(credentials) if !known.contains(credentials) => {
            return Reply::new(401, r#"{"code":40101,"http":401,"error":"unauthorized"}"#);
        }
        Some(_) | None => {}
    }
    match check(request) {
        Ok(()) => Reply::new(200, r#"{"id":"sPs71M8A2T","time":1643935928,"event":"message"}"#),
        Err(why) => Reply::new(400, format!(r#"{{"code":40024,"http":400,"error":"{why}"}}"#)),
    }
}

fn check(request: &Request) -> Result<(), String> {
    if request.method != "POST" && request.method != "PUT" {
        return Err("method".to_owned());
    }
    // Its content type is not looked at.
    let body = serde_json::from_str(&request.body).map_err(|error| error.to_string())?;
    let body = object(&body, &["topic", "title", "message", "priority", "tags"])?;
    let topic = string(body, "topic", 1, 64)?;
    if topic != SECRET {
        return Err("topic".to_owned());
    }
    string(body, "title", 1, 2048)?;
    let message = string(body, "message", 1, 4096)?;
    if message.len() > 4096 {
        return Err("it becomes an attachment".to_owned());
    }
    integer(body, "priority", 1, 5)?;
    for tag in array(body, "tags", 0, 10)? {
        tag.as_str().ok_or("a tag is no text")?;
    }
    Ok(())
}
