//! Files of JSON lines.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use login_tracer::config;
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::file::File;
use login_tracer::sanitize::is_hostile;
use proptest::prelude::*;
use serde_json::Value;

use crate::over_http::Then;
use crate::scene::{Strangers, host_of, hostile_message, messages, opened, send, user_of};

fn file(path: &Path, max_size: u64, keep: u32) -> File {
    File::new(&config::File { path: path.to_owned(), max_size, keep })
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logins.jsonl");
    (folder, path)
}

fn records(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn one_line_for_each_message() {
    let (_folder, path) = place();
    let sink = file(&path, 1 << 20, 1);
    for (_, delivery) in messages() {
        assert_eq!(send(&sink, &delivery).outcome, Outcome::Delivered);
    }
    let kinds: Vec<_> =
        records(&path).iter().map(|record| record["kind"].as_str().unwrap().to_owned()).collect();
    let (logins, others) = kinds.split_at(4);
    assert_eq!(logins, ["opened"; 4]);
    assert_eq!(
        others,
        [
            "closed",
            "escalated",
            "foreign_sshd",
            "events_lost",
            "attempt",
            "attempt",
            "attempts",
            "attempts",
            "summary",
            "summary",
            "sink_suspended",
            "sink_suspended",
            "messages_lost",
            "group",
            "group"
        ]
    );
}

#[test]
fn full_files_are_kept_up_to_a_number() {
    let (_folder, path) = place();
    let delivery = opened(&Strangers::polite(), 1);
    let sink = file(&path, 4096, 2);
    for _ in 0..100 {
        assert_eq!(send(&sink, &delivery).outcome, Outcome::Delivered);
        assert!(fs::metadata(&path).unwrap().len() <= 4096);
    }
    let mut names: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["logins.jsonl", "logins.jsonl.1", "logins.jsonl.2"]);
    for name in names {
        assert!(!records(&path.with_file_name(name)).is_empty());
    }
    let sink = file(&path, 4096, 0);
    for _ in 0..10 {
        assert_eq!(send(&sink, &delivery).outcome, Outcome::Delivered);
    }
    assert!(records(&path).len() < 10);
}

#[test]
fn a_line_that_was_cut_is_ended_first() {
    let (_folder, path) = place();
    fs::write(&path, "{\"version\":1,\"id\":\"cu").unwrap();
    assert_eq!(send(&file(&path, 1 << 20, 1), &opened(&Strangers::polite(), 1)).outcome, Outcome::Delivered);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    serde_json::from_str::<Value>(lines[1]).unwrap();
}

#[test]
fn what_cannot_be_written_may_pass() {
    let (folder, path) = place();
    let delivery = opened(&Strangers::polite(), 1);
    // A link to somebody else's file, a device, a folder, no folder.
    let other = folder.path().join("other");
    fs::File::create(&other).unwrap().write_all(b"mine\n").unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    for path in [path.as_path(), Path::new("/dev/full"), folder.path(), Path::new("/no/such/folder/x")] {
        let report = send(&file(path, 1 << 20, 1), &delivery);
        assert_eq!(Then::from(&report.outcome), Then::Again(None), "{}: {report:?}", path.display());
    }
    assert_eq!(fs::read_to_string(other).unwrap(), "mine\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_name_makes_a_line(delivery in hostile_message()) {
        let (_folder, path) = place();
        let sink = file(&path, 1 << 20, 1);
        prop_assert_eq!(send(&sink, &delivery).outcome, Outcome::Delivered);
        let text = fs::read_to_string(&path).unwrap();
        prop_assert_eq!(text.matches('\n').count(), 1);
        prop_assert!(!text.trim_end_matches('\n').chars().any(is_hostile));
        let record = records(&path)[0].clone();
        prop_assert_eq!(record["session"]["user"].as_str(), user_of(&delivery));
        prop_assert_eq!(record["host"].as_str(), Some(host_of(&delivery.event)));
    }
}
