//! Pushover.

use std::time::Duration;

use login_tracer::config::{self, Emergency, Secret};
use login_tracer::notify::sink::pushover::Pushover;
use proptest::prelude::*;

use crate::http::Reply;
use crate::over_http::{Then, golden, outcomes, taken};
use crate::plain;
use crate::scene::{Strangers, closed, hostile_message, lost, opened, settings};

#[path = "../doubles/pushover.rs"]
mod double;

const BASE: &str = "https://api.pushover.net";

fn pushover(base: &str) -> Pushover {
    with(base, Some(Emergency { retry: Duration::from_secs(60), expire: Duration::from_secs(3600) }))
}

fn with(base: &str, emergency: Option<Emergency>) -> Pushover {
    Pushover::new(&config::Pushover {
        token: Secret::new(double::key('a')),
        user: Secret::new(double::key('u')),
        device: Some("phone".to_owned()),
        emergency,
        base_url: base.to_owned(),
        http: settings(),
    })
}

#[test]
fn messages_as_they_are_sent() {
    golden("pushover", pushover(BASE), double::rules);
}

#[test]
fn the_priority_follows_the_risk() {
    let strangers = Strangers::polite();
    for (delivery, calm, emergency) in [
        (opened(&strangers, 1), "-1", "-1"),
        (opened(&strangers, 50), "1", "1"),
        (opened(&strangers, 90), "1", "2"),
        (closed(&strangers, 90), "-1", "-1"),
        (lost(), "1", "1"),
    ] {
        for (sink, expected) in [(with(BASE, None), calm), (pushover(BASE), emergency)] {
            let form = double::form(&taken(&sink, double::rules, &delivery).unwrap());
            assert_eq!(form["priority"], expected, "{form:?}");
            assert_eq!(form.contains_key("retry"), expected == "2");
        }
    }
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(
        double::rules,
        pushover,
        [
            (Reply::new(400, r#"{"user":"invalid","status":0}"#), Then::Gone),
            (
                Reply::new(
                    400,
                    r#"{"token":"invalid","errors":["application token is invalid"],"status":0}"#,
                ),
                Then::Gone,
            ),
            (Reply::new(400, r#"{"status":0,"errors":["user identifier is invalid"]}"#), Then::Never),
            (Reply::new(200, r#"{"status":0,"errors":["surprise"]}"#), Then::Never),
            (Reply::new(429, r#"{"status":0,"errors":["over its monthly limit"]}"#), Then::Again(None)),
            (Reply::new(200, "<html>Sign in</html>"), Then::Doubt),
        ],
    );
}

proptest! {
    #[test]
    fn no_name_means_anything(delivery in hostile_message()) {
        let request = taken(&pushover(BASE), double::rules, &delivery).map_err(TestCaseError::fail)?;
        let form = double::form(&request);
        if !form["message"].ends_with('…') && !form["title"].ends_with('…') {
            plain::check(&form["title"], &form["message"], &delivery)?;
        }
        prop_assert!(form["message"].matches('\n').count() < delivery.message.lines.len());
        prop_assert!(!form["message"].replace("[://]", "").contains("://"));
    }
}
