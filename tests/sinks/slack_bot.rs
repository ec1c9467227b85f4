//! Slack, by a bot. Properties of its payload are in `messages/`.

use login_tracer::config::{self, Secret};
use login_tracer::notify::outbox::Delivery;
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::slack_bot::SlackBot;

use crate::http::Reply;
use crate::over_http::{SECRET, Then, golden, outcomes};
use crate::scene::{Strangers, closed, opened, over_http, send, settings};
use crate::service::Service;

#[path = "../doubles/slack_bot.rs"]
mod double;

fn bot(base: &str) -> SlackBot {
    SlackBot::new(&config::SlackBot {
        token: Secret::new(format!("xoxb-{SECRET}")),
        channel: double::CHANNEL.to_owned(),
        base_url: format!("{base}/api"),
        http: settings(),
    })
}

#[test]
fn messages_as_they_are_sent() {
    golden("slack_bot", bot("https://slack.com"), double::rules);
}

#[test]
fn every_answer_has_its_consequence() {
    let refused = |error: &str| Reply::new(200, format!(r#"{{"ok":false,"error":"{error}"}}"#));
    outcomes(
        double::rules,
        bot,
        [
            (refused("invalid_auth"), Then::Gone),
            (refused("account_inactive"), Then::Gone),
            (refused("channel_not_found"), Then::Gone),
            (refused("not_in_channel"), Then::Gone),
            (refused("is_archived"), Then::Gone),
            (refused("msg_too_long"), Then::Never),
            (refused("ratelimited"), Then::Again(None)),
            (refused("internal_error"), Then::Again(None)),
            (
                Reply::with(429, "retry-after", "30", r#"{"ok":false,"error":"ratelimited"}"#),
                Then::Again(Some(30_000)),
            ),
            (Reply::new(200, "ok"), Then::Doubt),
        ],
    );
}

#[test]
fn the_end_answers_the_beginning() {
    let server = Service::start(double::rules);
    let sink = over_http(bot(&server.server.url()));
    let strangers = Strangers::polite();
    let first = send(&sink, &opened(&strangers, 1));
    assert_eq!(first.receipt.as_deref(), Some(double::TS));
    let delivery = Delivery { first_receipt: first.receipt, ..closed(&strangers, 1) };
    assert_eq!(send(&sink, &delivery).outcome, Outcome::Delivered);
    let body: serde_json::Value = serde_json::from_str(&server.server.requests()[1].body).unwrap();
    assert_eq!(body["thread_ts"], double::TS);
}
