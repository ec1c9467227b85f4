//! What everything else on the machine pays: system calls and processes, with the tracer and without it.
//!
//! The system calls of one process cost what they cost whether or not somebody logs in; the hooks of fork, exec and
//! exit look up every process of the machine once.

use std::fs::File;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Bench;
use crate::measurement::Target;
use crate::report::Row;
use crate::tracer::Tracer;

/// How often each loop is repeated in a turn. The quickest repetition counts: whatever disturbs one makes it slower.
const REPETITIONS: usize = 9;
/// How long the machine may take to calm down after the tracer's start or end.
const CALM: Duration = Duration::from_millis(200);

/// With a system call tracepoint anywhere, the kernel takes the slow path of every system call of every process.
const NULL_CALL: Target = Target::AtMost(1.10);
const CALL: Target = Target::AtMost(1.01);

/// One thing that programs do, so many times in a row.
struct Loop {
    name: &'static str,
    target: Target,
    times: u32,
    once: fn(&Files) -> anyhow::Result<()>,
}

struct Files {
    zero: File,
    null: File,
}

const LOOPS: [Loop; 6] = [
    Loop { name: "getppid", target: NULL_CALL, times: 40_000, once: getppid },
    Loop { name: "read 1 byte of /dev/zero", target: CALL, times: 30_000, once: read },
    Loop { name: "write 1 byte to /dev/null", target: CALL, times: 30_000, once: write },
    Loop { name: "open and close /dev/null", target: CALL, times: 5_000, once: open },
    Loop { name: "fork, exit, wait", target: CALL, times: 40, once: fork },
    Loop { name: "spawn /bin/true, wait", target: CALL, times: 15, once: spawn },
];

pub fn run(bench: &Bench, row: &Row) -> anyhow::Result<()> {
    let files =
        Files { zero: File::open("/dev/zero")?, null: File::options().write(true).open("/dev/null")? };
    let mut rounds: [Vec<[f64; 2]>; LOOPS.len()] = Default::default();
    turn(&files)?;
    for round in 0..bench.rounds(12, 60) {
        let without = || {
            std::thread::sleep(CALM);
            turn(&files)
        };
        let with = || {
            let tracer = Tracer::start_in(bench, "machine")?;
            std::thread::sleep(CALM);
            let nanoseconds = turn(&files)?;
            drop(tracer);
            anyhow::Ok(nanoseconds)
        };
        // In turns, and each first every other time: a machine that slowly changes its mind favours none.
        let (a, b) = if round % 2 == 0 {
            let a = without()?;
            (a, with()?)
        } else {
            let b = with()?;
            (without()?, b)
        };
        for (rounds, pair) in rounds.iter_mut().zip(a.into_iter().zip(b)) {
            rounds.push(pair.into());
        }
    }
    for (one, rounds) in LOOPS.iter().zip(rounds) {
        row.paired(one.name, "ns", ["without", "with"], rounds, Some(one.target))?;
    }
    Ok(())
}

/// Nanoseconds of each thing, on one CPU.
fn turn(files: &Files) -> anyhow::Result<[f64; LOOPS.len()]> {
    let everywhere = sched_getaffinity(None).context("cannot ask for the CPUs")?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| everywhere.is_set(*cpu)).context("there is no CPU")?;
    let mut one = CpuSet::new();
    one.set(last);
    sched_setaffinity(None, &one).context("cannot stay on one CPU")?;
    let mut nanoseconds = [f64::INFINITY; LOOPS.len()];
    // All loops in each repetition, so that a long disturbance does not hit one of them alone.
    for _ in 0..REPETITIONS {
        for (one, nanoseconds) in LOOPS.iter().zip(&mut nanoseconds) {
            let started = Instant::now();
            for _ in 0..one.times {
                (one.once)(files)?;
            }
            *nanoseconds = nanoseconds.min(started.elapsed().as_nanos() as f64 / f64::from(one.times));
        }
    }
    sched_setaffinity(None, &everywhere).context("cannot go everywhere again")?;
    Ok(nanoseconds)
}

fn getppid(_: &Files) -> anyhow::Result<()> {
    black_box(rustix::process::getppid());
    Ok(())
}

fn read(files: &Files) -> anyhow::Result<()> {
    ensure!(rustix::io::read(&files.zero, &mut [0; 1])? == 1, "nothing read");
    Ok(())
}

fn write(files: &Files) -> anyhow::Result<()> {
    ensure!(rustix::io::write(&files.null, b"x")? == 1, "nothing written");
    Ok(())
}

fn open(_: &Files) -> anyhow::Result<()> {
    drop(rustix::fs::open(c"/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())?);
    Ok(())
}

fn fork(_: &Files) -> anyhow::Result<()> {
    // SAFETY: the child makes one system call and is gone.
    let child = unsafe { libc::fork() };
    ensure!(child >= 0, "cannot fork");
    if child == 0 {
        // SAFETY: ends this process at once, without running anything of the parent's.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: the status lives through the call.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    ensure!(waited == child && status == 0, "the child did not end well");
    Ok(())
}

fn spawn(_: &Files) -> anyhow::Result<()> {
    ensure!(Command::new("/bin/true").status()?.success(), "true is false");
    Ok(())
}
