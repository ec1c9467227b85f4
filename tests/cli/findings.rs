//! `findings`: the sshds that are not this host's.

use expect_test::expect_file;
use login_tracer::cli::FindingsArgs;
use login_tracer::commands;
use login_tracer::event::Doubt;
use login_tracer::session::{ForeignSshd, Identity, Update};

use crate::fixture::{State, key, time, view};

fn state() -> State {
    let state = State::empty();
    let started = |pid, at: &str, uid, user: Option<&str>, exe: &str, doubt| {
        let run_by = Identity { uid, user: user.map(str::to_owned) };
        let foreign = ForeignSshd { pid, run_by, exe: exe.to_owned(), doubt };
        Update::ForeignSshd { key: key(pid), at: time(at), foreign: Box::new(foreign) }
    };
    state.write(&[
        started(10, "2026-11-20T08:00:00Z", 1001, Some("alice"), "/usr/sbin/sshd", Doubt::User),
        started(11, "2026-11-20T09:00:00Z", 0, Some("root"), "/tmp/\u{1b}[2J/sshd", Doubt::Place),
        started(12, "2026-11-20T10:00:00Z", 0, Some("root"), "/usr/sbin/sshd", Doubt::Writable),
        started(13, "2026-11-21T08:00:00Z", 524_288, None, "/usr/sbin/sshd\n", Doubt::User),
    ]);
    state
}

#[test]
fn the_table_says_who_what_and_why() {
    let mut output = Vec::new();
    let args = FindingsArgs { limit: 0, json: false };
    commands::findings::write(&args, state().path(), &view(false), &mut output).unwrap();
    expect_file!["../goldens/findings.txt"].assert_eq(&String::from_utf8(output).unwrap());
}

#[test]
fn the_json_is_complete_and_harmless() {
    let run = state().run(&["findings", "--json"]);
    assert_eq!((run.code(), run.stderr().as_str()), (Some(0), ""));
    expect_file!["../goldens/findings.jsonl"].assert_eq(&run.stdout());
    assert_eq!(state().run(&["findings", "--json", "--limit", "1"]).stdout().lines().count(), 1);
}

#[test]
fn nothing_found_is_said() {
    let run = State::with_examples().run(&["findings"]);
    assert_eq!((run.code(), run.stdout().as_str()), (Some(0), "Nothing found.\n"));
    assert_eq!(State::with_examples().run(&["findings", "--json"]).stdout(), "");
}
