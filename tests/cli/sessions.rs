//! `sessions`: the table, its filters and its limits.

use clap::Parser as _;
use expect_test::{expect, expect_file};
use login_tracer::cli::{Cli, Command};
use login_tracer::commands;
use login_tracer::session::{LossCounter, Opening, Update};

use crate::fixture::{State, opened, opening, view};

#[test]
fn the_table_shows_every_kind_of_session() {
    expect_file!["../goldens/sessions.txt"].assert_eq(&table(&State::with_examples(), &[]));
}

#[test]
fn sessions_are_listed_without_their_assessments_where_those_cannot_be_read() {
    let missing = State::unrated().run(&["sessions", "--json"]);
    assert_eq!((missing.code(), missing.stderr().as_str()), (Some(0), ""));
    assert_eq!(missing.stdout().matches("\"assessment\":null").count(), 7);

    let damaged = State::with_examples();
    let notify = damaged.path().join("notify");
    // Without its log, from which it would be read otherwise.
    std::fs::remove_file(notify.join("delivery.db-wal")).unwrap();
    std::fs::write(notify.join("delivery.db"), "this is no database at all, not even a small one").unwrap();
    let run = damaged.run(&["sessions"]);
    assert_eq!((run.code(), run.stdout().lines().count()), (Some(0), 8), "{}", run.shown());
    assert!(run.stderr().starts_with("login-tracer: cannot read the assessments: "), "{}", run.shown());
    // A question about them cannot be answered then.
    let run = damaged.run(&["sessions", "--level", "high"]);
    assert_eq!((run.code(), run.stdout().as_str()), (Some(1), ""), "{}", run.shown());
}

#[test]
fn times_are_those_of_the_hosts_clock() {
    let state = State::with_examples();
    assert!(state.run(&["sessions"]).stdout().contains("  2026-11-21 00:30:00  "));
    let output = state.command(&["sessions"]).env("TZ", "Asia/Kolkata").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("  2026-11-21 05:00:00  "));
}

