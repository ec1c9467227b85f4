//! How much fits through: kernel events through the tracker, and session changes onto the disk.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use login_tracer::event::{BootTime, Event, Fact, Process};
use login_tracer::session::Update;
use login_tracer::store::Writer;

use crate::Bench;
use crate::history;
use crate::measurement::Target;
use crate::replay::{self, LOGINS, findings};
use crate::report::Row;

/// How often they are played one after the other in a round, by other processes each time.
const REPETITIONS: u32 = 500;

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    tracker(bench, row)?;
    store(bench, row)
}

fn tracker(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let recorded: Vec<Event> = LOGINS.iter().flat_map(|recording| replay::events(recording)).collect();
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
    (0..times).try_for_each(|page| sync_page(log, page))?;
    Ok(times as f64 / started.elapsed().as_secs_f64())
}

/// Writes 4 KiB at a place of a file and waits until the disk has them.
pub fn sync_page(file: &File, page: u64) -> anyhow::Result<()> {
    file.write_all_at(&[0x5a; 4096], page * 4096)?;
    Ok(file.sync_data()?)
}
