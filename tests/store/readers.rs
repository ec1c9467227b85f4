//! Readers who may not write, beside a writer: nothing that it does makes one fail.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use login_tracer::store::{self, Reader, Writer};
use tempfile::tempdir;

use crate::root::is_root_or_skip;
use crate::{opened, opening};

/// A number that no account has, and no group.
const NOBODY: u32 = 54_322;
/// Set for the child process that reads: where its database is.
const CHILD_DIRECTORY: &str = "LOGIN_TRACER_TEST_READ";
/// Where the first of the two equal copies of the header of a log's index counts its changes (`WalIndexHdr` of
/// SQLite's `wal.c`).
const COUNT_OF_CHANGES: u64 = 8;
const TEARS: u32 = 300;
/// A header that the writer changes for longer than this may well make a reader give up.
const LONG: Duration = Duration::from_millis(5);

/// The part of the child process: asks as fast as it can until its standard input ends.
#[test]
fn child_that_reads() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else {
        return;
    };
    let directory = Path::new(&directory);
    let shared_memory = directory.join(format!("{}-shm", store::FILE_NAME));
    OpenOptions::new().write(true).open(shared_memory).expect_err("it may not write");
    let reader = Reader::open(directory).expect("a reader");
    println!("reads");
    let until_end = std::thread::spawn(|| std::io::stdin().lines().for_each(drop));
    while !until_end.is_finished() {
        assert_eq!(reader.changes_after(0, 10).expect("read").len(), 1);
    }
}

#[test]
fn a_header_that_is_being_changed_makes_no_reader_fail() {
    if !is_root_or_skip("a_header_that_is_being_changed_makes_no_reader_fail") {
        return;
    }
    // Beside a busy machine a change may take too long; then that is what the reader saw, and it says nothing.
    let says_something = (0..10).any(|_| {
        let (is_well, longest) = tear_beside_a_reader();
        assert!(is_well || longest >= LONG, "a reader failed beside changes of {longest:?} at most");
        is_well
    });
    assert!(says_something, "no try was quick enough");
}

/// Leaves the header between two states for a millisecond, many times, while somebody reads. Says whether all reads were
/// well, and how long the header was not whole at most.
fn tear_beside_a_reader() -> (bool, Duration) {
    let (directory, programs) = (tempdir().expect("a folder"), tempdir().expect("a folder"));
    chown(directory.path(), None, Some(NOBODY)).expect("given to the group");
    for (folder, mode) in [(&directory, 0o750), (&programs, 0o755)] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("permissions");
    }
    let program = programs.path().join("store");
    fs::copy(std::env::current_exe().expect("this program"), &program).expect("a copy that all may run");
    let mut writer = Writer::open(directory.path(), Some(NOBODY)).expect("a writer");
    writer.commit(&[opened(&opening(1))]).expect("written");

    let mut child = Command::new(program)
        .args(["--exact", "readers::child_that_reads", "--nocapture"])
        .env(CHILD_DIRECTORY, directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .gid(NOBODY)
        .uid(NOBODY)
        .spawn()
        .expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.expect("text") == "reads"), "the child can open the database");
    // It stays open until the end: closing it would give up the locks that this process has on it.
    let path = directory.path().join(format!("{}-shm", store::FILE_NAME));
    let header = OpenOptions::new().read(true).write(true).open(path).expect("the index");
    let mut count = [0; 4];
    header.read_exact_at(&mut count, COUNT_OF_CHANGES).expect("the header");
    let mut longest = Duration::ZERO;
    for _ in 0..TEARS {
        let began = Instant::now();
        header.write_all_at(&count.map(|byte| !byte), COUNT_OF_CHANGES).expect("torn");
        std::thread::sleep(Duration::from_millis(1));
        header.write_all_at(&count, COUNT_OF_CHANGES).expect("whole");
        longest = longest.max(began.elapsed());
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(child.stdin.take());
    lines.for_each(drop);
    let is_well = child.wait().expect("ended").success();
    drop((header, writer));
    (is_well, longest)
}
