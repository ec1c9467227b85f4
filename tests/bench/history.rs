//! How long lists take when many sessions have been seen: the whole command, from its start to its end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use login_tracer::session::{Closed, End, Opening, SessionKey, Sshd, Update};
use login_tracer::store::Writer;

use crate::Bench;
use crate::measurement::Target;
use crate::report::Row;

const FEW: u32 = 1_000;
const MANY: u32 = 100_000;
const MOST: u32 = 1_000_000;
/// "`sessions` over one million sessions < 50 ms".
const TARGET_MS: f64 = 50.0;

/// What is asked for, and how many sessions the answer must have.
const QUESTIONS: [(&str, &[&str], usize); 8] = [
    ("newest 50", &[], 50),
    ("--active", &["--active"], 10),
    ("--user, many match", &["--user", "alice"], 50),
    ("--user, none matches", &["--user", "nobody-has-this-name"], 0),
    ("--address of one", &["--address", "10.0.0.7"], 50),
    ("--address of a network", &["--address", "10.0.0.0/8"], 50),
    ("--since, few match", &["--since", "2026-01-01 00:00"], 0),
    ("--since, all match", &["--since", "2020-01-01 00:00"], 50),
];

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let few = filled(bench, FEW)?;
    for count in if bench.quick { [MANY].as_slice() } else { &[MANY, MOST] } {
        let many = filled(bench, *count)?;
        for (name, filter, expected) in QUESTIONS {
            let mut rounds = Vec::new();
            for _ in 0..bench.rounds(15, 41) {
                rounds.push([ask(bench, &few, filter, expected)?, ask(bench, &many, filter, expected)?]);
            }
            let slow = rounds.iter().map(|[_, many]| *many).collect();
            let sizes = [FEW, *count].map(|count| format!("of {count}"));
            let what = format!("sessions {name}");
            row.paired(&what, "ms", [&sizes[0], &sizes[1]], rounds, None)?;
            row.repeated(&format!("{what}, of {count}"), "ms", slow, Some(Target::AtMost(TARGET_MS)))?;
        }
        let bytes = bytes_in(&many)? as f64 / f64::from(*count);
        row.repeated(&format!("database, of {count}"), "bytes a session", vec![bytes], None)?;
    }
    Ok(())
}

/// A state directory with so many sessions.
fn filled(bench: &Bench, count: u32) -> anyhow::Result<PathBuf> {
    const BATCH: u32 = 10_000;
    const OPEN: u32 = 10;
    let directory = bench.disk.join(format!("history-{count}"));
    std::fs::create_dir(&directory).context("cannot create a folder")?;
    let mut writer = Writer::open(&directory, None)?;
    for first in (0..count).step_by(BATCH as usize) {
        let all = (first..count.min(first + BATCH)).flat_map(|n| {
            // The last ones are still there.
            whole_session(n).into_iter().take(if n + OPEN < count { 3 } else { 2 })
        });
        writer.commit(&all.collect::<Vec<_>>())?;
    }
    Ok(directory)
}

/// Everything that happens to session number `n`.
pub fn whole_session(n: u32) -> [Update; 3] {
    const USERS: [&str; 5] = ["alice", "bob", "carol", "deploy", "root"];
    const START: i64 = 1_600_000_000;
    // Forty sessions an hour, from twenty addresses.
    let at = |seconds: i64| {
        Timestamp::from_second(START + i64::from(n) * 90 + seconds).expect("this century has room for them")
    };
    let key = SessionKey::new("machine", "boot", n, u64::from(n));
    let opening = Opening {
        key,
        host: "web-1".to_owned(),
        boot_id: "5ff0aa2b-9f5e-4c0b-bf9d-0f6f0a9c1a11".to_owned(),
        user: Some(USERS[n as usize % USERS.len()].to_owned()),
        uid: None,
        peer: Some(([10, 0, 0, (n % 20) as u8], 40_000).into()),
        local: Some(([192, 0, 2, 1], 22).into()),
        sshd: Sshd { pid: n, exe: Some("/usr/lib/openssh/sshd-session".to_owned()) },
        sshd_start_boot_ns: u64::from(n),
        at: at(0),
    };
    let tty = Some(format!("pts/{}", n % 8));
    [
        Update::Opened(Box::new(opening)),
        Update::Identified { key, at: at(1), user: None, uid: Some(1000 + n % 5), tty },
        Update::Closed { key, closed: Closed { at: at(600), end: End::Logout } },
    ]
}

/// Milliseconds for an answer.
fn ask(bench: &Bench, state_dir: &Path, filter: &[&str], expected: usize) -> anyhow::Result<f64> {
    let mut command = Command::new(&bench.tracer);
    command.arg("--state-dir").arg(state_dir).args(["sessions", "--limit", "50", "--json"]).args(filter);
    command.env("TZ", "UTC").stdin(Stdio::null());
    let started = Instant::now();
    let output = command.output().context("cannot run login-tracer sessions")?;
    let milliseconds = started.elapsed().as_secs_f64() * 1e3;
    let listed = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    ensure!(
        output.status.success() && listed == expected,
        "sessions {filter:?} listed {listed}, not {expected}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(milliseconds)
}

/// What the database and its log take.
fn bytes_in(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // The log has a size of its own, which does not grow with the database.
        if entry.file_name() == "sessions.db" {
            bytes += entry.metadata()?.len();
        }
    }
    ensure!(bytes > 0, "there is no database");
    Ok(bytes)
}
