//! `replay`: what a recording means, and what is wrong with one.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{expect, expect_file};
use login_tracer::cli::ReplayArgs;
use login_tracer::commands;

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(format!("tests/tracker/traces/{name}.jsonl"))
}

fn replay(recording: PathBuf, json: bool) -> (String, Option<String>) {
    let mut output = Vec::new();
    let result = commands::replay::write(&ReplayArgs { recording, json }, &mut output);
    (String::from_utf8(output).unwrap(), result.err().map(|error| format!("{error:#}")))
}

#[test]
fn a_login_and_an_attempt_are_told() {
    let (login, error) = replay(recording("logins-user_with_key_runs_command"), false);
    assert_eq!(error, None);
    let (attempt, error) = replay(recording("refusals-wrong_password"), false);
    assert_eq!(error, None);
    expect_file!["../goldens/replay.txt"].assert_eq(&format!("{login}\n{attempt}"));
}

#[test]
fn as_json_it_is_one_object_a_line() {
    let (text, error) = replay(recording("logins-user_with_key_runs_command"), true);
    assert_eq!(error, None);
    let kinds: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .flat_map(|value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>())
        .collect();
    assert_eq!(
        (kinds.first().map(String::as_str), kinds.last().map(String::as_str)),
        (Some("opened"), Some("closed"))
    );
}

#[test]
fn what_is_no_recording_is_told_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.jsonl");
    let whole = fs::read_to_string(recording("logins-user_with_key_runs_command")).unwrap();
    let (expected, _) = replay(recording("logins-user_with_key_runs_command"), false);
    let told = |text: &str| {
        fs::write(&path, text).unwrap();
        let (output, error) = replay(path.clone(), false);
        (output, error.unwrap_or_default().replace(&directory.path().display().to_string(), "<dir>"))
    };
    let number = whole.lines().count() + 1;
    let (output, error) = told(&format!("{whole}{{\"at\":1"));
    assert_eq!(output, expected, "what was whole is shown");
    assert!(error.starts_with(&format!("<dir>/x.jsonl:{number}: no event of `trace --record`")), "{error}");
    let (_, error) = told(&"x".repeat(100_000));
    expect!["<dir>/x.jsonl:1: the line is too long for an event of `trace --record`"].assert_eq(&error);
    let (_, error) = replay(directory.path().join("missing\n"), false);
    assert!(error.is_some_and(|error| error.contains("missing") && !error.contains('\n')));
}
