//! Incoming webhook messages, laid out as Slack lays out such blocks.

use std::fmt::Write as _;

use serde_json::Value;

use crate::golden;

/// The messages in the picture, and the time beside each.
const SHOWN: [(&str, &str); 4] =
    [("login-low", "09:05"), ("login-high", "09:05"), ("login-unknown", "09:05"), ("logout", "09:33")];

pub(super) const STYLE: &str = "
    * { margin: 0; box-sizing: border-box }
    body { width: 760px; padding: 14px 20px; background: #fff; color: #1d1c1d;
           font: 14px/1.4 Lato, 'Noto Sans', 'DejaVu Sans', sans-serif }
    .message { display: flex; gap: 10px; padding: 7px 0 }
    .icon { flex: none; width: 36px; height: 36px; border-radius: 6px; background: #2b4a6f; color: #fff;
            font: bold 15px/36px 'DejaVu Sans Mono', monospace; text-align: center }
    .rest { flex: auto }
    .app { margin: 0 6px; padding: 0 3px; border-radius: 2px; background: #ececec; color: #616061; font-size: 10px }
    .time { color: #616061; font-size: 12px }
    .attachment { display: flex; gap: 12px; margin-top: 5px }
    .bar { flex: none; width: 4px; border-radius: 4px }
    .fields { display: grid; grid-template-columns: 300px 300px; gap: 3px 14px; overflow-wrap: anywhere }";

pub(super) fn body() -> String {
    let mut body = String::new();
    for (name, time) in SHOWN {
        let json = std::fs::read_to_string(golden(&format!("slack-{name}.json"))).unwrap();
        message(&mut body, &serde_json::from_str(&json).unwrap(), time);
    }
    body
}

/// Texts of the payload are escaped for Slack with the same three entities that HTML needs.
fn message(page: &mut String, payload: &Value, time: &str) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    write!(
        page,
        "<div class=message><div class=icon>lt</div><div class=rest><b>login-tracer</b><span class=app>APP</span>\
         <span class=time>{time}</span><div>{}</div>",
        text(&payload["text"])
    )
    .unwrap();
    for attachment in payload["attachments"].as_array().unwrap() {
        write!(
            page,
            "<div class=attachment><div class=bar style='background:{}'></div><div class=fields>",
            text(&attachment["color"])
        )
        .unwrap();
        let fields = attachment["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|block| block["fields"].as_array().unwrap());
        for field in fields {
            let plain = text(&field["text"]);
            let shown = match field["type"].as_str().unwrap() {
                "mrkdwn" => format!("<b>{}</b>", plain.trim_matches('*')),
                _ => plain,
            };
            write!(page, "<div>{shown}</div>").unwrap();
        }
        page.push_str("</div></div>");
    }
    page.push_str("</div></div>");
}
