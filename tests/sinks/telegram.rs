//! Telegram.

use login_tracer::config::{self, Secret};
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::telegram::Telegram;
use proptest::prelude::*;
use serde_json::Value;

use crate::http::Reply;
use crate::over_http::{SECRET, Then, golden, outcomes, taken};
use crate::scene::{Strangers, hostile_message, opened, over_http, send, settings};
use crate::service::Service;

#[path = "../doubles/telegram.rs"]
mod double;

fn telegram(base: &str) -> Telegram {
    Telegram::new(&config::Telegram {
        token: Secret::new(format!("123456:{SECRET}")),
        chat: double::CHAT.to_owned(),
        thread: Some(7),
        base_url: base.to_owned(),
        http: settings(),
    })
}

#[test]
fn messages_as_they_are_sent() {
    golden("telegram", telegram("https://api.telegram.org"), double::rules);
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(
        double::rules,
        telegram,
        [
            (
                Reply::new(429, r#"{"ok":false,"error_code":429,"parameters":{"retry_after":35}}"#),
                Then::Again(Some(35_000)),
            ),
            (
                Reply::new(
                    400,
                    r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
                ),
                Then::Gone,
            ),
            (
                Reply::new(403, r#"{"ok":false,"description":"Forbidden: bot was blocked by the user"}"#),
                Then::Gone,
            ),
            (Reply::new(200, r#"{"ok":false,"description":"surprise"}"#), Then::Never),
            (Reply::new(200, "<html>Sign in</html>"), Then::Doubt),
        ],
    );
}

#[test]
fn a_group_that_moved_is_followed() {
    let server = Service::start(double::rules);
    server.next([Reply::new(
        400,
        r#"{"ok":false,"error_code":400,"parameters":{"migrate_to_chat_id":-100200301}}"#,
    )]);
    let sink = over_http(telegram(&server.server.url()));
    let delivery = opened(&Strangers::polite(), 1);
    assert_eq!(Then::from(&send(&sink, &delivery).outcome), Then::Again(Some(0)));
    assert_eq!(send(&sink, &delivery).outcome, Outcome::Delivered);
    assert!(server.server.requests()[1].body.contains(r#""chat_id":"-100200301""#));
    // A server that sends it round in circles is not followed for ever.
    server.next([Reply::new(400, r#"{"ok":false,"parameters":{"migrate_to_chat_id":-100200301}}"#)]);
    assert_eq!(Then::from(&send(&sink, &delivery).outcome), Then::Never);
}

proptest! {
    /// Whatever strangers chose is in `code`, complete up to its limit, and all else is ours.
    #[test]
    fn no_name_means_anything(delivery in hostile_message()) {
        let request =
            taken(&telegram("https://api.telegram.org"), double::rules, &delivery).map_err(TestCaseError::fail)?;
        let body: Value = serde_json::from_str(&request.body)?;
        let pieces = double::pieces(body["text"].as_str().unwrap()).unwrap();
        let inside = |tag: &str| pieces.iter().filter(|(of, _)| *of == tag).map(|(_, text)| text.as_str()).collect::<Vec<_>>();
        let labels: Vec<_> = delivery.message.lines.iter().map(|line| line.label.as_str()).collect();
        prop_assert_eq!(inside("b"), labels);
        let codes = inside("code");
        let meant = [&delivery.message.summary].into_iter().chain(delivery.message.lines.iter().map(|line| &line.text));
        prop_assert_eq!(codes.len(), 1 + delivery.message.lines.len());
        for (code, meant) in codes.iter().zip(meant) {
            prop_assert!(*code == meant || meant.starts_with(code.trim_end_matches('…')), "{} {}", code, meant);
        }
        let outside: String = inside("").concat();
        prop_assert!(outside.chars().all(|character| !character.is_ascii_graphic()), "{}", outside);
    }
}
