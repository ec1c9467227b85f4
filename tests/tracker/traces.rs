//! Recordings of real logins, replayed. `traces/NAME.jsonl` is what the kernel reported, `traces/NAME.txt` what the
//! tracker found in it; `UPDATE_EXPECT=1` writes the latter anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use login_tracer::event::{BootTime, Event};
use login_tracer::session::Auth;
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
            Finding::Opened { monitor, at, service, user, uid, by, tty, connection, auth, exe } => {
                let peer = connection.map(|connection| connection.peer.to_string());
                let auth =
                    auth.as_ref().map_or_else(|| "not said how".to_owned(), |auth| describe_auth(auth));
                let local = if service.is_local() {
                    format!(" on this host: {} as {uid:?} for {by:?} at {tty:?}", service.as_str())
                } else {
                    String::new()
                };
                writeln!(
                    text,
                    "{:>6} ms  opened {} by {exe}{local}: {user:?} from {peer:?}, {auth}",
                    ms(at),
                    monitor.pid
                )
            }
            Finding::Authenticated { monitor, at, user, auth } => writeln!(
                text,
                "{:>6} ms  authenticated {}: {user:?} {}",
                ms(at),
                monitor.pid,
                describe_auth(auth)
            ),
            Finding::Began { monitor, at, first } => writeln!(
                text,
                "{:>6} ms  began {}: {} {:?} by {}",
                ms(at),
                monitor.pid,
                first.kind.as_str(),
                first.words(),
                first.path
            ),
            Finding::Attempt(attempt) => writeln!(
                text,
                "{:>6} ms  attempt {:?} from {} since {} ms: {}, {:?}",
                ms(&attempt.ended_at),
                attempt.monitor.map(|monitor| monitor.pid),
                attempt.peer,
                ms(&attempt.began_at),
                attempt.reason.as_str(),
                attempt.tried
            ),
            Finding::Recovered { monitor, at, .. } => {
                writeln!(text, "{:>6} ms  recovered {}", ms(at), monitor.pid)
            }
            Finding::Identified { monitor, at, uid, tty } => {
                writeln!(text, "{:>6} ms  identified {}: uid {uid:?} tty {tty:?}", ms(at), monitor.pid)
            }
            Finding::Closed { monitor, at, end } => {
                writeln!(text, "{:>6} ms  closed {}: {}", ms(at), monitor.pid, end.as_str())
            }
            Finding::ForeignSshd { process, at, uid, image, doubt } => {
                let (path, doubt) = (&image.path, doubt.as_str());
                writeln!(text, "{:>6} ms  foreign {}: {path} by {uid}, {doubt}", ms(at), process.pid)
            }
            Finding::Escalated { monitor, at, process, how, count } => {
                let (from, to, name) = (how.from, how.to, &how.name);
                let pid = process.pid;
                writeln!(
                    text,
                    "{:>6} ms  escalated {}: {from} -> {to} by {name}, {pid}, {count}",
                    ms(at),
                    monitor.pid
                )
            }
        }
        .expect("writing to memory");
    }
    text
}

fn describe_auth(auth: &Auth) -> String {
    let Auth { method, key, certificate, user_log } = auth;
    let mut text = format!("by {method}");
    if let Some(key) = key {
        write!(text, " {} {}", key.kind, key.fingerprint).expect("writing to memory");
    }
    if let Some(certificate) = certificate {
        write!(text, " {certificate:?}").expect("writing to memory");
    }
    if let Some(user) = user_log {
        write!(text, " as {user:?}").expect("writing to memory");
    }
    text
}
