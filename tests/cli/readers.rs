//! Members of the group may list sessions, in every state that a writer can leave the database in; others may not.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use login_tracer::store::Writer;

use crate::fixture::{State, opened, opening};
use crate::root::is_root_or_skip;

/// Numbers that no account has.
const GROUP: u32 = 54_321;
const MEMBER: u32 = 54_322;

/// Tells [`write_and_wait`], in a process of its own, where to write.
const WRITER_DIR: &str = "LOGIN_TRACER_TEST_WRITER_DIR";

#[test]
fn a_member_of_the_group_reads_while_the_writer_lives() {
    let Some(host) = Host::new("a_member_of_the_group_reads_while_the_writer_lives") else { return };
    let mut writer = Writer::open(host.state.path(), Some(GROUP)).unwrap();
    writer.commit(&[opened(opening(1, "2026-11-21T09:00:00Z"))]).unwrap();
    host.expect_sessions(GROUP, 1);
    // And goes on to see what is written later.
    writer.commit(&[opened(opening(2, "2026-11-21T09:00:00Z"))]).unwrap();
    host.expect_sessions(GROUP, 2);
    drop(writer);
}

#[test]
fn a_member_of_the_group_reads_after_the_writer_was_killed() {
    let Some(host) = Host::new("a_member_of_the_group_reads_after_the_writer_was_killed") else { return };
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "readers::write_and_wait", "--nocapture"])
        .env(WRITER_DIR, host.state.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("written")));
    writer.kill().unwrap();
    writer.wait().unwrap();
    host.expect_sessions(GROUP, 1);
}

#[test]
fn a_member_of_the_group_reads_after_the_writer_ended() {
    let Some(host) = Host::new("a_member_of_the_group_reads_after_the_writer_ended") else { return };
    let mut writer = Writer::open(host.state.path(), Some(GROUP)).unwrap();
    writer.commit(&[opened(opening(1, "2026-11-21T09:00:00Z"))]).unwrap();
    drop(writer);
    host.expect_sessions(GROUP, 1);
}

#[test]
fn others_are_told_who_may() {
    let Some(host) = Host::new("others_are_told_who_may") else { return };
    Writer::open(host.state.path(), Some(GROUP)).unwrap();
    let output = host.run_as(MEMBER, &["sessions"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("no permission to read") && stderr.contains("member of the group"), "{stderr}");
    let output = host.run_as(MEMBER, &["check"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("note     sessions.db: not seen"), "{stdout}");
}

/// A writer that is killed by another test, in a process of its own; by itself it only writes.
#[test]
fn write_and_wait() {
    let own = State::empty();
    let dir = std::env::var_os(WRITER_DIR).map(PathBuf::from);
    let mut writer = Writer::open(dir.as_deref().unwrap_or(own.path()), dir.as_ref().map(|_| GROUP)).unwrap();
    writer.commit(&[opened(opening(1, "2026-11-21T09:00:00Z"))]).unwrap();
    println!("written");
    if dir.is_some() {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
    assert_eq!(own.run(&["sessions", "--json"]).stdout().lines().count(), 1);
}

/// A state directory with the owners of a real one, and a copy of the binary that everybody can run.
struct Host {
    state: State,
    programs: tempfile::TempDir,
}

impl Host {
    /// `None`, with the reason, where this process cannot become somebody else.
    fn new(test: &str) -> Option<Self> {
        if !is_root_or_skip(test) {
            return None;
        }
        let host = Self { state: State::empty(), programs: tempfile::tempdir().unwrap() };
        chown(host.state.path(), Some(0), Some(GROUP)).unwrap();
        host.state.open_to_others(0o750);
        fs::set_permissions(host.programs.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_login-tracer"), host.program()).unwrap();
        Some(host)
    }

    fn program(&self) -> PathBuf {
        self.programs.path().join("login-tracer")
    }

    /// Runs the binary as an account without any other group.
    fn run_as(&self, group: u32, arguments: &[&str]) -> Output {
        Command::new(self.program())
            .args(arguments)
            .arg("--state-dir")
            .arg(self.state.path())
            .current_dir(Path::new("/"))
            .gid(group)
            .uid(MEMBER)
            .output()
            .unwrap()
    }

    fn expect_sessions(&self, group: u32, count: usize) {
        let output = self.run_as(group, &["sessions", "--json"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), count);
    }
}
