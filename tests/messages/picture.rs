//! The pictures in the README: the golden payloads, laid out as the services lay them out.
//!
//! ```text
//! cargo test -p tracer-user --test messages picture -- --ignored
//! ```
//! writes the pictures in `tests/goldens/` anew. It needs chromium, and DejaVu or Noto fonts for the letters.

mod discord;
mod email;
mod slack;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use crate::golden;

#[test]
#[ignore = "needs chromium; writes the pictures of the README"]
fn pictures() {
    picture("slack-login.png", 1085, slack::STYLE, &slack::body());
    picture("discord-login.png", 790, discord::STYLE, &discord::body());
    picture("email-login.png", 520, email::STYLE, &email::body("login, high"));
    picture("email-summary.png", 700, email::STYLE, &email::body("summary"));
}

/// Writes one picture of a page, this high in pixels of the page.
fn picture(name: &str, height: u32, style: &str, body: &str) {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    std::fs::write(&page, format!("<!doctype html><meta charset=utf-8><style>{style}</style>{body}"))
        .unwrap();
    let picture = golden(name);
    let status = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=2",
        ])
        .args([&format!("--window-size=760,{height}"), "--virtual-time-budget=2000"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--screenshot={picture}"))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium is installed")
        .status;
    assert!(status.success());
    assert!(Path::new(&picture).metadata().unwrap().len() > 10_000);
}

/// The goldens of a sink, by the titles of the messages.
fn sections(sink: &str) -> HashMap<String, String> {
    let text = std::fs::read_to_string(golden(&format!("sinks/{sink}.txt"))).unwrap();
    let sections = text.split("## ").filter_map(|section| section.split_once('\n'));
    sections.map(|(title, rest)| (title.to_owned(), rest.to_owned())).collect()
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
