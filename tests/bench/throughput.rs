//! How much fits through: kernel events through the tracker, session changes onto the disk, and messages to a sink.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use login_tracer::config::{self, Config, PaceChoice, Queueing, Secret, Sink, SinkKind};
use login_tracer::event::{BootTime, Event, Fact, Process};
use login_tracer::notify;
use login_tracer::notify::intake::delivery_id;
use login_tracer::notify::message::{self, Message};
use login_tracer::notify::outbox::{self, Finished, NewAnnouncement, NewDelivery, Outbox, TakenIn};
use login_tracer::notify::route::{Verdict, Why};
use login_tracer::session::{ChangeKind, SessionKey, Update};
use login_tracer::store::Writer;
use login_tracer::tracker::Tracker;
use rustix::process::{Signal, getpid, kill_process};
use uuid::Uuid;

use crate::Bench;
use crate::history;
use crate::measurement::Target;
use crate::receiver::Receiver;
use crate::report::Row;

/// Recordings of real logins.
const RECORDINGS: [&str; 2] =
    [include_str!("../tracker/traces/openssh-9.9.jsonl"), include_str!("../tracker/traces/openssh-10.jsonl")];
/// How often they are played one after the other in a round, by other processes each time.
const REPETITIONS: u32 = 500;
/// Where messages go.
const SINK: &str = "receiver";
/// Longest that all deliveries may take.
const LIMIT: Duration = Duration::from_secs(300);

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    tracker(bench, row)?;
    store(bench, row)?;
    deliveries(bench, row)
}

fn tracker(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let mut recorded = Vec::new();
    for line in RECORDINGS.iter().flat_map(|recording| recording.lines()) {
        recorded.push(serde_json::from_str::<Event>(line).context("a recording is not one")?);
    }
    let expected = findings(&recorded);
    ensure!(expected > 0, "nothing is found in the recordings");
    // Both recordings span less than this, in pids and in nanoseconds.
    const PIDS: u32 = 8_000;
    const SPAN: u64 = 1 << 44;
    let events: Vec<Event> = (0..REPETITIONS)
        .flat_map(|n| recorded.iter().map(move |event| shifted(event, n * PIDS, u64::from(n) * SPAN)))
        .collect();
    let mut rates = Vec::new();
    for _ in 0..bench.rounds(9, 31) {
        let started = Instant::now();
        let found = findings(&events);
        rates.push(events.len() as f64 / started.elapsed().as_secs_f64());
        ensure!(found == expected * REPETITIONS as usize, "{found} findings, not {REPETITIONS} x {expected}");
    }
    row.repeated("kernel events through the tracker", "/s", rates, Some(Target::AtLeast(200_000.0)))
}

fn findings(events: &[Event]) -> usize {
    let mut tracker = Tracker::default();
    let mut found = 0;
    for event in events {
        tracker.handle(event);
        while tracker.next_finding().is_some() {
            found += 1;
        }
    }
    found
}

/// The same event about other processes at another time.
fn shifted(event: &Event, pids: u32, nanoseconds: u64) -> Event {
    let process = |process: Process| Process {
        pid: process.pid + pids,
        start: BootTime(process.start.0 + nanoseconds),
    };
    let mut event = event.clone();
    event.at.0 += nanoseconds;
    event.process = process(event.process);
    event.parent_pid += pids;
    if let Fact::Fork { child } = &mut event.fact {
        *child = process(*child);
    }
    event
}

