//! `attempts`: by address, with the names of strangers hidden unless they are asked for.

use std::fs;

use expect_test::expect_file;
use login_tracer::notify::intake::delivery_id;
use login_tracer::notify::message::{Event, compose};
use login_tracer::notify::outbox::{self, Finished, NewAnnouncement, NewDelivery, Outbox, TakenIn};
use login_tracer::notify::route::{Verdict, Why};
use login_tracer::notify::storm::{Members, Tally};
use login_tracer::session::{ChangeKind, Reason, Update};
use login_tracer::store::{AttemptFilter, Reader};

use crate::fixture::{NOW, State, attempt, time, view};

/// Something that looks like a password, typed where the name belongs.
const TYPED: &str = "hunter2-\u{1b}[2J";

fn examples() -> State {
    let state = State::empty();
    let many = (0..8).map(|number| {
        let name = format!("admin{number}");
        let at = format!("2026-11-21T08:00:{:02}Z", number * 5);
        attempt(
            100 + number,
            "203.0.113.9",
            &at,
            Reason::UnknownUser,
            Some("password"),
            &[(&name, false), ("backup", true)],
        )
    });
    let mut updates: Vec<Update> = many.collect();
    updates.extend([
        attempt(
            1,
            "192.0.2.7",
            "2026-11-20T08:00:00Z",
            Reason::WrongPassword,
            Some("password"),
            &[("root", true)],
        ),
        attempt(
            2,
            "192.0.2.7",
            "2026-11-21T07:00:00Z",
            Reason::WrongPassword,
            Some("password"),
            &[("root", true)],
        ),
        attempt(
            3,
            "192.0.2.7",
            "2026-11-21T07:00:05Z",
            Reason::UnknownUser,
            None,
            &[(TYPED, false), ("", false)],
        ),
        attempt(4, "[2001:db8::7]", "2026-11-21T09:00:00Z", Reason::NoAuthentication, None, &[]),
        attempt(5, "198.51.100.1", "2026-11-21T09:10:00Z", Reason::DroppedMaxStartups, None, &[]),
    ]);
    state.write(&updates);
    // Again, as after a crash.
    state.write(&updates);
    state
}

#[test]
fn attempts_are_grouped_by_address() {
    let state = examples();
    let mut golden = String::new();
    for arguments in [
        &["attempts"][..],
        &["attempts", "--show-names"],
        &["attempts", "--limit", "1"],
        &["attempts", "--address", "192.0.2.0/24", "--since", "2026-11-21 00:00"],
        &["attempts", "--address", "10.0.0.0/8"],
        &["attempts", "--json"],
        &["attempts", "--json", "--show-names", "--address", "192.0.2.7"],
    ] {
        let run = state.run(arguments);
        assert_eq!((run.code(), run.stderr().as_str()), (Some(0), ""), "{arguments:?}");
        golden += &format!("$ login-tracer {}\n{}\n", arguments.join(" "), run.stdout());
    }
    assert!(!golden.chars().any(|c| c != '\n' && login_tracer::sanitize::is_hostile(c)));
    expect_file!["../goldens/attempts.txt"].assert_eq(&golden);
}

#[test]
fn names_that_are_no_accounts_are_hidden() {
    let state = examples();
    for arguments in [&["attempts"][..], &["attempts", "--json"]] {
        let stdout = state.run(arguments).stdout();
        assert!(!stdout.contains("hunter2") && !stdout.contains("admin3"), "{stdout}");
        assert!(stdout.contains("root") && stdout.contains("backup"), "{stdout}");
    }
    assert!(state.run(&["attempts", "--show-names"]).stdout().contains("hunter2"));
}

#[test]
fn attempts_are_no_sessions() {
    assert_eq!(examples().run(&["sessions"]).stdout(), "No session found.\n");
}

/// Tells the attempt of one change by itself, or those of several as a storm.
fn told(state: &State, changes: &[i64], seq: u32, sinks: &[&str]) -> NewAnnouncement {
    let reader = Reader::open(state.path()).unwrap();
    let (mut tally, mut members, mut is_next) = (Tally::default(), Members::default(), false);
    let mut only = None;
    reader
        .for_each_attempt_change(&AttemptFilter::default(), |change, attempt| {
            if changes.contains(&change) {
                tally.add(&attempt);
                members.add(change, is_next);
                only = Some(attempt);
            }
            is_next = changes.contains(&change);
        })
        .unwrap();
    let store = reader.store_id().unwrap();
    let (subject, event) = match changes {
        [change] => (format!("{store}/{change}"), Event::Attempted { attempt: Box::new(only.unwrap()) }),
        [..] => {
            let (at, until) = tally.times().unwrap();
            let storm = Box::new(tally.storm());
            // It was gathered from the second change to the eleventh.
            (format!("{store}/2-11"), Event::Stormed { host: "web-1".to_owned(), at, until, storm, members })
        }
    };
    let kind = ChangeKind::Attempt;
    // The ids are the same in every run of the test: the store's is not.
    let to = |sink: &&str| NewDelivery {
        id: delivery_id(&format!("{changes:?}"), kind, seq, sink),
        sink: (*sink).to_owned(),
        held_until: None,
        message: None,
    };
    let message = compose(&event, None, &view(false).zone);
    let verdict = Verdict {
        at: time(NOW),
        reason: Why::FirstRoute,
        allowed: None,
        routes: Vec::new(),
        sinks: Vec::new(),
    };
    let finished = Some(Finished { message, verdict, deliveries: sinks.iter().map(to).collect() });
    NewAnnouncement { session: None, subject, kind, seq, event, finished }
}

