//! `sessions --json`: the promise to other people's programs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use expect_test::expect_file;
use serde_json::Value;

use crate::fixture::{State, opened, opening};

#[test]
fn one_object_a_line_with_exactly_these_fields() {
    let run = State::with_examples().run(&["sessions", "--json"]);
    assert_eq!((run.code(), run.stderr().as_str()), (Some(0), ""));
    expect_file!["../goldens/sessions.jsonl"].assert_eq(&run.stdout());
    for line in run.stdout().lines() {
        let session: Value = serde_json::from_str(line).unwrap();
        for time in [&session["opened_at"], &session["closed_at"]] {
            let Some(time) = time.as_str() else { continue };
            assert!(time.len() == "2026-11-21T09:30:00.000000Z".len() && time.ends_with('Z'), "{time}");
        }
        assert_eq!(session["state"] == "open", session["closed_at"].is_null());
        assert_eq!(session["state"] == "open", session["duration_s"].is_null());
    }
}

#[test]
fn texts_are_complete_but_harmless() {
    let stdout = State::with_examples().run(&["sessions", "--json"]).stdout();
    assert!(!stdout.chars().any(|c| c != '\n' && login_tracer::sanitize::is_hostile(c)));
    let users: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["user"].take()).collect();
    assert!(users.contains(&Value::from("\u{1b}[2Jro\u{200b}ot\u{202e}x\n")), "{users:?}");
}

#[test]
fn nothing_found_is_nothing_printed() {
    let run = State::with_examples().run(&["sessions", "--json", "--user", "nobody-here"]);
    assert_eq!((run.code(), run.stdout().as_str(), run.stderr().as_str()), (Some(0), "", ""));
}

#[test]
fn a_reader_who_goes_away_is_no_error() {
    let state = State::empty();
    let updates: Vec<_> = (1..=3000).map(|pid| opened(opening(pid, "2026-11-21T09:00:00Z"))).collect();
    state.write(&updates);
    for arguments in [&["sessions", "--limit", "0", "--json"][..], &["sessions", "--limit", "0"]] {
        let mut child =
            state.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}