fn store(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let directory = bench.disk.join("throughput");
    std::fs::create_dir(&directory).context("cannot create a folder")?;
    let mut writer = Writer::open(&directory, None)?;
    let mut sessions = 0..;
    let mut rate = |batch: usize, changes: usize| -> anyhow::Result<f64> {
        let updates: Vec<Update> = sessions
            .by_ref()
            .take(changes.div_ceil(3))
            .flat_map(history::whole_session)
            .take(changes)
            .collect();
        let started = Instant::now();
        for batch in updates.chunks(batch) {
            writer.commit(batch)?;
        }
        Ok(updates.len() as f64 / started.elapsed().as_secs_f64())
    };
    let (mut alone, mut together, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    let log = File::create(directory.join("log")).context("cannot create a file")?;
    for _ in 0..bench.rounds(9, 31) {
        alone.push(rate(1, 300)?);
        together.push(rate(100, 9_000)?);
        syncs.push(plain_syncs(&log, 300)?);
    }
    row.repeated("durable changes, one a commit", "/s", alone, None)?;
    row.repeated("4 KiB written and synced, for comparison", "/s", syncs, None)?;
    row.repeated("durable changes, 100 a commit", "/s", together, Some(Target::AtLeast(5_000.0)))
}

/// How often a second the disk takes what a commit takes at least.
fn plain_syncs(log: &File, times: u64) -> anyhow::Result<f64> {
    let started = Instant::now();
    for at in 0..times {
        log.write_all_at(&[0x5a; 4096], at * 4096)?;
        log.sync_data()?;
    }
    Ok(times as f64 / started.elapsed().as_secs_f64())
}

/// A long queue is sent to a receiver of webhooks on loopback by the notify role, in a thread of this process.
fn deliveries(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let count: u32 = if bench.quick { 10_000 } else { 100_000 };
    let directory = bench.disk.join("deliveries");
    std::fs::create_dir_all(directory.join(outbox::DIRECTORY)).context("cannot create a folder")?;
    fill(&directory, count)?;
    let receiver = Receiver::start();
    let webhook = config::Webhook {
        url: Secret::new(receiver.url()),
        secret: None,
        http: config::Http { timeout: config::Http::DEFAULT_TIMEOUT, ca: None },
    };
    let queue = Queueing { pace: PaceChoice::Unlimited, ..Queueing::default() };
    let sink = Sink { name: SINK.to_owned(), kind: SinkKind::Webhook(webhook), queue };
    let role = thread::spawn(move || {
        let config = Config { sinks: vec![sink], ..Config::default() };
        notify::run(&config, &directory)
    });
    // The first ones find cold caches and a connection that is not there yet.
    let reached = |part: u32| {
        let begun = Instant::now();
        let enough = (count / 100 * part) as usize;
        while receiver.count() < enough {
            ensure!(!role.is_finished(), "the notify role ended");
            ensure!(begun.elapsed() < LIMIT, "{} of {enough} deliveries arrived", receiver.count());
            thread::sleep(Duration::from_millis(2));
        }
        Ok(Instant::now())
    };
    let (begun, ended) = (reached(5)?, reached(100)?);
    let rate = f64::from(count) * 0.95 / (ended - begun).as_secs_f64();
    // The role listens to it; nothing else here does.
    kill_process(getpid(), Signal::TERM).context("cannot end the role")?;
    role.join().map_err(|_| anyhow::anyhow!("the notify role broke off"))??;
    row.repeated("deliveries to a sink without a pace", "/s", vec![rate], Some(Target::AtLeast(1_000.0)))
}

fn fill(directory: &Path, count: u32) -> anyhow::Result<()> {
    let mut outbox = Outbox::open(directory)?;
    let now = Timestamp::now();
    let announcement = |number: u32| {
        let key = SessionKey::new("machine", "boot", number, u64::from(number));
        let subject = key.to_string();
        let id = delivery_id(&subject, ChangeKind::Opened, 1, SINK);
        let message = Message {
            summary: format!("login {number}"),
            level: None,
            lines: Vec::new(),
            is_reworded: false,
        };
        let verdict =
            Verdict { at: now, reason: Why::NoRoutes, allowed: None, routes: Vec::new(), sinks: Vec::new() };
        let deliveries = vec![NewDelivery { id, sink: SINK.to_owned(), held_until: None, message: None }];
        NewAnnouncement {
            session: Some(key),
            subject,
            kind: ChangeKind::Opened,
            seq: 1,
            event: message::Event::EventsLost { host: "bench".to_owned(), at: now, count: 1 },
            finished: Some(Finished { message, verdict, deliveries }),
        }
    };
    for first in (0..count).step_by(5_000) {
        let batch = TakenIn {
            store_id: Uuid::nil(),
            cursor: 0,
            ratings: Vec::new(),
            reassessed: Vec::new(),
            announcements: (first..count.min(first + 5_000)).map(announcement).collect(),
            better_known: Vec::new(),
            untold_after: None,
        };
        outbox.take_in(&batch, now)?;
    }
    Ok(())
}
