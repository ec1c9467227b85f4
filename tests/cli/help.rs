//! The help of every verb, and what is said about a command line that makes no sense.

use std::fmt::Write as _;

use expect_test::expect_file;

use crate::fixture::State;
use crate::fixture::binary;

#[test]
fn every_verb_explains_itself() {
    let mut golden = String::new();
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["run", "--help"],
        &["trace", "--help"],
        &["notify", "--help"],
        &["notify-test", "--help"],
        &["sessions", "--help"],
        &["show", "--help"],
        &["explain", "--help"],
        &["assess", "--help"],
        &["rules", "--help"],
        &["route", "--help"],
        &["findings", "--help"],
        &["attempts", "--help"],
        &["summary", "--help"],
        &["queue", "--help"],
        &["queue", "list", "--help"],
        &["queue", "show", "--help"],
        &["queue", "retry", "--help"],
        &["queue", "drop", "--help"],
        &["queue", "drain", "--help"],
        &["queue", "pause", "--help"],
        &["queue", "resume", "--help"],
        &["replay", "--help"],
        &["check", "--help"],
    ] {
        let output = binary().args(arguments).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        writeln!(golden, "$ login-tracer {}\n{}", arguments.join(" "), trimmed(&text)).unwrap();
    }
    expect_file!["../goldens/help.txt"].assert_eq(&golden);
}

#[test]
fn a_command_line_without_sense_is_refused() {
    let state = State::with_examples();
    let mut golden = String::new();
    for arguments in [
        &["list"][..],
        &["sessions", "--addres", "::1"],
        &["sessions", "--address", "example.org"],
        &["sessions", "--since", "later"],
        &["sessions", "--since", "19000y"],
        &["sessions", "--level", "green"],
        &["sessions", "--limit", "-1"],
        &["show"],
        &["show", "alice"],
        &["show", "0"],
        &["sessions", "--log", "=="],
        &["queue", "show", "12"],
        &["queue", "retry"],
        &["queue", "retry", "--all-parked", "--sink", "ops"],
        &["queue", "drop", "--sink", "ops"],
        &["queue", "drop", "--older-than", "7d"],
        &["queue", "drop", "--sink", "ops", "--older-than", "soon"],
    ] {
        let run = state.run(arguments);
        assert_eq!((run.code(), run.stdout().as_str()), (Some(2), ""), "{arguments:?}");
        writeln!(golden, "$ login-tracer {}\n{}", arguments.join(" "), trimmed(&run.stderr())).unwrap();
    }
    let run = binary().output().unwrap();
    assert_eq!(run.status.code(), Some(2), "no verb");
    expect_file!["../goldens/usage-errors.txt"].assert_eq(&golden);
}

/// Without blanks at the ends of lines, which editors remove from golden files.
fn trimmed(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
