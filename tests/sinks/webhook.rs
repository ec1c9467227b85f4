//! Webhooks of one's own.

use login_tracer::config::{self, Secret};
use login_tracer::notify::message::Event;
use login_tracer::notify::sink::webhook::Webhook;
use login_tracer::sanitize::is_hostile;
use proptest::prelude::*;
use serde_json::Value;

use crate::http::Reply;
use crate::over_http::{SECRET, Then, golden, outcomes, taken};
use crate::scene::{Strangers, host_of, hostile_message, opened, settings, user_of};

#[path = "../doubles/webhook.rs"]
mod double;

fn webhook(base: &str) -> Webhook {
    Webhook::new(&config::Webhook {
        url: Secret::new(format!("{base}/logins/{SECRET}")),
        secret: Some(Secret::new(double::SIGNING_SECRET.to_owned())),
        http: settings(),
    })
}

#[test]
fn messages_as_they_are_sent() {
    golden("webhook", webhook("https://example.org"), double::rules);
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(
        double::rules,
        webhook,
        [
            (Reply::new(200, "anything"), Then::Done),
            (Reply::new(202, ""), Then::Done),
            (Reply::new(304, ""), Then::Doubt),
        ],
    );
}

#[test]
fn somebody_else_can_check_the_signature() {
    let request =
        taken(&webhook("https://example.org"), double::rules, &opened(&Strangers::polite(), 1)).unwrap();
    let Some(is_signed) = double::is_signed(&request) else {
        assert!(std::env::var_os("LOGIN_TRACER_REQUIRE_ALL").is_none(), "there is no python3");
        return;
    };
    assert!(is_signed);
    let mut forged = request;
    forged.body = forged.body.replace("alice", "root");
    assert_eq!(double::is_signed(&forged), Some(false));
}

proptest! {
    /// Programs get names as they are; nothing in the text of the JSON acts on a terminal that shows it.
    #[test]
    fn no_name_breaks_it(delivery in hostile_message()) {
        let request =
            taken(&webhook("https://example.org"), double::rules, &delivery).map_err(TestCaseError::fail)?;
        prop_assert!(!request.body.chars().any(is_hostile));
        let body: Value = serde_json::from_str(&request.body)?;
        prop_assert_eq!(body["session"]["user"].as_str(), user_of(&delivery));
        prop_assert_eq!(body["host"].as_str(), Some(host_of(&delivery.event)));
        let (mut attempts, mut figures) = (Value::Null, Value::Null);
        if let Event::Stormed { storm, .. } = &delivery.event {
            attempts = serde_json::to_value(storm)?;
        }
        if let Event::Summary { summary, .. } = &delivery.event {
            figures = serde_json::to_value(summary)?;
        }
        prop_assert_eq!(&body["attempts"], &attempts);
        prop_assert_eq!(&body["figures"], &figures);
        prop_assert_eq!(body["summary"].as_str(), Some(delivery.message.summary.as_str()));
        prop_assert_eq!(body["session"]["closed_at"].is_string(), matches!(delivery.event, Event::Closed { .. }));
    }
}
