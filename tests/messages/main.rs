//! The words and their form: goldens of what each sink sends, and properties that no hostile name breaks.
//!
//! `UPDATE_EXPECT=1 cargo test --test messages` writes the goldens anew; that only makes a change of the output
//! deliberate.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod digests;
#[path = "../doubles/http.rs"]
#[allow(dead_code, reason = "the double's server is not needed for its rules")]
mod http;
mod picture;
#[path = "../doubles/slack.rs"]
#[allow(dead_code, reason = "the double's server is not needed for its rules")]
mod slack;

use expect_test::expect_file;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use login_tracer::assess::{Assessment, Level, Login, assess};
use login_tracer::config::Risk;
use login_tracer::enrich::address::Scope;
use login_tracer::enrich::{Fact, Facts, Network, Place, Reputation, Why};
use login_tracer::event::Doubt;
use login_tracer::notify::message::{Counts, Event, Message, Subject, compose, group};
use login_tracer::notify::sink::console::line;
use login_tracer::notify::sink::slack::payload;
use login_tracer::notify::storm::{Members, Tally};
use login_tracer::notify::summary::Risky;
use login_tracer::sanitize;
use login_tracer::session::{
    Attempt, Auth, AuthKey, Certificate, End, Escalation, ForeignSshd, Identity, Service,
};
use proptest::prelude::*;

use crate::digests::{attempt, attempt_of, quiet_day};

const ADDRESS: &str = "193.146.30.12:51122";

#[test]
fn login_of_low_risk() {
    check("login-low", &by_key(opened("alice", ADDRESS), None), &facts(12, "Not listed in any dataset"));
}

#[test]
fn login_of_medium_risk() {
    let event = by_key(opened("alice", "[2a00:1450:4001::42]:40022"), Some("alice@corp"));
    check("login-medium", &event, &facts(35, "Seen in one dataset"));
}

#[test]
fn login_of_high_risk() {
    check("login-high", &opened("root", ADDRESS), &facts(91, "Listed as TOR exit and brute forcing host"));
}

#[test]
fn a_session_that_is_riskier_than_it_was() {
    let subject = subject("alice", ADDRESS);
    let event = Event::Raised { subject, at: at("2026-11-21T08:09:00Z"), from: Level::Low };
    check("raised", &event, &facts(91, "Listed as brute forcing host"));
}

#[test]
fn login_without_look_up() {
    let facts = Facts::unknown(Why::NotPublic(Scope::Private));
    check("login-unknown", &opened("alice", "10.20.30.40:51122"), &facts);
}

#[test]
fn login_with_half_of_the_look_ups() {
    let network = Network { asn: 15704, name: None, description: None };
    let facts = Facts { network: Fact::Known(network), ..Facts::unknown(Why::Deadline) };
    check("login-half", &opened("alice", ADDRESS), &facts);
}

#[test]
fn login_of_somebody_hostile() {
    let mut event = opened("<!channel>\u{1b}[2J\u{202e}*bold*`code`\n12:00 LOGIN root", ADDRESS);
    if let Event::Opened(subject) = &mut event {
        subject.host = "<@U024BE7LH>&amp;_web_".to_owned();
    }
    let mut facts = facts(70, "<http://evil.example|click>\r\n\u{2028}{\"ok\":true}");
    facts.network = Fact::Known(Network {
        asn: 64512,
        name: Some("<!here>".repeat(40)),
        description: Some("\u{9b}31m".to_owned()),
    });
    let event = by_key(event, Some("<!channel>\u{1b}[2J\u{202e}\n12:00 LOGIN root"));
    check("login-hostile", &event, &facts);
}

#[test]
fn end_of_a_session() {
    let event = Event::Closed {
        subject: subject("alice", ADDRESS),
        at: at("2026-11-21T08:33:12Z"),
        end: End::Logout,
    };
    check("logout", &event, &facts(12, "Not listed in any dataset"));
}

