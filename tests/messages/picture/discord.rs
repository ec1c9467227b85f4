//! Webhook messages, laid out as Discord lays out embeds: up to three short fields beside each other.

use std::fmt::Write as _;

use serde_json::Value;

use super::{escaped, sections};

/// The messages in the picture, and the time beside each.
const SHOWN: [(&str, &str); 2] = [("login, low", "09:05"), ("login, high", "09:05")];

pub(super) const STYLE: &str = "
    * { margin: 0; box-sizing: border-box }
    body { width: 760px; padding: 10px 16px; background: #313338; color: #dbdee1;
           font: 15px/1.4 'gg sans', 'Noto Sans', 'DejaVu Sans', sans-serif }
    .message { display: flex; gap: 14px; padding: 8px 0 }
    .icon { flex: none; width: 40px; height: 40px; border-radius: 50%; background: #2b4a6f; color: #fff;
            font: bold 15px/40px 'DejaVu Sans Mono', monospace; text-align: center }
    .name { color: #f2f3f5; font-weight: 600 }
    .app { margin: 0 7px; padding: 1px 5px; border-radius: 3px; background: #5865f2; color: #fff; font-size: 10px }
    .time { color: #949ba4; font-size: 12px }
    .embed { width: 520px; margin-top: 6px; padding: 10px 16px 12px 12px; border-radius: 4px; border-left: 4px solid;
             background: #2b2d31; display: grid; grid-template-columns: repeat(6, 1fr); gap: 8px; font-size: 13px }
    .embed div { overflow-wrap: anywhere }
    .embed b { display: block; color: #f2f3f5 }";

pub(super) fn body() -> String {
    let requests = sections("discord");
    let mut body = String::new();
    for (title, time) in SHOWN {
        let (_, payload) = requests[title].split_once("\n\n").unwrap();
        message(&mut body, &serde_json::from_str(payload).unwrap(), time);
    }
    body
}

fn message(page: &mut String, payload: &Value, time: &str) {
    write!(
        page,
        "<div class=message><div class=icon>lt</div><div><span class=name>login-tracer</span><span class=app>APP</span>\
         <span class=time>Today at {time}</span><div>{}</div>",
        shown(&payload["content"])
    )
    .unwrap();
    for embed in payload["embeds"].as_array().unwrap() {
        let colour = embed["color"].as_u64().unwrap();
        write!(page, "<div class=embed style='border-color:#{colour:06x}'>").unwrap();
        let fields = embed["fields"].as_array().unwrap();
        let is_short = |field: &&Value| field["inline"].as_bool().unwrap();
        let mut rest = fields.as_slice();
        while !rest.is_empty() {
            let beside = rest.iter().take(3).take_while(is_short).count().max(1);
            let (row, after) = rest.split_at(beside);
            for field in row {
                // Six columns: as many as one, two and three divide.
                let columns = 6 / row.len();
                let (name, value) = (shown(&field["name"]), shown(&field["value"]));
                write!(page, "<div style='grid-column:span {columns}'><b>{name}</b>{value}</div>").unwrap();
            }
            rest = after;
        }
        page.push_str("</div>");
    }
    page.push_str("</div></div>");
}

/// A text without the backslashes that keep Discord from reading markup in it.
fn shown(text: &Value) -> String {
    let text = text.as_str().unwrap();
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    escaped(&plain)
}
