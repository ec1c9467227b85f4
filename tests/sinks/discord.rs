//! Discord's webhooks.

use login_tracer::config::{self, Secret};
use login_tracer::notify::sink::discord::Discord;
use proptest::prelude::*;
use serde_json::Value;

use crate::http::Reply;
use crate::over_http::{SECRET, Then, golden, outcomes, taken};
use crate::scene::{hostile_message, settings};

#[path = "../doubles/discord.rs"]
mod double;

fn discord(base: &str) -> Discord {
    let webhook_url = Secret::new(format!("{base}/api/webhooks/1/{SECRET}"));
    Discord::new(&config::Discord { webhook_url, http: settings() })
}

#[test]
fn messages_as_they_are_sent() {
    golden("discord", discord("https://discord.com"), double::rules);
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(
        double::rules,
        discord,
        [
            (
                Reply::with(
                    429,
                    "retry-after",
                    "1",
                    r#"{"message":"You are being rate limited.","retry_after":0.65}"#,
                ),
                Then::Again(Some(650)),
            ),
            (Reply::new(429, r#"{"retry_after":1e9,"global":true}"#), Then::Again(Some(86_400_000))),
            (Reply::new(404, r#"{"message":"Unknown Webhook","code":10015}"#), Then::Gone),
            (Reply::new(200, "<html>Sign in</html>"), Then::Doubt),
            (Reply::new(204, ""), Then::Doubt),
        ],
    );
}

proptest! {
    /// What Discord would read as markup is escaped, and what is shown is what was meant.
    #[test]
    fn no_name_means_anything(delivery in hostile_message()) {
        let request = taken(&discord("https://discord.com"), double::rules, &delivery).map_err(TestCaseError::fail)?;
        let body: Value = serde_json::from_str(&request.body)?;
        let shown = |text: &Value| shown(text.as_str().unwrap());
        prop_assert_eq!(shown(&body["content"])?, delivery.message.summary);
        for (field, line) in body["embeds"][0]["fields"].as_array().unwrap().iter().zip(&delivery.message.lines) {
            prop_assert_eq!(field["name"].as_str(), Some(line.label.as_str()));
            prop_assert_eq!(shown(&field["value"])?, line.text.as_str());
        }
    }
}

/// Reads a text as Discord does, and fails where it finds markup.
fn shown(text: &str) -> Result<String, TestCaseError> {
    let mut shown = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        let rest = &text[at..];
        let is_list = ["- ", "+ ", "-# "].iter().any(|list| rest.starts_with(list)) && at == 0;
        let is_number = at > 0
            && text[..at].bytes().all(|byte| byte.is_ascii_digit())
            && (rest.starts_with(". ") || rest == ".");
        if "*_~`|<>[]@#".contains(character) || rest.starts_with("://") || is_list || is_number {
            return Err(TestCaseError::fail(format!("markup: {text}")));
        }
        match (character, characters.clone().next()) {
            ('\\', Some((_, next))) if next.is_ascii_punctuation() => {
                shown.push(next);
                characters.next();
            }
            (other, _) => shown.push(other),
        }
    }
    Ok(shown)
}