#[test]
fn session_that_was_found_open() {
    let mut event = opened("alice", ADDRESS);
    if let Event::Opened(subject) = &mut event {
        subject.recovered = true;
    }
    check("found", &event, &facts(12, "Not listed in any dataset"));
}

#[test]
fn logins_through_other_doors() {
    let facts = Facts::unknown(Why::Local);
    for (name, service) in [
        ("login-dropbear", Service::Dropbear),
        ("login-terminal", Service::Login),
        ("login-su", Service::Su),
        ("login-sudo", Service::Sudo),
    ] {
        let mut event = opened("root", ADDRESS);
        let Event::Opened(subject) = &mut event else { panic!("it is a login") };
        subject.service = service;
        if service.is_local() {
            subject.peer = None;
        }
        if matches!(service, Service::Su | Service::Sudo) {
            subject.by = Some(Identity { uid: 1000, user: Some("<!channel>\u{1b}[2Jalice".to_owned()) });
        }
        check(name, &event, &facts);
    }
}

#[test]
fn gained_user_id() {
    let event = gained("alice", Some("root"), "/usr/bin/sudo");
    check("gained", &event, &facts(12, "Not listed in any dataset"));
}

#[test]
fn gained_user_id_of_somebody_hostile() {
    let event = gained("<!channel>", None, "/tmp/<@U1>\u{1b}[2J\n12:00 LOGOUT*x*");
    check("gained-hostile", &event, &facts(70, "x"));
}

#[test]
fn foreign_sshd() {
    check_message("foreign-sshd", &compose(&foreign(Some("alice"), "/home/alice/sshd"), None, &zone()));
}

#[test]
fn foreign_sshd_of_somebody_hostile() {
    let event = foreign(None, "/tmp/<!channel>\u{1b}[2J\n12:00 LOGIN *root*/sshd");
    check_message("foreign-sshd-hostile", &compose(&event, None, &zone()));
}

#[test]
fn lost_events() {
    let event = Event::EventsLost { host: "web-1".to_owned(), at: at("2026-11-21T08:05:34Z"), count: 17 };
    let message = compose(&event, None, &zone());
    check_message("events-lost", &message);
}

#[test]
fn news_of_the_queue() {
    let (host, sink) = (|| "web-1".to_owned(), || "team".to_owned());
    let at = at("2026-11-21T08:05:34Z");
    let suspended =
        Event::SinkSuspended { host: host(), at, sink: sink(), why: "HTTP 404: no_service".to_owned() };
    check_message("sink-suspended", &compose(&suspended, None, &zone()));
    let lost = Event::MessagesLost { host: host(), at, sink: sink(), expired: 1, dropped: 2000 };
    check_message("messages-lost", &compose(&lost, None, &zone()));
}

#[test]
fn several_changes_at_once() {
    let facts = facts(91, "Listed as TOR exit");
    let changes = ["alice", "<!channel>\u{1b}[2J"].map(|user| {
        let event = Event::Opened(subject(user, ADDRESS));
        let message = compose(&event, Some((&rate(&facts), &facts)), &zone());
        (event, message)
    });
    let (_, message) = group(&changes, &zone());
    check_message("group", &message);
}

