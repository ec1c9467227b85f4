//! What the tracer uses while nobody comes, how large it is, and how soon it watches.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::Bench;
use crate::measurement::Target;
use crate::report::Row;
use crate::tracer::{Tracer, bpf_objects, resident, used};

const MIB: f64 = (1 << 20) as f64;
/// What is left to do after the start.
const SETTLE: Duration = Duration::from_secs(2);

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let mut starts = Vec::new();
    for _ in 0..bench.rounds(5, 15) {
        starts.push(Tracer::start_in(bench, "idle")?.start.as_secs_f64() * 1e3);
    }
    let tracer = Tracer::start_in(bench, "idle")?;
    let [supervisor, trace, notify] = tracer.processes()?;
    std::thread::sleep(SETTLE);

    let silence = Duration::from_secs(bench.rounds(10, 60) as u64);
    let sum = || {
        let all = [supervisor, trace, notify].map(used).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        anyhow::Ok((
            all.iter().map(|used| used.cpu_s).sum::<f64>(),
            all.iter().map(|used| used.sleeps).sum::<u64>(),
        ))
    };
    let began = Instant::now();
    let (cpu_before, sleeps_before) = sum()?;
    std::thread::sleep(silence);
    let (cpu, sleeps) = sum()?;
    let elapsed = began.elapsed().as_secs_f64();
    let share = (cpu - cpu_before) / elapsed * 100.0;
    row.repeated("CPU of all processes in silence", "% of a core", vec![share], Some(Target::AtMost(0.1)))?;
    let wakeups = (sleeps - sleeps_before) as f64 / elapsed * 60.0;
    row.repeated("wake-ups of all processes in silence", "/min", vec![wakeups], None)?;

    let mib = |pid| anyhow::Ok(resident(pid)? as f64 / MIB);
    row.repeated("resident: trace role", "MiB", vec![mib(trace)?], None)?;
    row.repeated("resident: notify role", "MiB", vec![mib(notify)?], None)?;
    let both = mib(trace)? + mib(notify)?;
    row.repeated("resident: both roles", "MiB", vec![both], Some(Target::AtMost(30.0)))?;
    row.repeated("resident: their supervisor", "MiB", vec![mib(supervisor)?], None)?;
    let maps: u64 = bpf_objects(trace, "map_id:", "memlock:")?.iter().sum();
    let kernel = (tracer.program_bytes()? + maps) as f64 / MIB;
    row.repeated("kernel memory: programs and maps", "MiB", vec![kernel], None)?;

    let binary = bench.tracer.metadata().context("the tracer's binary is gone")?.len();
    row.repeated("size of the binary", "MiB", vec![binary as f64 / MIB], None)?;
    row.repeated("start until both roles are ready", "ms", starts, None)
}
