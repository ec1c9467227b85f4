//! `attempts`: by address, with the names of strangers hidden unless they are asked for.

use expect_test::expect_file;
use login_tracer::session::Reason;
use login_tracer::session::Update;

use crate::fixture::{State, attempt};

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