proptest! {
    /// Whatever strangers choose, Slack takes the payload, nobody is mentioned, and nothing invisible or moving is in it.
    #[test]
    fn no_name_breaks_a_message(
        user in hostile(),
        host in hostile(),
        reason in hostile(),
        network in hostile(),
        city in hostile(),
        score in 0..=100u8,
    ) {
        let mut subject = subject(&user, ADDRESS);
        subject.host = host.clone();
        let mut facts = facts(score, &reason);
        facts.network =
            Fact::Known(Network { asn: 1, name: Some(network.clone()), description: Some(network) });
        facts.place =
            Fact::Known(Place { city: Some(city.clone()), region: Some(city), country_code: None });
        let opened = by_key(Event::Opened(subject.clone()), Some(&user));
        let closed = Event::Closed { subject, at: at("2026-11-21T09:00:00Z"), end: End::Killed };
        let (gained, foreign) = (gained(&user, Some(&host), &reason), foreign(Some(&user), &reason));
        let mut tally = Tally::default();
        tally.add(&Attempt { host: host.clone(), ..attempt(1, &user) });
        tally.add(&attempt_of(2, &user, true));
        let storm = Box::new(tally.storm());
        let stormed = Event::Stormed { host: host.clone(), at: at("2026-11-21T08:05:34Z"), until: at("2026-11-21T08:06:34Z"), storm, members: Members::default() };
        let mut told = quiet_day();
        let mut users = Counts::default();
        users.add(&user);
        (told.host, told.users) = (host, users.ranking(1));
        told.riskiest.push(Risky { user: user.clone(), address: None, at: told.from, level: Level::High, score: None });
        let summary = Event::Summary { every: "day".to_owned(), summary: Box::new(told) };
        for event in [opened, closed, gained, foreign, stormed, summary] {
            let message = compose(&event, Some((&rate(&facts), &facts)), &zone());
            let payload = serde_json::to_string(&payload(&message)).unwrap();
            slack::check(&payload).map_err(TestCaseError::fail)?;
            let value: serde_json::Value = serde_json::from_str(&payload)?;
            for text in texts(&value) {
                // The rules of the double refuse every `<`; here, that nothing else is left that acts.
                prop_assert!(!text.chars().any(sanitize::is_hostile), "{text:?}");
            }
            let line = line(&message, false);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(line.ends_with('\n'));
            prop_assert!(!line.trim_end_matches('\n').chars().any(sanitize::is_hostile), "{line:?}");
        }
    }

    /// The only control characters of a coloured line are its own.
    #[test]
    fn colour_is_all_that_moves(user in hostile()) {
        let facts = facts(50, "x");
        let message = compose(&opened(&user, ADDRESS), Some((&rate(&facts), &facts)), &zone());
        let (plain, mut coloured) = (line(&message, false), line(&message, true));
        for style in ["\u{1b}[2m", "\u{1b}[1m", "\u{1b}[1;33m", "\u{1b}[0m"] {
            coloured = coloured.replace(style, "");
        }
        prop_assert_eq!(plain, coloured);
    }
}

/// Names made to hurt: markup, mentions, escape sequences, line breaks, text direction, JSON, length.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = [
        "<!channel>",
        "<!everyone>",
        "<@U024BE7LH>",
        "<http://evil.example|x>",
        "&",
        "&lt;!here&gt;",
        "*",
        "_",
        "~",
        "`",
        "```",
        ":skull:",
        "\"",
        "\\",
        "\",\"text\":\"",
        "}]}",
        "\u{1b}[2J",
        "\u{1b}]0;x\u{7}",
        "\u{9b}1m",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\0",
        "\u{7f}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}",
        "12:00:00 LOGIN root on web-1",
        "@here",
        "#general",
        "root",
        "",
    ];
    let piece = prop_oneof![prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), any::<String>()];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn texts(value: &serde_json::Value) -> Vec<&str> {
    match value {
        serde_json::Value::String(text) => vec![text],
        serde_json::Value::Array(items) => items.iter().flat_map(texts).collect(),
        serde_json::Value::Object(items) => items.values().flat_map(texts).collect(),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Vec::new(),
    }
}

fn check(name: &str, event: &Event, facts: &Facts) {
    let message = compose(event, Some((&rate(facts), facts)), &zone());
    check_message(name, &message);
}

fn check_message(name: &str, message: &Message) {
    let payload = serde_json::to_string(&payload(message)).unwrap();
    slack::check(&payload).unwrap();
    // Indented for people; the order of the keys is the one that is sent.
    let json = indented(&payload);
    expect_file![golden(&format!("slack-{name}.json"))].assert_eq(&json);
    let plain = line(message, false);
    let coloured = line(message, true).replace('\u{1b}', "ESC");
    expect_file![golden(&format!("console-{name}.txt"))].assert_eq(&format!("{plain}{coloured}"));
}

