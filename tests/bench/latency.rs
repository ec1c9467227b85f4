//! How soon one knows: from the moment in which the kernel saw that a session opened (`opened_at`) until its row is
//! durable, and until a sink has the whole request.
//!
//! A row counts as durable as soon as a reader sees it: SQLite shows a commit after it was synced. Visitors come from
//! an address each, by which rows and requests are told apart.

use std::collections::HashMap;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use inotify::{Inotify, WatchMask};
use jiff::Timestamp;
use login_tracer::session::ChangeKind;
use login_tracer::store::Reader;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Bench;
use crate::lines::LIMIT;
use crate::measurement::Target;
use crate::report::Row;
use crate::server::Server;
use crate::slack::Slack;
use crate::throughput::sync_page;
use crate::tracer::{Setup, Tracer, Usage};
use crate::{processes, visitor};

const AT_ONCE: usize = 50;
const DURABLE: Target = Target::AtMost(5.0);
const TOLD: Target = Target::AtMost(50.0);

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let server = Server::start("UsePAM yes\n");
    let port = visitor::port(&server);
    let slack = promptly(Slack::start)?;
    let state_dir = bench.disk.join("latency");
    let tracer = Tracer::start(bench, &Setup { webhook: Some(&slack.url()), ..Setup::plain(&state_dir) })?;
    let mut visitors = 0..;
    let mut next = || visitor::address(visitors.next().expect("numbers do not end"));
    let scene = Scene { slack, state_dir, tracer };

    // The first ones find cold caches, as they would; they are not what the tail is about.
    for _ in 0..3 {
        let from = next();
        visitor::visit(port, from)?;
        scene.wait_for_requests(&[from])?;
    }
    let watch = promptly(|| Watch::start(&scene.state_dir))??;
    let one_by_one: Vec<_> = (0..bench.rounds(60, 400)).map(|_| next()).collect();
    for from in &one_by_one {
        visitor::visit(port, *from)?;
        scene.wait_for_requests(&[*from])?;
    }
    scene.report(row, "one by one", &one_by_one, watch.end()?)?;
    limits(bench, row)?;

    let watch = promptly(|| Watch::start(&scene.state_dir))??;
    let [_, trace, notify] = scene.tracer.processes()?;
    let roles = [("trace", Usage::of(trace)?), ("notify", Usage::of(notify)?)];
    let syncs = promptly(|| Syncs::start(&bench.disk.join("beside")))??;
    let mut crowd = Vec::new();
    for _ in 0..bench.rounds(1, 6) {
        let group: Vec<_> = (0..AT_ONCE).map(|_| next()).collect();
        let mut clients =
            group.iter().map(|from| visitor::start(port, *from)).collect::<anyhow::Result<Vec<Child>>>()?;
        for client in &mut clients {
            let status = processes::wait_for_end(client, "ssh");
            ensure!(status.success(), "ssh was not let in: {status}");
        }
        scene.wait_for_requests(&group)?;
        crowd.extend(group);
    }
    let used = [roles[0].1.since()?, roles[1].1.since()?];
    scene.report(row, &format!("{AT_ONCE} at once"), &crowd, watch.end()?)?;
    let what = format!("4 KiB appended and synced beside {AT_ONCE} at once, for comparison");
    row.distribution(&what, "ms", syncs.end()?, None)?;
    // Fifty ssh clients and servers want the CPUs too; this is the part of it that is ours.
    for ((role, _), used) in roles.iter().zip(used) {
        for (what, seconds) in [("on a CPU", used.cpu_s), ("ready, but waiting for a CPU", used.waited_s)] {
            let each = seconds * 1e3 / crowd.len() as f64;
            row.repeated(&format!("{AT_ONCE} at once: {role} role {what}"), "ms a login", vec![each], None)?;
        }
    }
    Ok(())
}

/// What neither can be quicker than: a row waits for the disk once, and for a CPU wherever one process wakes another.
fn limits(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let file = File::create(bench.disk.join("limits")).context("cannot create a file")?;
    let syncs = (0..100).map(|page| timed(|| sync_page(&file, page))).collect::<anyhow::Result<_>>()?;
    row.distribution("4 KiB written and synced, for comparison", "ms", syncs, None)?;
    let ((ours, theirs), (here, there)) = (std::io::pipe()?, std::io::pipe()?);
    let echo = thread::spawn(move || {
        let mut byte = [0];
        while rustix::io::read(&ours, &mut byte).is_ok_and(|length| length == 1) {
            rustix::io::write(&there, &byte)?;
        }
        anyhow::Ok(())
    });
    let back_and_forth = || {
        rustix::io::write(&theirs, b"x")?;
        ensure!(rustix::io::read(&here, &mut [0])? == 1, "the other thread is gone");
        Ok(())
    };
    let wakes = (0..1000).map(|_| timed(back_and_forth)).collect::<anyhow::Result<_>>()?;
    drop(theirs);
    echo.join().map_err(|_| anyhow::anyhow!("the other thread broke off"))??;
    row.distribution("another thread woken, and woken by it, for comparison", "ms", wakes, None)
}

/// Waits for the disk again and again while others do, in a thread of its own. That needs the file system's own threads, and
/// those wait for a CPU like everybody else.
struct Syncs {
    end: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Vec<f64>>>,
}

