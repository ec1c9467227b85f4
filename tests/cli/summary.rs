//! `summary`: what happened lately.

use clap::Parser as _;
use expect_test::expect_file;
use login_tracer::cli::{Cli, Command};
use login_tracer::session::Reason;

use crate::fixture::{State, attempt, view};

#[test]
fn it_tells_what_happened_since_then() {
    let state = State::with_examples();
    let typed = [("hunter2-\u{1b}[2J", false), ("root", true)];
    state.write(&[attempt(7, "203.0.113.9", "2026-11-21T08:00:00Z", Reason::UnknownUser, None, &typed)]);
    let mut golden = String::new();
    for (arguments, has_colour) in
        [(&["2d"][..], false), (&["2026-11-21"], true), (&["31d", "--json"], false)]
    {
        golden.push_str(&format!(
            "## --since {}\n{}\n",
            arguments.join(" "),
            told(&state, arguments, has_colour)
        ));
    }
    assert!(!golden.contains("hunter2"));
    expect_file!["../goldens/summary.txt"].assert_eq(&golden);
}

#[test]
fn a_time_that_is_too_long_and_a_host_without_any_database() {
    let run = State::with_examples().run(&["summary", "--since", "5y"]);
    assert_eq!(run.code(), Some(2));
    assert!(run.stderr().contains("31 days at most"), "{}", run.stderr());
    let run = State::empty().run(&["summary"]);
    assert_eq!((run.code(), run.stdout().as_str()), (Some(1), ""));
}

fn told(state: &State, arguments: &[&str], has_colour: bool) -> String {
    let words = ["login-tracer", "summary", "--since"].iter().chain(arguments);
    let Command::Summary(args) = Cli::try_parse_from(words).unwrap().command else { panic!("another verb") };
    let mut output = Vec::new();
    login_tracer::commands::summary::write(&args, "web-1", state.path(), &view(has_colour), &mut output)
        .unwrap();
    String::from_utf8(output).unwrap()
}