#[test]
fn the_table_fits_into_100_columns() {
    let state = State::empty();
    let long = Opening { user: Some("a".repeat(300)), ..opening(1, "2026-11-21T09:00:00Z") };
    state.write(&[opened(long)]);
    for line in table(&state, &[]).lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn risk_is_coloured_on_a_terminal() {
    let shown = shown(&State::with_examples(), &[], true).replace('\u{1b}', "<ESC>");
    expect_file!["../goldens/sessions-coloured.txt"].assert_eq(&shown);
}

#[test]
fn filters_leave_what_they_say() {
    let state = State::with_examples();
    let ids = |arguments: &[&str]| ids(&table(&state, arguments));
    assert_eq!(ids(&["--active"]), [6, 5]);
    assert_eq!(ids(&["--user", "alice"]), [1]);
    assert_eq!(ids(&["--user", "nobody-here"]), [0; 0]);
    assert_eq!(ids(&["--address", "192.0.2.7"]), [4, 3, 1]);
    assert_eq!(ids(&["--address", "192.0.2.0/24"]), [4, 3, 1]);
    assert_eq!(ids(&["--address", "2001:db8::/32"]), [2]);
    assert_eq!(ids(&["--address", "0.0.0.0/0"]), [6, 4, 3, 1]);
    assert_eq!(ids(&["--since", "2h"]), [6, 5]);
    assert_eq!(ids(&["--since", "2026-11-21"]), [6, 5, 4, 3, 2]);
    assert_eq!(ids(&["--since", "2026-11-21T07:00:00Z"]), [6, 5, 4]);
    assert_eq!(ids(&["--since", "1d", "--user", "root"]), [2]);
    assert_eq!((ids(&["--service", "su"]), ids(&["--service", "sudo"])), (vec![7], vec![]));
    assert_eq!(ids(&["--service", "ssh", "--limit", "2"]), [6, 5]);
    assert_eq!(ids(&["--level", "high"]), [2]);
    assert_eq!(ids(&["--level", "medium"]), [3]);
    assert_eq!(ids(&["--level", "low"]), [6]);
    // Not rated is not known.
    assert_eq!(ids(&["--level", "unknown"]), [7, 5, 4, 1]);
    assert_eq!(ids(&["--level", "unknown", "--limit", "2"]), [7, 5]);
    assert_eq!(ids(&["--level", "high", "--user", "alice"]), [0; 0]);
    assert_eq!(ids(&["--limit", "0"]), [7, 6, 5, 4, 3, 2, 1]);
}

#[test]
fn a_list_that_may_lack_sessions_says_so() {
    let state = State::with_examples();
    let lost = |at: &str, count, value| Update::EventsLost {
        at: at.parse().unwrap(),
        count,
        counter: LossCounter { name: "boot/1".to_owned(), value },
    };
    state.write(&[lost("2026-11-19T08:00:00Z", 7, 7), lost("2026-11-21T08:00:00Z", 3, 10)]);
    let words = |count| {
        format!(
            "{count} kernel events were lost, the last ones 2026-11-21 09:00:00: sessions may be missing."
        )
    };
    assert_eq!(table(&state, &[]).lines().last(), Some(&*words(3)));
    assert_eq!(table(&state, &["--since", "7d"]).lines().last(), Some(&*words(10)));
    assert!(!table(&state, &["--since", "1h"]).contains("lost"));
    assert!(!state.run(&["sessions", "--json"]).stdout().contains("lost"));
}

#[test]
fn a_session_that_nobody_saw_begin_is_marked() {
    let state = State::empty();
    let found = Opening { recovered: true, ..opening(1, "2026-11-21T09:00:00Z") };
    state.write(&[opened(found)]);
    assert!(table(&state, &[]).contains(" ~2026-11-21 10:00:00 "), "{}", table(&state, &[]));
    let page = state.run(&["show", "1"]).stdout();
    assert!(page.contains(" CET, or later: it was found open\n"), "{page}");
    assert!(state.run(&["sessions", "--json"]).stdout().contains("\"recovered\":true"));
}

#[test]
fn a_list_that_was_cut_says_so() {
    let state = State::with_examples();
    let cut = "There are older sessions; --limit 0 lists all.";
    assert_eq!(table(&state, &["--limit", "5"]).lines().last(), Some(cut));
    assert!(!table(&state, &["--limit", "7"]).contains(cut));
    assert!(!table(&state, &["--limit", "0"]).contains(cut));
    assert!(!table(&state, &["--user", "root", "--limit", "1"]).contains(cut));
    expect![[r#"
        No session found.
    "#]]
    .assert_eq(&table(&state, &["--user", "nobody-here"]));
}

#[test]
fn long_lists_come_page_by_page_and_complete() {
    let state = State::empty();
    let updates: Vec<Update> = (1..=1203).map(|pid| opened(opening(pid, "2026-11-21T09:00:00Z"))).collect();
    state.write(&updates);
    let expected: Vec<i64> = (1..=1203).rev().collect();
    assert_eq!(ids(&table(&state, &["--limit", "0"])), expected);
    assert_eq!(ids(&table(&state, &["--limit", "1001"])), expected[..1001]);
    assert_eq!(ids(&table(&state, &["--limit", "0", "--level", "unknown"])), expected);
    assert_eq!(ids(&table(&state, &[])), expected[..50]);
}

/// What a person sees at a fixed time.
fn table(state: &State, arguments: &[&str]) -> String {
    shown(state, arguments, false)
}

fn shown(state: &State, arguments: &[&str], has_colour: bool) -> String {
    let line = ["login-tracer", "sessions"].iter().chain(arguments);
    let Command::Sessions(arguments) = Cli::try_parse_from(line).unwrap().command else { unreachable!() };
    let mut output = Vec::new();
    commands::sessions::write(&arguments, state.path(), &view(has_colour), &mut output).unwrap();
    String::from_utf8(output).unwrap()
}

fn ids(table: &str) -> Vec<i64> {
    table.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}
