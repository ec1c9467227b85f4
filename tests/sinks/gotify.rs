//! Gotify.

use login_tracer::config::{self, Secret};
use login_tracer::notify::sink::gotify::Gotify;
use proptest::prelude::*;
use serde_json::Value;

use crate::http::Reply;
use crate::over_http::{SECRET, Then, golden, outcomes, taken};
use crate::plain;
use crate::scene::{hostile_message, settings};

#[path = "../doubles/gotify.rs"]
mod double;

fn gotify(base: &str) -> Gotify {
    Gotify::new(&config::Gotify {
        base_url: base.to_owned(),
        token: Secret::new(SECRET.to_owned()),
        http: settings(),
    })
}

#[test]
fn messages_as_they_are_sent() {
    golden("gotify", gotify("https://gotify.example.org"), double::rules);
}

#[test]
fn every_answer_has_its_consequence() {
    outcomes(double::rules, gotify, [(Reply::new(200, "<html>Sign in</html>"), Then::Doubt)]);
}

proptest! {
    #[test]
    fn no_name_means_anything(delivery in hostile_message()) {
        let request =
            taken(&gotify("https://gotify.example.org"), double::rules, &delivery).map_err(TestCaseError::fail)?;
        let body: Value = serde_json::from_str(&request.body)?;
        let (_, title) = body["title"].as_str().unwrap().split_once(' ').unwrap();
        plain::check(title, body["message"].as_str().unwrap(), &delivery)?;
    }
}
