//! A mail, as a mail program shows it: its headers, and its HTML as it is.

use std::fmt::Write as _;

use super::{escaped, sections};

pub(super) const STYLE: &str = "
    body { width: 760px; margin: 0; padding: 16px 20px; box-sizing: border-box; background: #fff; color: #202124;
           font: 14px/1.45 'Noto Sans', 'DejaVu Sans', sans-serif }
    .subject { font-size: 20px; margin-bottom: 10px }
    .header { color: #5f6368; font-size: 13px }
    .header b { color: #202124 }
    .content { margin-top: 16px; padding-top: 16px; border-top: 1px solid #dadce0 }";

/// The mail of this title.
pub(super) fn body(title: &str) -> String {
    let mail = &sections("email")[title];
    let (headers, parts) = mail.split_once("\n\n").unwrap();
    let header = |name: &str| {
        let line = headers.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        escaped(line.trim())
    };
    let (_, html) = parts.split_once("<!doctype html>").unwrap();
    let (html, _) = html.split_once("\n--=_").unwrap();
    let mut body = String::new();
    write!(
        body,
        "<div class=subject>{}</div><div class=header><b>{}</b><br>to {}</div><div class=content>{}</div>",
        header("Subject:"),
        header("From:"),
        header("To:"),
        decoded(html)
    )
    .unwrap();
    body
}

/// Quoted-printable as text.
fn decoded(quoted: &str) -> String {
    let joined = quoted.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'=', Some(value)) => {
                bytes.push(value);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
