//! Slack's incoming webhooks. Goldens and properties of their payload are in `messages/`.

use login_tracer::config::{self, Secret};
use login_tracer::notify::sink::slack::Slack;

use crate::http::{Reply, Request};
use crate::over_http::{SECRET, Then, outcomes};
use crate::scene::settings;

#[path = "../doubles/slack.rs"]
#[allow(dead_code, reason = "its rules alone are used here")]
pub(crate) mod double;

fn rules(request: &Request) -> Reply {
    if request.path != format!("/services/T0/B0/{SECRET}") {
        return Reply::new(404, "no_service");
    }
    match double::check(&request.body) {
        Ok(()) => Reply::new(200, "ok"),
        Err(_) => Reply::new(400, "invalid_payload"),
    }
}

fn slack(base: &str) -> Slack {
    let webhook_url = Secret::new(format!("{base}/services/T0/B0/{SECRET}"));
    Slack::new(&config::Slack { webhook_url, http: settings() })
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(
        rules,
        slack,
        [
            (Reply::new(200, "<html>Sign in to the guest network</html>"), Then::Doubt),
            (Reply::new(200, r#"{"ok":false,"error":"invalid_auth"}"#), Then::Doubt),
            (Reply::new(404, "no_service"), Then::Gone),
            (Reply::new(500, "rollup_error"), Then::Again(None)),
        ],
    );
}
