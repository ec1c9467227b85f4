//! How long lists take when many sessions have been seen: the whole command, from its start to its end.

use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use login_tracer::assess::{Assessment, Level, Reason};
use login_tracer::enrich::{Facts, Why};
use login_tracer::notify::outbox::{self, Outbox, TakenIn};
use login_tracer::session::{Closed, End, Opening, SessionKey, Sshd, Update};
use login_tracer::store::{FILE_NAME, Writer};
use uuid::Uuid;

use crate::Bench;
use crate::measurement::Target;
use crate::report::Row;

/// How many sessions, and how that is written.
type Size = (u32, &'static str);
const FEW: Size = (1_000, "1,000");
const MANY: Size = (100_000, "100,000");
const MOST: Size = (1_000_000, "1,000,000");
/// "`sessions` over one million sessions < 50 ms".
const TARGET_MS: f64 = 50.0;

/// What is asked for, and how many sessions the answer must have.
const QUESTIONS: [(&str, &[&str], usize); 12] = [
    ("newest 50", &[], 50),
    ("--active", &["--active"], 10),
    ("--user, many match", &["--user", "alice"], 50),
    ("--user, none matches", &["--user", "nobody-has-this-name"], 0),
    ("--address of one", &["--address", "10.0.0.7"], 50),
    ("--address of a network", &["--address", "10.0.0.0/8"], 50),
    ("--since, none matches", &["--since", "2026-01-01 00:00"], 0),
    ("--since, all match", &["--since", "2020-01-01 00:00"], 50),
    ("--service, all match", &["--service", "ssh"], 50),
    ("--service, none matches", &["--service", "dropbear"], 0),
    ("--level, one in twenty matches", &["--level", "high"], 50),
    ("--level, none matches", &["--level", "medium"], 0),
];

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let few = History::write(bench, FEW)?;
    for size in if bench.quick { [MANY].as_slice() } else { &[MANY, MOST] } {
        let many = History::write(bench, *size)?;
        let names = [FEW, *size].map(|(_, name)| format!("of {name}"));
        let mut slowest = (0.0, Vec::new());
        for (name, filter, expected) in QUESTIONS {
            let mut rounds = Vec::new();
            for _ in 0..bench.rounds(15, 41) {
                rounds.push([few.ask(bench, filter, expected)?, many.ask(bench, filter, expected)?]);
            }
            let times: Vec<f64> = rounds.iter().map(|[_, many]| *many).collect();
            row.paired(&format!("sessions {name}"), "ms", [&names[0], &names[1]], rounds, None)?;
            let sum: f64 = times.iter().sum();
            if sum > slowest.0 {
                slowest = (sum, times);
            }
        }
        let what = format!("the slowest of these, {}", names[1]);
        row.repeated(&what, "ms", slowest.1, Some(Target::AtMost(TARGET_MS)))?;
        row.repeated(&format!("database, {}", names[1]), "bytes a session", vec![many.bytes_each()?], None)?;
    }
    Ok(())
}

/// A state directory with so many sessions, and what has its databases open, as the two roles have.
struct History {
    directory: PathBuf,
    count: u32,
    _writers: (Writer, Outbox),
}

impl History {
    fn write(bench: &Bench, (count, _): Size) -> anyhow::Result<Self> {
        const BATCH: u32 = 10_000;
        const OPEN: u32 = 10;
        let directory = bench.disk.join(format!("history-{count}"));
        std::fs::create_dir(&directory).context("cannot create a folder")?;
        std::fs::create_dir(directory.join(outbox::DIRECTORY)).context("cannot create a folder")?;
        let (mut writer, mut outbox) = (Writer::open(&directory, None)?, Outbox::open(&directory)?);
        for first in (0..count).step_by(BATCH as usize) {
            let all = (first..count.min(first + BATCH)).flat_map(|n| {
                // The last ones are still there.
                whole_session(n).into_iter().take(if n + OPEN < count { 3 } else { 2 })
            });
            writer.commit(&all.collect::<Vec<_>>())?;
            outbox.take_in(&rated(first..count.min(first + BATCH)), Timestamp::UNIX_EPOCH)?;
        }
        Ok(Self { directory, count, _writers: (writer, outbox) })
    }

    /// Milliseconds for an answer, which must have so many sessions.
    fn ask(&self, bench: &Bench, filter: &[&str], expected: usize) -> anyhow::Result<f64> {
        let mut command = Command::new(&bench.tracer);
        command.arg("--state-dir").arg(&self.directory).args(["sessions", "--limit", "50", "--json"]);
        command.args(filter).env("TZ", "UTC").stdin(Stdio::null());
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

    /// What the database takes on the disk; its log has a size of its own, which does not grow with it.
    fn bytes_each(&self) -> anyhow::Result<f64> {
        let bytes = self.directory.join(FILE_NAME).metadata().context("there is no database")?.len();
        Ok(bytes as f64 / f64::from(self.count))
    }
}

/// What the notify role made of these sessions: one in twenty is bad.
fn rated(sessions: Range<u32>) -> TakenIn {
    let rating = |n: u32| {
        let (level, score) = if n.is_multiple_of(20) { (Level::High, 90) } else { (Level::Low, 0) };
        let reasons = vec![Reason { points: score.into(), text: "Seen in a list".to_owned() }];
        (key(n), (Assessment { level, score: Some(score), reasons }, Facts::unknown(Why::NotConfigured)))
    };
    TakenIn {
        store_id: Uuid::nil(),
        cursor: 0,
        ratings: sessions.map(rating).collect(),
        reassessed: Vec::new(),
        announcements: Vec::new(),
        better_known: Vec::new(),
        untold_after: None,
    }
}

fn key(n: u32) -> SessionKey {
    SessionKey::new("machine", "boot", n, u64::from(n))
}

/// Everything that happens to session number `n`.
pub fn whole_session(n: u32) -> [Update; 3] {
    const USERS: [&str; 5] = ["alice", "bob", "carol", "deploy", "root"];
    const START: i64 = 1_600_000_000;
    // Forty sessions an hour, from twenty addresses.
    let at = |seconds: i64| {
        Timestamp::from_second(START + i64::from(n) * 90 + seconds).expect("this century has room for them")
    };
    let key = key(n);
    let opening = Opening {
        key,
        host: "web-1".to_owned(),
        service: login_tracer::session::Service::Ssh,
        by: None,
        boot_id: "5ff0aa2b-9f5e-4c0b-bf9d-0f6f0a9c1a11".to_owned(),
        user: Some(USERS[n as usize % USERS.len()].to_owned()),
        uid: None,
        peer: Some(([10, 0, 0, (n % 20) as u8], 40_000).into()),
        local: Some(([192, 0, 2, 1], 22).into()),
        auth: None,
        tty: None,
        sshd: Sshd { pid: n, exe: Some("/usr/lib/openssh/sshd-session".to_owned()) },
        sshd_start_boot_ns: u64::from(n),
        at: at(0),
        recovered: false,
        container: None,
        account: None,
    };
    let tty = Some(format!("pts/{}", n % 8));
    [
        Update::Opened(Box::new(opening)),
        Update::Identified { key, at: at(1), user: None, uid: Some(1000 + n % 5), tty },
        Update::Closed { key, closed: Closed { at: at(600), end: End::Logout } },
    ]
}
