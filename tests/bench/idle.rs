//! What the tracer uses while nobody comes, how large it is, and how soon it watches.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use login_tracer::store::{AttemptFilter, Reader};

use crate::Bench;
use crate::lines::LIMIT;
use crate::measurement::Target;
use crate::programs::connect_from;
use crate::report::Row;
use crate::sandbox;
use crate::server::Server;
use crate::tracer::{Tracer, Usage, anonymous, bpf_objects, resident};
use crate::visitor;

const MIB: f64 = (1 << 20) as f64;
/// What is left to do after the start: threads that are no longer needed end after ten seconds.
const SETTLE: Duration = Duration::from_secs(12);

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let (mut starts, mut firsts) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds(5, 15) {
        starts.push(Tracer::start_in(bench, "idle")?.start.as_secs_f64() * 1e3);
        firsts.push(first_event(bench, &format!("first-{round}"))?.as_secs_f64() * 1e3);
    }
    let tracer = Tracer::start_in(bench, "idle")?;
    let [supervisor, trace, notify] = tracer.processes()?;
    std::thread::sleep(SETTLE);

    let silence = Duration::from_secs(bench.rounds(15, 60) as u64);
    let before = [supervisor, trace, notify].map(Usage::of);
    let began = Instant::now();
    std::thread::sleep(silence);
    let (mut cpu_s, mut sleeps) = (0.0, 0);
    for before in before {
        let used = before?.since()?;
        cpu_s += used.cpu_s;
        sleeps += used.sleeps;
    }
    let elapsed = began.elapsed().as_secs_f64();
    let share = cpu_s / elapsed * 100.0;
    row.repeated("CPU of all processes in silence", "% of a core", vec![share], Some(Target::AtMost(0.1)))?;
    let wakeups = sleeps as f64 / elapsed * 60.0;
    row.repeated("wake-ups of all processes in silence", "/min", vec![wakeups], None)?;

    let mib = |pid| anyhow::Ok(resident(pid)? as f64 / MIB);
    row.repeated("resident: trace role", "MiB", vec![mib(trace)?], None)?;
    row.repeated("resident: notify role", "MiB", vec![mib(notify)?], None)?;
    let both = mib(trace)? + mib(notify)?;
    row.repeated("resident: both roles", "MiB", vec![both], Some(Target::AtMost(30.0)))?;
    let own = (anonymous(trace)? + anonymous(notify)?) as f64 / MIB;
    row.repeated("of that not pages of the program, which both count", "MiB", vec![own], None)?;
    row.repeated("resident: their supervisor", "MiB", vec![mib(supervisor)?], None)?;
    let maps: u64 = bpf_objects(trace, "map_id:", "memlock:")?.iter().sum();
    let kernel = (tracer.program_bytes()? + maps) as f64 / MIB;
    row.repeated("kernel memory: programs and maps", "MiB", vec![kernel], None)?;

    let binary = bench.tracer.metadata().context("the tracer's binary is gone")?.len();
    row.repeated("size of the binary", "MiB", vec![binary as f64 / MIB], None)?;
    row.repeated("start until both roles are ready", "ms", starts, None)?;
    row.repeated("start until the first connection that is seen", "ms", firsts, None)
}

/// Somebody knocks all the time: how long after the tracer's start came the first one whom it saw.
fn first_event(bench: &Bench, state: &str) -> anyhow::Result<Duration> {
    /// Seldom enough to leave the CPUs to the tracer.
    const PAUSE: Duration = Duration::from_millis(40);
    let server = Server::start("UsePAM yes\n");
    let to = SocketAddr::from((sandbox::address(), visitor::port(&server)));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let knocking = scope.spawn(|| {
            let mut knocks = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let at = Instant::now();
                knocks.push((at, connect_from((visitor::address(0), 0).into(), to)?.local_addr()?));
                std::thread::sleep(PAUSE);
            }
            anyhow::Ok(knocks)
        });
        let begun = Instant::now();
        let tracer = Tracer::start_in(bench, state);
        std::thread::sleep(PAUSE * 5);
        stop.store(true, Ordering::Relaxed);
        let knocks = knocking.join().map_err(|_| anyhow::anyhow!("who knocks broke off"))??;
        let (_, last) = knocks.last().context("nobody has knocked")?;
        let tracer = tracer?;
        let reader = Reader::open(&bench.disk.join(state))?;
        let waited = Instant::now();
        let seen = loop {
            let mut seen = HashSet::new();
            reader.for_each_attempt(&AttemptFilter::default(), |attempt| {
                seen.insert(attempt.peer);
            })?;
            if seen.contains(last) {
                break seen;
            }
            ensure!(waited.elapsed() < LIMIT, "a connection is missing: {}", tracer.messages());
            std::thread::sleep(PAUSE);
        };
        let first = knocks.iter().find(|(at, peer)| *at > begun && seen.contains(peer));
        Ok(first.context("nobody was seen")?.0 - begun)
    })
}