/// The same JSON over several lines, with its keys in the order in which they were written.
fn indented(json: &str) -> String {
    let (mut output, mut depth, mut in_text, mut escaped) = (String::new(), 0, false, false);
    for character in json.chars() {
        if in_text {
            output.push(character);
            in_text = escaped || character != '"';
            escaped = character == '\\' && !escaped;
            continue;
        }
        let new_line = |output: &mut String, depth: usize| {
            output.push('\n');
            output.push_str(&"  ".repeat(depth));
        };
        match character {
            '{' | '[' => {
                depth += 1;
                output.push(character);
                new_line(&mut output, depth);
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut output, depth);
                output.push(character);
            }
            ',' => {
                output.push(character);
                new_line(&mut output, depth);
            }
            ':' => output.push_str(": "),
            other => {
                in_text = other == '"';
                output.push(other);
            }
        }
    }
    output.push('\n');
    output
}

fn golden(name: &str) -> String {
    format!("{}/../tests/goldens/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn rate(facts: &Facts) -> Assessment {
    assess(&Login::of_nobody(Timestamp::UNIX_EPOCH), facts, &Risk::default())
}

fn opened(user: &str, peer: &str) -> Event {
    Event::Opened(subject(user, peer))
}

fn gained(user: &str, to: Option<&str>, exe: &str) -> Event {
    let how = Escalation {
        pid: 4711,
        from: Identity { uid: 1000, user: Some(user.to_owned()) },
        to: Identity { uid: 0, user: to.map(str::to_owned) },
        exe: exe.to_owned(),
    };
    Event::Escalated { subject: subject(user, ADDRESS), at: at("2026-11-21T08:06:00Z"), how }
}

fn foreign(user: Option<&str>, exe: &str) -> Event {
    let run_by = Identity { uid: 1000, user: user.map(str::to_owned) };
    let foreign = ForeignSshd { pid: 4711, run_by, exe: exe.to_owned(), doubt: Doubt::User };
    Event::ForeignSshd { host: "web-1".to_owned(), at: at("2026-11-21T08:06:00Z"), foreign }
}

fn subject(user: &str, peer: &str) -> Subject {
    Subject {
        host: "web-1".to_owned(),
        service: Service::Ssh,
        by: None,
        user: Some(user.to_owned()),
        uid: Some(1000),
        peer: Some(peer.parse().unwrap()),
        auth: None,
        opened_at: at("2026-11-21T08:05:34.250Z"),
        recovered: false,
    }
}

/// The same by a key, and by a certificate with this id.
fn by_key(mut event: Event, certificate: Option<&str>) -> Event {
    let fingerprint = "SHA256:7L5FXqCp1cnVTcsWCKPhBLXgDd4YNbsk2gHbYYBmYfI".to_owned();
    let key = |kind: &str| AuthKey { kind: kind.to_owned(), fingerprint: fingerprint.clone() };
    if let Event::Opened(subject) = &mut event {
        subject.auth = Some(Auth {
            method: "publickey".to_owned(),
            key: Some(key(if certificate.is_some() { "ED25519-CERT" } else { "ED25519" })),
            certificate: certificate.map(|id| Certificate { id: id.to_owned(), serial: 7, ca: key("RSA") }),
            user_log: None,
        });
    }
    event
}

fn facts(score: u8, reason: &str) -> Facts {
    let some = |text: &str| Some(text.to_owned());
    Facts {
        reputation: Fact::Known(Reputation { score, reason: some(reason), asn: Some(15704) }),
        network: Fact::Known(Network {
            asn: 15704,
            name: some("XTRA TELECOM"),
            description: some("XTRA TELECOM S.A., ES"),
        }),
        place: Fact::Known(Place {
            city: some("Madrid"),
            region: some("Community of Madrid"),
            country_code: some("ES"),
        }),
        ..Facts::unknown(Why::NoData)
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A zone that is not UTC, so that a forgotten conversion shows.
fn zone() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}
