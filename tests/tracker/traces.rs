//! Recordings of real logins, replayed. `traces/NAME.jsonl` is what the kernel reported, `traces/NAME.txt` what the
//! tracker found in it; `UPDATE_EXPECT=1` writes the latter anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use login_tracer::event::{BootTime, Event};
use login_tracer::tracker::Finding;

use crate::findings;

pub(crate) struct Recording {
    path: PathBuf,
    pub(crate) events: Vec<Event>,
}

/// All recordings, in the order of their names.
pub(crate) fn recordings() -> Vec<Recording> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("tests/tracker/traces");
    let entries = fs::read_dir(&directory).expect("the folder of recordings");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    assert!(!paths.is_empty(), "there are recordings");
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Recording {
    let text = fs::read_to_string(&path).expect("a recording");
    let parse = |line| serde_json::from_str(line).expect("an event");
    Recording { events: text.lines().map(parse).collect(), path }
}

#[test]
fn recorded_logins_are_found() {
    for recording in recordings() {
        let text = describe(&findings(&recording.events), recording.events[0].at);
        expect_file![recording.path.with_extension("txt")].assert_eq(&text);
    }
}

/// One line per finding; times in milliseconds from the first event.
fn describe(found: &[Finding], start: BootTime) -> String {
    let mut text = String::new();
    let ms = |at: &BootTime| (at.0 - start.0) / 1_000_000;
    for finding in found {
        match finding {
            Finding::Opened { monitor, at, user, connection, exe } => {
                let peer = connection.map(|connection| connection.peer.to_string());
                writeln!(text, "{:>6} ms  opened {} by {exe}: {user:?} from {peer:?}", ms(at), monitor.pid)
            }
            Finding::Recovered { monitor, at, .. } => {
                writeln!(text, "{:>6} ms  recovered {}", ms(at), monitor.pid)
            }
            Finding::Identified { monitor, at, uid, tty } => {
                writeln!(text, "{:>6} ms  identified {}: uid {uid:?} tty {tty:?}", ms(at), monitor.pid)
            }
            Finding::Closed { monitor, at, end } => {
                writeln!(text, "{:>6} ms  closed {}: {}", ms(at), monitor.pid, end.as_str())
            }
        }
        .expect("writing to memory");
    }
    text
}
