//! What is said when something is not as it should be: once, with what to do, and nothing of it harmful.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use expect_test::expect_file;

use crate::fixture::State;

#[test]
fn errors_name_the_cause_and_the_remedy() {
    let mut golden = String::new();
    let mut case = |title: &str, state: &State, arguments: &[&str]| {
        let shown = state.run(arguments).shown();
        writeln!(golden, "## {title}\n$ login-tracer {}\n{shown}", arguments.join(" ")).unwrap();
    };
    let empty = State::empty();
    case("nothing was recorded yet", &empty, &["sessions"]);
    case("nothing was recorded yet, for programs", &empty, &["sessions", "--json"]);
    case("nothing to show yet", &empty, &["show", "1"]);
    let examples = State::with_examples();
    case("no such session", &examples, &["show", "4711"]);
    case("no such stable id", &examples, &["show", "00000000-0000-0000-0000-000000000000"]);

    let damaged = State::empty();
    fs::write(damaged.path().join("sessions.db"), "this is no database, not even a small one").unwrap();
    case("a damaged database", &damaged, &["sessions"]);

    let newer = State::with_examples();
    rusqlite::Connection::open(newer.path().join("sessions.db"))
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    case("a database of a newer version", &newer, &["sessions"]);

    let other = State::empty();
    fs::create_dir(other.path().join("sessions.db")).unwrap();
    case("no database at all", &other, &["sessions"]);
    expect_file!["../goldens/errors.txt"].assert_eq(&golden);
}

#[test]
fn a_role_with_a_wrong_configuration_ends_for_good() {
    let state = State::empty();
    let path = state.path().join("config.toml");
    fs::write(&path, "[sinks.ops]\ntype = \"slack\"\nwebhok_url = \"https://example.org/S3CRET\"\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let mut golden = String::new();
    for verb in ["run", "trace", "notify"] {
        let run = state.run(&[verb, "--config", path.to_str().unwrap()]);
        assert_eq!(run.code(), Some(78), "{}", run.shown());
        writeln!(golden, "$ login-tracer {verb}\n{}", run.shown()).unwrap();
    }
    let run = state.run(&["run", "--config", "/no/such/config.toml"]);
    assert_eq!(run.code(), Some(78), "{}", run.shown());
    writeln!(golden, "$ login-tracer run --config /no/such/config.toml\n{}", run.shown()).unwrap();
    assert!(!golden.contains("S3CRET"));
    let left: Vec<_> = fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["config.toml"], "nothing was started or created");
    expect_file!["../goldens/wrong-config.txt"].assert_eq(&golden);
}

#[test]
fn what_was_typed_cannot_harm_the_terminal() {
    let state = State::empty();
    let run = state.run(&["run", "--config", "/no/such/\u{1b}[2J\u{202e}file"]);
    assert!(
        !run.stderr().chars().any(|c| c != '\n' && login_tracer::sanitize::is_hostile(c)),
        "{}",
        run.shown()
    );
}