impl Syncs {
    fn start(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).context("cannot create a file")?;
        let end = Arc::new(AtomicBool::new(false));
        let told = end.clone();
        let thread = thread::spawn(move || {
            let mut took = Vec::new();
            while !told.load(Ordering::Relaxed) {
                took.push(timed(|| sync_page(&file, took.len() as u64))?);
                // Seldom enough to be one of many.
                thread::sleep(Duration::from_millis(20));
            }
            Ok(took)
        });
        Ok(Self { end, thread })
    }

    /// Milliseconds.
    fn end(self) -> anyhow::Result<Vec<f64>> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread that syncs broke off"))?
    }
}

/// Milliseconds.
fn timed(once: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let started = Instant::now();
    once()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

struct Scene {
    slack: Slack,
    state_dir: PathBuf,
    tracer: Tracer,
}

impl Scene {
    /// When the sink had the request about the login of each address.
    fn requests(&self) -> HashMap<Ipv4Addr, Timestamp> {
        let (instant, now) = (Instant::now(), Timestamp::now());
        let about = |body: &str| {
            let rest = body.split_once("SSH login: ")?.1.split_once(" from ")?.1;
            rest.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?.parse().ok()
        };
        let requests = self.slack.server.requests();
        requests
            .iter()
            .filter_map(|request| Some((about(&request.body)?, now - (instant - request.at))))
            .collect()
    }

    fn wait_for_requests(&self, wanted: &[Ipv4Addr]) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let requests = self.requests();
            if wanted.iter().all(|from| requests.contains_key(from)) {
                return Ok(());
            }
            ensure!(
                started.elapsed() < LIMIT,
                "the sink was not told of a login; the tracer said:\n{}",
                self.tracer.messages()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn report(&self, row: &Row, how: &str, visitors: &[Ipv4Addr], rows: Vec<Seen>) -> anyhow::Result<()> {
        let rows: HashMap<Ipv4Addr, Seen> = rows.into_iter().map(|seen| (seen.peer, seen)).collect();
        let requests = self.requests();
        let (mut durable, mut told) = (Vec::new(), Vec::new());
        for visitor in visitors {
            let row = rows.get(visitor).context("a login has no row")?;
            let request = requests.get(visitor).context("a login has no request")?;
            durable.push(milliseconds(row.opened_at, row.seen_at));
            told.push(milliseconds(row.opened_at, *request));
        }
        row.distribution(&format!("open to durable row, {how}"), "ms", durable, Some(DURABLE))?;
        row.distribution(&format!("open to request at a sink, {how}"), "ms", told, Some(TOLD))
    }
}

/// Threads that start meanwhile wait for no CPU, or what is measured would be their own waiting.
fn promptly<T>(start: impl FnOnce() -> T) -> anyhow::Result<T> {
    let schedule = |policy, priority| {
        let parameters = libc::sched_param { sched_priority: priority };
        // SAFETY: the parameters live through the call, which is about this thread.
        let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
        ensure!(result == 0, "cannot choose a scheduler: {}", std::io::Error::last_os_error());
        Ok(())
    };
    schedule(libc::SCHED_RR, 2)?;
    let started = start();
    schedule(libc::SCHED_OTHER, 0)?;
    Ok(started)
}

fn milliseconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1e3
}

/// A session as it appeared in the database.
struct Seen {
    peer: Ipv4Addr,
    opened_at: Timestamp,
    seen_at: Timestamp,
}

/// Looks when sessions appear, in a thread of its own.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Vec<Seen>>>,
}

impl Watch {
    /// From here on, everything that opens is seen.
    fn start(state_dir: &Path) -> anyhow::Result<Self> {
        let inotify = Inotify::init()?;
        inotify.watches().add(state_dir, WatchMask::MODIFY)?;
        let reader = Reader::open(state_dir)?;
        let cursor = reader.last_change_before(Timestamp::MAX)?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = thread::spawn(move || watch(&reader, cursor, inotify, &asked));
        Ok(Self { stop, thread })
    }

    fn end(self) -> anyhow::Result<Vec<Seen>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread that watches the database failed"))?
    }
}

fn watch(
    reader: &Reader,
    mut cursor: i64,
    mut inotify: Inotify,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<Seen>> {
    /// How often it looks after the log was written, and for how long: its sync may take that.
    const LOOK: Duration = Duration::from_micros(50);
    const LOOKS_FOR: Duration = Duration::from_millis(30);
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let mut written = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let pause = if written.elapsed() < LOOKS_FOR { LOOK } else { Duration::from_millis(50) };
        let pause = Timespec { tv_sec: 0, tv_nsec: pause.subsec_nanos().into() };
        if poll(&mut [PollFd::new(&inotify, PollFlags::IN)], Some(&pause))? > 0 {
            inotify.read_events(&mut buffer)?.for_each(drop);
            written = Instant::now();
        }
        let changes = reader.changes_after(cursor, 1000)?;
        let seen_at = Timestamp::now();
        for change in changes {
            cursor = change.id;
            if change.kind != ChangeKind::Opened {
                continue;
            }
            let session = reader.session(change.session_id.context("an opening is of a session")?)?;
            if let Some(IpAddr::V4(peer)) = session.and_then(|session| session.peer).map(|peer| peer.ip()) {
                seen.push(Seen { peer, opened_at: change.at, seen_at });
            }
        }
    }
    Ok(seen)
}
