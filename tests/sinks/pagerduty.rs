//! PagerDuty.

use login_tracer::config::{self, Secret};
use login_tracer::notify::message::Event;
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::pagerduty::PagerDuty;
use login_tracer::sanitize::is_hostile;
use proptest::prelude::*;
use serde_json::Value;

use crate::http::Reply;
use crate::over_http::{Then, golden, outcomes, taken};
use crate::scene::{SESSION, Strangers, closed, hostile_message, opened, over_http, send, settings};
use crate::service::Service;

#[path = "../doubles/pagerduty.rs"]
mod double;

const BASE: &str = "https://events.pagerduty.com";

fn pagerduty(base: &str) -> PagerDuty {
    with(base, true)
}

fn with(base: &str, resolve: bool) -> PagerDuty {
    let routing_key = Secret::new(double::key());
    PagerDuty::new(&config::PagerDuty { routing_key, resolve, base_url: base.to_owned(), http: settings() })
}

#[test]
fn messages_as_they_are_sent() {
    golden("pagerduty", pagerduty(BASE), double::rules);
}

#[test]
fn a_session_is_one_alert() {
    let strangers = Strangers::polite();
    for (delivery, action) in [(opened(&strangers, 90), "trigger"), (closed(&strangers, 90), "resolve")] {
        let request = taken(&pagerduty(BASE), double::rules, &delivery).unwrap();
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(
            (body["event_action"].as_str(), body["dedup_key"].as_str()),
            (Some(action), Some(SESSION))
        );
    }
    // Where ends are not to be told, nothing is left to be done.
    let server = Service::start(double::rules);
    let sink = over_http(with(&server.server.url(), false));
    assert_eq!(send(&sink, &closed(&strangers, 90)).outcome, Outcome::Delivered);
    assert!(server.server.requests().is_empty());
    assert_eq!(send(&sink, &opened(&strangers, 90)).outcome, Outcome::Delivered);
    assert_eq!(server.server.requests().len(), 1);
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(
        double::rules,
        pagerduty,
        [
            (Reply::new(400, r#"{"status":"invalid event","errors":["Invalid routing key"]}"#), Then::Never),
            (Reply::new(202, "<html>Sign in</html>"), Then::Doubt),
            (Reply::new(200, r#"{"status":"success"}"#), Then::Doubt),
        ],
    );
}

proptest! {
    #[test]
    fn no_name_means_anything(delivery in hostile_message()) {
        let request = taken(&pagerduty(BASE), double::rules, &delivery).map_err(TestCaseError::fail)?;
        let body: Value = serde_json::from_str(&request.body)?;
        prop_assert_eq!(body["dedup_key"].as_str(), Some(delivery.subject.as_str()));
        if !matches!(delivery.event, Event::Closed { .. }) {
            let payload = &body["payload"];
            prop_assert!(!payload["source"].as_str().unwrap().chars().any(is_hostile));
            for line in &delivery.message.lines {
                prop_assert_eq!(payload["custom_details"][line.label.as_str()].as_str(), Some(line.text.as_str()));
            }
        }
    }
}
