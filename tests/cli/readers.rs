//! Members of the group may list sessions, in every state that a writer can leave the database in; others may not.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use login_tracer::store::Writer;

use crate::fixture::{State, opened, opening};

/// Numbers that no account has.
const GROUP: u32 = 54_321;
const MEMBER: u32 = 54_322;

/// Tells [`write_and_wait`], in a process of its own, where to write.
const WRITER_DIR: &str = "LOGIN_TRACER_TEST_WRITER_DIR";

#[test]
fn a_member_of_the_group_reads_while_the_writer_lives() {
    let Some(host) = Host::new() else { return };
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
    let Some(host) = Host::new() else { return };
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "readers::write_and_wait", "--ignored", "--nocapture"])
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
    let Some(host) = Host::new() else { return };
    let mut writer = Writer::open(host.state.path(), Some(GROUP)).unwrap();
    writer.commit(&[opened(opening(1, "2026-11-21T09:00:00Z"))]).unwrap();
    drop(writer);
    host.expect_sessions(GROUP, 1);
}

#[test]
fn others_are_told_who_may() {
    let Some(host) = Host::new() else { return };
    Writer::open(host.state.path(), Some(GROUP)).unwrap();
    let output = host.run_as(MEMBER, &["sessions"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("no permission to read") && stderr.contains("member of the group"), "{stderr}");
    let output = host.run_as(MEMBER, &["check"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("note     sessions.db: not seen"), "{stdout}");
}

/// Not a test: the process that is killed.
#[test]
#[ignore = "runs only as a process of another test"]
fn write_and_wait() {
    let dir = PathBuf::from(std::env::var_os(WRITER_DIR).unwrap());
    let mut writer = Writer::open(&dir, Some(GROUP)).unwrap();
    writer.commit(&[opened(opening(1, "2026-11-21T09:00:00Z"))]).unwrap();
    println!("written");
    std::thread::sleep(std::time::Duration::from_secs(60));
}

/// A state directory with the owners of a real one, and a copy of the binary that everybody can run.
struct Host {
    state: State,
    programs: tempfile::TempDir,
}

impl Host {
    /// `None`, with the reason, where this process cannot become somebody else.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("LOGIN_TRACER_REQUIRE_ALL").is_none(), "needs root");
            eprintln!("skipped: needs root to become another account");
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
