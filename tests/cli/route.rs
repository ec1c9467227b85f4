//! `route --explain`: what was decided at the time, and what would be decided today.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use expect_test::expect_file;
use login_tracer::assess::Level;
use login_tracer::cli::{RouteArgs, SessionRef};
use login_tracer::commands::route::write;
use login_tracer::config::file::Source;
use login_tracer::config::{Config, Secrets, parse};
use login_tracer::notify::intake::{self, delivery_id};
use login_tracer::notify::message::Message;
use login_tracer::notify::outbox::{Finished, NewAnnouncement, NewDelivery, Outbox, TakenIn};
use login_tracer::notify::route::{self, Beginning, Case, Groups};
use login_tracer::store::Reader;
use uuid::Uuid;

use crate::fixture::{State, time, view};

const SINKS: &str = "[sinks.ops]\ntype = \"console\"\n[sinks.pager]\ntype = \"console\"\n";

const RULES: &str = r#"
[[routes]]
name = "alarm"
at_least = "high"
sinks = ["ops", "pager"]

[[routes]]
name = "nights of r\u00f6\u00f6t"
user = ["root", "toor"]
network = "2001:db8::/32"
from = "20:00"
to = "06:00"
weekdays = "mon-fri"
kind = ["opened", "closed"]
sinks = "ops"

[[routes]]
group = "wheel"
sinks = "pager"

[quiet_hours]
from = "22:00"
to = "07:00"

[[allow]]
user = "名前"
until = 2026-12-31
reason = "moves the archive"
"#;

#[test]
fn every_way_is_explained() {
    let state = State::with_examples();
    decide(&state, 2, RULES, Level::Medium, "2026-11-20T23:30:01Z");
    decide(&state, 3, RULES, Level::Medium, "2026-11-21T06:00:01Z");
    decide(&state, 6, RULES, Level::High, "2026-11-21T09:30:00Z");
    decide(&state, 1, "[[routes]]\nkind = \"opened\"\nsinks = []\n", Level::Low, "2026-11-20T23:00:00Z");
    decide(&state, 5, "", Level::Unknown, "2026-11-21T08:00:01Z");
    let mut golden = String::new();
    for id in 1..=6 {
        golden.push_str(&page(&state, id, None));
        golden.push_str("\n=====\n\n");
    }
    // Session 4 was never taken in; its name is a stranger's.
    let today =
        "[[routes]]\nuser = \"somebody\"\nsinks = \"ops\"\n[[routes]]\nservice = \"su\"\nsinks = []\n";
    golden.push_str(&page(&state, 4, Some(today)));
    golden.push_str("\n=====\n\n");
    golden.push_str(&page(&state, 3, Some(today)));
    assert!(!golden.chars().any(|c| c != '\n' && login_tracer::sanitize::is_hostile(c)));
    expect_file!["../goldens/route.txt"].assert_eq(&golden);
}

#[test]
fn as_json_it_has_the_names_of_the_configuration() {
    let state = State::with_examples();
    decide(&state, 2, RULES, Level::Medium, "2026-11-20T23:30:01Z");
    let run = state.run(&["route", "--explain", "2", "--json"]);
    assert_eq!((run.code(), run.stderr().as_str()), (Some(0), ""));
    expect_file!["../goldens/route.json"].assert_eq(&run.stdout());
}

#[test]
fn what_is_allowed_is_marked_wherever_it_is_listed() {
    let state = State::with_examples();
    decide(&state, 3, RULES, Level::Medium, "2026-11-21T06:00:01Z");
    let listed = state.run(&["sessions"]).stdout();
    let marked: Vec<_> = listed.lines().filter(|line| line.contains("killed allowed")).collect();
    assert_eq!(marked.len(), 1, "{listed}");
    assert!(marked[0].contains("名前"));
    let shown = state.run(&["show", "3"]).stdout();
    assert!(shown.contains("  Allowed   by entry 1 (moves the archive, until 2026-12-31)\n"), "{shown}");
    let json: serde_json::Value =
        serde_json::from_str(&state.run(&["show", "3", "--json"]).stdout()).unwrap();
    assert_eq!(json["allowed"]["reason"], "moves the archive");
    let json: serde_json::Value =
        serde_json::from_str(&state.run(&["show", "2", "--json"]).stdout()).unwrap();
    assert!(json["allowed"].is_null());
}

