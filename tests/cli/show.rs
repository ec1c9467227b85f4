//! `show`: everything about one session.

use expect_test::expect_file;
use login_tracer::assess::{Assessment, Level, Reason};
use login_tracer::commands::show::Everything;
use login_tracer::notify::outbox::{DeliveryRow, DeliveryState, Kind};
use login_tracer::session::{ChangeKind, SessionKey};
use login_tracer::store::Reader;
use uuid::Uuid;

use crate::fixture::{State, time, view};

#[test]
fn the_page_has_everything() {
    let state = State::with_examples();
    let reader = Reader::open(state.path()).unwrap();
    let mut golden = page(&reader, 2, Some(rating()), deliveries());
    golden.push_str("\n=====\n\n");
    golden.push_str(&page(&reader, 6, None, Vec::new()));
    golden.push_str("\n=====\n\n");
    golden.push_str(&page(&reader, 4, None, Vec::new()));
    golden.push_str("\n=====\n\n");
    golden.push_str(&page(&reader, 5, None, Vec::new()));
    golden.push_str("\n=====\n\n");
    golden.push_str(&page(&reader, 1, None, Vec::new()));
    golden.push_str("\n=====\n\n");
    golden.push_str(&page(&reader, 7, None, Vec::new()));
    assert!(!golden.chars().any(|c| c != '\n' && login_tracer::sanitize::is_hostile(c)));
    expect_file!["../goldens/show.txt"].assert_eq(&golden);
}

#[test]
fn number_and_stable_id_name_the_same_session() {
    let state = State::with_examples();
    let key = SessionKey::new("machine", "boot", 200, 1_000).to_string();
    let by_number = state.run(&["show", "2"]);
    assert_eq!((by_number.code(), by_number.stderr().as_str()), (Some(0), ""));
    assert!(by_number.stdout().contains(&key));
    assert_eq!(state.run(&["show", &key]).stdout(), by_number.stdout());
}

#[test]
fn as_json_it_is_the_session_and_more() {
    let state = State::with_examples();
    let run = state.run(&["show", "2", "--json"]);
    assert_eq!((run.code(), run.stderr().as_str()), (Some(0), ""));
    expect_file!["../goldens/show.json"].assert_eq(&run.stdout());
    let listed = state.run(&["sessions", "--json"]).stdout();
    let start = run.stdout().split(",\"changes\"").next().unwrap().to_owned();
    assert!(listed.lines().any(|line| line.trim_end_matches('}') == start.trim_end_matches('}')));
}

#[test]
fn gained_user_ids_are_part_of_the_json() {
    let run = State::with_examples().run(&["show", "6", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&run.stdout()).unwrap();
    assert_eq!(shown["escalated_to"], 0, "root stays, whoever comes after it");
    let changes = shown["changes"].as_array().unwrap();
    let escalation = serde_json::json!({
        "pid": 650,
        "from": {"uid": 1001, "user": "alice"},
        "to": {"uid": 0, "user": "root"},
        "exe": "/usr/bin/sudo",
    });
    let found: Vec<_> = changes.iter().filter(|change| change["kind"] == "escalated").collect();
    assert_eq!((found.len(), &found[0]["escalation"]), (2, &escalation));
    assert!(changes.iter().all(|change| change["kind"] == "escalated" || change.get("escalation").is_none()));
}

fn page(reader: &Reader, id: i64, assessment: Option<Assessment>, deliveries: Vec<DeliveryRow>) -> String {
    let session = reader.session(id).unwrap().unwrap();
    let changes = reader.changes_of(id).unwrap();
    let mut output = Vec::new();
    Everything { session, changes, assessment, allowed: None, deliveries }
        .write(&view(false), &mut output)
        .unwrap();
    String::from_utf8(output).unwrap()
}

fn rating() -> Assessment {
    let reason = |points, text: &str| Reason { points, text: text.to_owned() };
    Assessment {
        level: Level::High,
        score: Some(72),
        reasons: vec![
            reason(80, "reputation of 2001:db8::1: 80"),
            reason(-8, "seen before"),
            reason(0, "no answer from \u{1b}]0;evil\u{7} in 3 s"),
        ],
    }
}

fn deliveries() -> Vec<DeliveryRow> {
    let row = |sink: &str, kind, state, attempts| DeliveryRow {
        id: Uuid::from_u128(7),
        sink: sink.to_owned(),
        kind: Kind::Change(kind),
        state,
        attempts,
        last_error: None,
        next_at: None,
        finished_at: None,
    };
    vec![
        DeliveryRow {
            finished_at: Some(time("2026-11-20T23:30:01Z")),
            ..row("console", ChangeKind::Opened, DeliveryState::Delivered, 1)
        },
        DeliveryRow {
            finished_at: Some(time("2026-11-20T23:30:02Z")),
            last_error: Some("400 invalid_payload".to_owned()),
            ..row("ops", ChangeKind::Opened, DeliveryState::Parked, 1)
        },
        DeliveryRow {
            next_at: Some(time("2026-11-21T09:31:00Z")),
            last_error: Some("503\u{1b}[31m".to_owned()),
            ..row("ops", ChangeKind::Closed, DeliveryState::Queued, 12)
        },
        row("ntfy", ChangeKind::Closed, DeliveryState::Claimed, 0),
    ]
}
