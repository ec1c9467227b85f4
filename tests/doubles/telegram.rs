//! A double of Telegram's Bot API: `sendMessage` with its own reading of HTML.

use crate::http::{Reply, Request};
use crate::over_http::SECRET;
use crate::service::{json, object, string};

/// The one chat that its bot is in.
pub(crate) const CHAT: &str = "-100200300";

pub(crate) fn rules(request: &Request) -> Reply {
    let Some(method) = request.path.strip_prefix(&format!("/bot123456:{SECRET}/")) else {
        return Reply::new(401, r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#);
    };
    if method != "sendMessage" {
        return Reply::new(404, r#"{"ok":false,"error_code":404,"description":"Not Found"}"#);
    }
    match check(request) {
        Ok(()) => Reply::new(200, r#"{"ok":true,"result":{"message_id":42}}"#),
        Err(why) => {
            Reply::new(400, format!(r#"{{"ok":false,"error_code":400,"description":"Bad Request: {why}"}}"#))
        }
    }
}

fn check(request: &Request) -> Result<(), String> {
    let body = json(request)?;
    let keys = [
        "chat_id",
        "message_thread_id",
        "text",
        "parse_mode",
        "disable_notification",
        "link_preview_options",
    ];
    let body = object(&body, &keys)?;
    let chat = string(body, "chat_id", 1, 64)?;
    if chat != CHAT && chat != "-100200301" {
        return Err("chat not found".to_owned());
    }
    if string(body, "parse_mode", 1, 20)? != "HTML" {
        return Err("unsupported parse_mode".to_owned());
    }
    let pieces = pieces(string(body, "text", 1, 100_000)?)?;
    let length: usize = pieces.iter().map(|(_, text)| text.encode_utf16().count()).sum();
    if length > 4096 {
        return Err("message is too long".to_owned());
    }
    Ok(())
}

/// The text in its pieces, each with the tag that it stands in.
pub(crate) fn pieces(text: &str) -> Result<Vec<(&'static str, String)>, String> {
    let unsupported = || "can't parse entities".to_owned();
    let (mut pieces, mut tag, mut piece, mut rest) = (Vec::new(), "", String::new(), text);
    while let Some(character) = rest.chars().next() {
        let mut length = character.len_utf8();
        if character == '<' {
            let end = rest.find('>').ok_or_else(unsupported)?;
            let next = match (&rest[..=end], tag) {
                ("<b>", "") => "b",
                ("<code>", "") => "code",
                ("</b>", "b") | ("</code>", "code") => "",
                _ => return Err(unsupported()),
            };
            pieces.push((tag, std::mem::take(&mut piece)));
            (tag, length) = (next, end + 1);
        } else if character == '&' {
            let entities = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#39;", '\'')];
            let (entity, meant) =
                entities.iter().find(|(entity, _)| rest.starts_with(entity)).ok_or_else(unsupported)?;
            piece.push(*meant);
            length = entity.len();
        } else {
            piece.push(character);
        }
        rest = &rest[length..];
    }
    if !tag.is_empty() {
        return Err(unsupported());
    }
    pieces.push(("", piece));
    Ok(pieces)
}