#[test]
fn today_needs_a_configuration_that_is_right() {
    let state = State::with_examples();
    let config = state.path().join("config.toml");
    fs::write(&config, "[[routes]]\nsinks = [\"ops\"]\n").unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let config = config.to_str().unwrap();
    let run = state.run(&["route", "--explain", "2", "--now", "--config", config]);
    assert_eq!(run.code(), Some(78), "{}", run.shown());
    assert!(run.stderr().contains("there is no sink \"ops\"; configured are console"), "{}", run.shown());
    assert_eq!(state.run(&["route", "--explain", "2", "--config", config]).code(), Some(0));
    assert_eq!(state.run(&["route", "--explain", "77"]).code(), Some(1));
}

#[test]
fn what_may_not_be_meant_is_noted_by_check() {
    let state = State::with_examples();
    let config = state.path().join("config.toml");
    let text = "[[routes]]\nname = \"a\"\ngroup = \"nosuchgroup\"\nsinks = [\"console\"]\n\
                [[allow]]\nuser = \"x\"\nreason = \"was here\"\nuntil = 2020-01-31\n\
                [[allow]]\nuser = \"y\"\nreason = \"is here\"\n";
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let shown = state.run(&["check", "--config", config.to_str().unwrap()]).stdout();
    for expected in [
        "note     routes: a: what none of them matches goes nowhere",
        "note     routes: this host has no group nosuchgroup: routes by it match nobody",
        "good     allowlist: 1 of 2 entries hold",
        "note     allowlist: entry 1 (was here) ended with 2020-01-31 and has no effect",
    ] {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
}

/// Decides everything about a session as the role would, with deliveries that were not made yet.
fn decide(state: &State, id: i64, rules: &str, level: Level, at: &str) {
    let (config, at) = (config(rules), time(at));
    let sinks: Vec<_> = config.sinks.iter().map(|sink| sink.name.clone()).collect();
    let reader = Reader::open(state.path()).unwrap();
    let (session, changes) = (reader.session(id).unwrap().unwrap(), reader.changes_of(id).unwrap());
    let subject = session.key.to_string();
    let mut announcements = Vec::new();
    let mut beginning = Beginning::Undecided;
    for change in &changes {
        let Some(event) = intake::event_of(change, &session) else { continue };
        if intake::is_repeated(change, &changes) {
            continue;
        }
        let case = Case::of(&event, Some(level), Groups::Known(Vec::new()));
        let verdict = route::decide(&config.rules, &sinks, &case, &beginning, at, &view(false).zone);
        if beginning == Beginning::Undecided {
            beginning = Beginning::of(Some(&verdict));
        }
        let deliveries = verdict.sinks.iter().map(|to| NewDelivery {
            id: delivery_id(&subject, change.kind, change.seq, &to.sink),
            sink: to.sink.clone(),
            held_until: to.held.as_ref().map(|held| held.until),
            message: None,
        });
        let message = Message { summary: "s".to_owned(), level: None, lines: Vec::new(), is_reworded: false };
        announcements.push(NewAnnouncement {
            session: Some(session.key),
            subject: subject.clone(),
            kind: change.kind,
            seq: change.seq,
            finished: Some(Finished { message, deliveries: deliveries.collect(), verdict }),
            event,
        });
    }
    let taken = TakenIn {
        store_id: Uuid::nil(),
        cursor: 0,
        ratings: Vec::new(),
        reassessed: Vec::new(),
        announcements,
        better_known: Vec::new(),
        untold_after: None,
    };
    Outbox::open(state.path()).unwrap().take_in(&taken, at).unwrap();
}

fn config(rules: &str) -> Config {
    let source = Source { text: format!("{rules}\n{SINKS}"), is_public: false };
    parse::config(&source, Secrets::Read).unwrap()
}

fn page(state: &State, id: i64, today: Option<&str>) -> String {
    let args = RouteArgs { explain: SessionRef::Id(id), now: today.is_some(), json: false };
    let mut output = Vec::new();
    write(&args, today.map(config).as_ref(), state.path(), &view(false), &mut output).unwrap();
    String::from_utf8(output).unwrap()
}
