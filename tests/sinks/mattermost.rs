//! Mattermost.

use login_tracer::config::{self, Secret};
use login_tracer::notify::sink::mattermost::Mattermost;
use proptest::prelude::*;
use serde_json::Value;

use crate::http::Reply;
use crate::over_http::{SECRET, Then, golden, outcomes, taken};
use crate::scene::{hostile_message, settings};

#[path = "../doubles/mattermost.rs"]
mod double;

fn mattermost(base: &str) -> Mattermost {
    let webhook_url = Secret::new(format!("{base}/hooks/{SECRET}"));
    Mattermost::new(&config::Mattermost { webhook_url, http: settings() })
}

#[test]
fn messages_as_they_are_sent() {
    golden("mattermost", mattermost("https://mattermost.example.org"), double::rules);
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(
        double::rules,
        mattermost,
        [
            (Reply::new(400, "Unable to parse incoming data"), Then::Never),
            (Reply::new(200, "<html>Sign in</html>"), Then::Doubt),
        ],
    );
}

proptest! {
    /// Each text of a stranger is one code span from its beginning to its end.
    #[test]
    fn no_name_means_anything(delivery in hostile_message()) {
        let request =
            taken(&mattermost("https://mattermost.example.org"), double::rules, &delivery).map_err(TestCaseError::fail)?;
        let body: Value = serde_json::from_str(&request.body)?;
        let attachment = &body["attachments"][0];
        let (_, text) = body["text"].as_str().unwrap().split_once(' ').unwrap();
        for (span, meant) in [(text, &delivery.message.summary), (attachment["fallback"].as_str().unwrap(), &delivery.message.summary)]
            .into_iter()
            .chain(attachment["fields"].as_array().unwrap().iter().map(|field| field["value"].as_str().unwrap()).zip(delivery.message.lines.iter().map(|line| &line.text)))
        {
            let inside = span.strip_prefix("` ").and_then(|span| span.strip_suffix(" `")).unwrap();
            prop_assert!(!inside.contains(['`', '\n']), "{}", span);
            prop_assert_eq!(inside, meant.replace('`', "'"));
        }
    }
}
