//! Killed at any point, damaged, full: what was confirmed is there, nothing is there by half.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use login_tracer::session::ChangeKind;
use login_tracer::store::{self, Filter, Reader, StoreError, Writer};
use tempfile::tempdir;

use crate::{closed, opened, opening};

/// Set for the child process of the test that is killed: where its database is.
const CHILD_DIRECTORY: &str = "LOGIN_TRACER_TEST_STORE";

/// The part of the child process: writes sessions one by one, and says which are confirmed, until it is killed.
#[test]
fn child_that_is_killed() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else {
        return;
    };
    let mut writer = Writer::open(Path::new(&directory), None).expect("a writer");
    let first = writer.live_sessions().expect("read").len();
    let first = u32::try_from(first).expect("few");
    for pid in first.. {
        writer.commit(&[opened(&opening(pid))]).expect("written");
        println!("confirmed {pid}");
        std::io::stdout().flush().expect("the parent reads");
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_was_confirmed() {
    let directory = tempdir().expect("a folder");
    let mut confirmed = 0;
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "faults::child_that_is_killed", "--nocapture"])
            .env(CHILD_DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        // Kill it at another moment each time: after some commits, in the midst of one.
        let reads_before_kill = 3 + round;
        let mut read = |line: std::io::Result<String>| {
            if let Some(pid) = line.expect("text").rsplit_once("confirmed ").map(|(_, pid)| pid.to_owned()) {
                confirmed = pid.parse::<u32>().expect("a number") + 1;
                return 1;
            }
            0
        };
        let mut count = 0;
        while count < reads_before_kill {
            count += read(lines.next().expect("the child writes until it is killed"));
        }
        std::thread::sleep(Duration::from_micros(150 * round));
        child.kill().expect("killed");
        for line in lines {
            read(line);
        }
        child.wait().expect("ended");

        let reader = Reader::open(directory.path()).expect("a reader");
        let sessions = reader.sessions(&Filter::default()).expect("read");
        let written = u32::try_from(sessions.len()).expect("few");
        assert!(written >= confirmed, "round {round}: {confirmed} confirmed, {written} there");
        let changes = reader.changes_after(0, 100_000).expect("read");
        assert_eq!(changes.len(), sessions.len(), "a session and its change are written together");
        assert!(changes.iter().all(|change| change.kind == ChangeKind::Opened));
    }
}

#[test]
fn a_damaged_database_is_set_aside_whole() {
    for damage in [damage_header, damage_pages, truncate] {
        let directory = tempdir().expect("a folder");
        let path = directory.path().join(store::FILE_NAME);
        let mut writer = Writer::open(directory.path(), None).expect("a writer");
        for pid in 0..200 {
            writer.commit(&[opened(&opening(pid))]).expect("written");
        }
        drop(writer);
        fold_log_into_database(&path);
        damage(&path);
        let bytes = fs::read(&path).expect("the file");

        let error = Writer::open(directory.path(), None).expect_err("damaged");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        let now: Timestamp = "2026-03-04T05:06:07.089Z".parse().expect("a time");
        let kept = store::set_aside(&path, now).expect("moved");
        assert_eq!(
            kept.file_name().and_then(|name| name.to_str()),
            Some("sessions.db.damaged-20260304T050607.089000Z")
        );
        assert_eq!(fs::read(&kept).expect("the kept file"), bytes, "not one byte is lost");
        let mut writer = Writer::open(directory.path(), None).expect("a new database");
        writer.commit(&[opened(&opening(1))]).expect("written");
    }
}

fn fold_log_into_database(path: &Path) {
    let connection = rusqlite::Connection::open(path).expect("a connection");
    let fold = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], fold).expect("folded");
}

fn damage_header(path: &Path) {
    write_at(path, 0, &[0x55; 64]);
}

fn damage_pages(path: &Path) {
    let length = fs::metadata(path).expect("the file").len();
    for page in 1..length / 4096 {
        write_at(path, page * 4096, &[0xaa; 512]);
    }
}

fn truncate(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).expect("the file");
    file.set_len(3 * 4096 + 100).expect("cut");
}

fn write_at(path: &Path, offset: u64, bytes: &[u8]) {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.write_all_at(bytes, offset))
        .expect("damaged");
}

#[test]
fn a_reader_notices_that_the_database_was_replaced() {
    let directory = tempdir().expect("a folder");
    drop(Writer::open(directory.path(), None).expect("a writer"));
    let reader = Reader::open(directory.path()).expect("a reader");
    let id = reader.store_id().expect("read");
    store::set_aside(&directory.path().join(store::FILE_NAME), Timestamp::UNIX_EPOCH).expect("moved");
    assert!(!reader.is_replaced(), "nothing has taken its place yet");
    drop(Writer::open(directory.path(), None).expect("a new database"));
    assert!(reader.is_replaced());
    assert_ne!(Reader::open(directory.path()).expect("a reader").store_id().expect("read"), id);
}

#[test]
fn readers_are_served_whether_the_writer_lives_or_not() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let opening = opening(7);
    writer.commit(&[opened(&opening)]).expect("written");
    let reader = Reader::open(directory.path()).expect("a reader");
    assert_eq!(reader.sessions(&Filter::default()).expect("read").len(), 1);
    writer.commit(&[closed(&opening, 1)]).expect("a reader does not block the writer");
    drop(writer);
    for companion in ["sessions.db-wal", "sessions.db-shm"] {
        assert!(directory.path().join(companion).exists(), "{companion} is kept");
    }
    let again = Reader::open(directory.path()).expect("a reader");
    assert_eq!(again.sessions(&Filter { active: true, ..Filter::default() }).expect("read"), []);
}