#[test]
fn each_attempt_names_the_message_that_told_it_and_each_message_its_attempts() {
    let state = examples();
    let untold = state.run(&["attempts", "--each", "--limit", "1"]).stdout();
    assert!(untold.contains("not taken in yet"), "the notify role never ran: {untold}");
    fs::create_dir(state.path().join(outbox::DIRECTORY)).unwrap();
    let store_id = Reader::open(state.path()).unwrap().store_id().unwrap();
    let batch = TakenIn {
        store_id,
        cursor: 12,
        ratings: Vec::new(),
        reassessed: Vec::new(),
        announcements: vec![
            told(&state, &[1], 0, &["ops"]),
            told(&state, &[2, 3, 5, 6, 9], 1, &["ops", "pager"]),
            told(&state, &[8, 11], 2, &["\u{1b}[2Jpager"]),
        ],
        better_known: Vec::new(),
        untold_after: Some(11),
    };
    Outbox::open(state.path()).unwrap().take_in(&batch, time(NOW)).unwrap();
    let id = |changes: &[i64], seq, sink| {
        delivery_id(&format!("{changes:?}"), ChangeKind::Attempt, seq, sink).to_string()
    };
    let (alone, storm) = (id(&[1], 0, "ops"), id(&[2, 3, 5, 6, 9], 1, "pager"));
    let mut golden = String::new();
    for arguments in [
        &["attempts", "--each"][..],
        &["attempts", "--each", "--limit", "2"],
        &["attempts", "--each", "--address", "10.0.0.0/8"],
        &["attempts", "--each", "--told-by", &storm[..8]],
        &["attempts", "--told-by", &storm],
        &["attempts", "--each", "--show-names", "--told-by", &alone],
        &["attempts", "--each", "--json", "--address", "203.0.113.9", "--limit", "4"],
        &["queue", "show", &storm],
        &["queue", "show", &alone],
        &["queue", "show", "--json", &storm],
    ] {
        let run = state.run(arguments);
        assert_eq!((run.code(), run.stderr().as_str()), (Some(0), ""), "{arguments:?}");
        golden += &format!("$ login-tracer {}\n{}\n", arguments.join(" "), run.stdout());
    }
    assert!(!golden.chars().any(|c| c != '\n' && login_tracer::sanitize::is_hostile(c)));
    assert_eq!(golden.matches("hunter2").count(), 0);
    expect_file!["../goldens/attempts-told.txt"].assert_eq(&golden);
}

#[test]
fn what_a_delivery_told_of_attempts_that_are_forgotten_is_counted() {
    let state = examples();
    fs::create_dir(state.path().join(outbox::DIRECTORY)).unwrap();
    let announcement = told(&state, &[2, 3, 5, 6, 9], 1, &["ops"]);
    let id = announcement.finished.as_ref().unwrap().deliveries[0].id.to_string();
    let batch = TakenIn {
        store_id: Reader::open(state.path()).unwrap().store_id().unwrap(),
        cursor: 12,
        ratings: Vec::new(),
        reassessed: Vec::new(),
        announcements: vec![announcement],
        better_known: Vec::new(),
        untold_after: None,
    };
    Outbox::open(state.path()).unwrap().take_in(&batch, time(NOW)).unwrap();
    rusqlite::Connection::open(state.path().join("sessions.db"))
        .unwrap()
        .execute("DELETE FROM attempts WHERE change_id < 6", [])
        .unwrap();
    let said = state.run(&["attempts", "--told-by", &id]).stdout();
    assert!(said.ends_with("It told 3 more, which are forgotten (`keep_attempts`).\n"), "{said}");
    let said = state.run(&["attempts", "--told-by", &id, "--address", "192.0.2.7"]).stdout();
    assert!(!said.contains("forgotten"), "{said}");
    // A delivery that tells something else.
    rusqlite::Connection::open(outbox::path(state.path()))
        .unwrap()
        .execute("UPDATE announcements SET kind = 'events_lost'", [])
        .unwrap();
    let run = state.run(&["attempts", "--told-by", &id]);
    assert_eq!(run.code(), Some(1), "{}", run.shown());
    assert!(run.stderr().contains("tells no attempt"), "{}", run.shown());
}
