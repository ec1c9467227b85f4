//! ntfy.

use login_tracer::config::{self, NtfyAccess, Secret};
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::ntfy::Ntfy;
use proptest::prelude::*;
use serde_json::Value;

use crate::http::Reply;
use crate::over_http::{SECRET, Then, golden, outcomes, taken};
use crate::plain;
use crate::scene::{Strangers, hostile_message, opened, over_http, send, settings};
use crate::service::Service;

#[path = "../doubles/ntfy.rs"]
mod double;

fn ntfy(base: &str) -> Ntfy {
    with_access(base, NtfyAccess::Token(Secret::new(format!("tk_{SECRET}"))))
}

fn with_access(base: &str, access: NtfyAccess) -> Ntfy {
    let topic = Secret::new(SECRET.to_owned());
    Ntfy::new(&config::Ntfy { base_url: base.to_owned(), topic, access, http: settings() })
}

#[test]
fn messages_as_they_are_sent() {
    golden("ntfy", ntfy("https://ntfy.sh"), double::rules);
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(
        double::rules,
        ntfy,
        [
            (
                Reply::new(429, r#"{"code":42901,"http":429,"error":"limit reached"}"#),
                Then::Again(Some(5000)),
            ),
            (Reply::new(429, "<html>"), Then::Again(None)),
            (Reply::new(507, r#"{"code":50701,"http":507}"#), Then::Again(None)),
            (Reply::new(200, "<html>Sign in</html>"), Then::Doubt),
        ],
    );
}

#[test]
fn the_daily_quota_is_waited_for() {
    let server = Service::start(double::rules);
    server.next([Reply::new(429, r#"{"code":42908,"http":429,"error":"daily message quota reached"}"#)]);
    let report = send(&over_http(ntfy(&server.server.url())), &opened(&Strangers::polite(), 1));
    let Outcome::Retry { after: Some(after), .. } = report.outcome else { panic!("{report:?}") };
    // Anything up to a day, depending on when this runs; never the few seconds of the other limits.
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let left = 86_400 - now.datetime().duration_since(now.date().into()).as_secs();
    assert!(after.as_secs().abs_diff(left.unsigned_abs()) <= 5, "{after:?}, {left}");
}

#[test]
fn a_password_is_as_good_as_a_token() {
    let server = Service::start(double::rules);
    let password =
        |word: &str| NtfyAccess::Password { user: "host".to_owned(), password: Secret::new(word.to_owned()) };
    for (access, outcome) in [
        (password(SECRET), Then::Done),
        (password("hush, another one"), Then::Gone),
        (NtfyAccess::Anybody, Then::Done),
        (NtfyAccess::Token(Secret::new("tk_hush".to_owned())), Then::Gone),
    ] {
        let sink = over_http(with_access(&server.server.url(), access));
        let report = send(&sink, &opened(&Strangers::polite(), 1));
        assert_eq!(Then::from(&report.outcome), outcome, "{report:?}");
        assert!(!format!("{report:?}").contains("hush"), "{report:?}");
    }
}

proptest! {
    #[test]
    fn no_name_means_anything(delivery in hostile_message()) {
        let request = taken(&ntfy("https://ntfy.sh"), double::rules, &delivery).map_err(TestCaseError::fail)?;
        let body: Value = serde_json::from_str(&request.body)?;
        plain::check(body["title"].as_str().unwrap(), body["message"].as_str().unwrap(), &delivery)?;
    }
}
