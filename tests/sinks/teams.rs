//! Microsoft Teams.

use login_tracer::config::{self, Secret};
use login_tracer::notify::sink::teams::Teams;
use login_tracer::sanitize::is_hostile;
use proptest::prelude::*;
use serde_json::Value;

use crate::http::Reply;
use crate::over_http::{SECRET, Then, golden, outcomes, taken};
use crate::scene::{hostile_message, settings};

#[path = "../doubles/teams.rs"]
mod double;

const BASE: &str = "https://example.logic.azure.com";

fn teams(base: &str) -> Teams {
    let path = "workflows/0123/triggers/manual/paths/invoke?api-version=2016-06-01";
    let webhook_url = Secret::new(format!("{base}/{path}&sig={SECRET}"));
    Teams::new(&config::Teams { webhook_url, http: settings() })
}

#[test]
fn messages_as_they_are_sent() {
    golden("teams", teams(BASE), double::rules);
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(
        double::rules,
        teams,
        [
            (Reply::new(200, ""), Then::Done),
            (Reply::new(200, "<html>Sign in</html>"), Then::Doubt),
            (Reply::new(204, ""), Then::Doubt),
        ],
    );
}

proptest! {
    #[test]
    fn no_name_means_anything(delivery in hostile_message()) {
        let request = taken(&teams(BASE), double::rules, &delivery).map_err(TestCaseError::fail)?;
        let body: Value = serde_json::from_str(&request.body)?;
        let lines = double::lines(&body);
        prop_assert_eq!(lines.len(), 1 + delivery.message.lines.len());
        for (runs, line) in lines[1..].iter().zip(&delivery.message.lines) {
            prop_assert_eq!(runs[0], format!("{}: ", line.label.as_str()));
            prop_assert!(runs[1] == line.text || line.text.starts_with(runs[1].trim_end_matches('…')));
            prop_assert!(!runs[1].chars().any(is_hostile));
        }
    }
}
