//! Things that programs do all the time, each in a loop, measured in a process of its own that is the same in every turn:
//! what a fork costs depends on the memory of who forks, and the benchmark program's own changes with what it has loaded.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::measurement::Clock;
use crate::processes::command;

/// Nanoseconds of one time of each thing, or instructions.
pub type Costs = Vec<f64>;

/// One thing that programs do, so many times in a row.
pub struct Loop {
    pub name: &'static str,
    /// Whether it is a system call and little else.
    pub is_call: bool,
    times: u32,
    once: fn(&Files) -> anyhow::Result<()>,
}

pub struct Files {
    zero: File,
    null: File,
}

pub const LOOPS: [Loop; 6] = [
    Loop { name: "getppid", is_call: true, times: 40_000, once: getppid },
    Loop { name: "read 1 byte of /dev/zero", is_call: true, times: 30_000, once: read },
    Loop { name: "write 1 byte to /dev/null", is_call: true, times: 30_000, once: write },
    Loop { name: "open and close /dev/null", is_call: true, times: 5_000, once: open },
    Loop { name: "fork, exit, wait", is_call: false, times: 40, once: fork },
    Loop { name: "spawn /bin/true, wait", is_call: false, times: 15, once: spawn },
];

/// How loops are measured. The quickest repetition of a turn counts: whatever disturbs one makes it slower.
#[derive(Clone, Copy)]
struct Manner {
    /// How often each loop is repeated in a turn.
    repetitions: usize,
    /// What loops are shortened by.
    divisor: u32,
}

/// Long loops: reading this clock takes time, and the machine's own disturbances come all the time.
const BY_TIME: Manner = Manner { repetitions: 9, divisor: 1 };
/// Short ones: this clock is exact, and most of them are over before the kernel's next tick. Forks and spawns one by one, whose
/// cost still moves by up to 1 % from turn to turn: more processes or repetitions change nothing about that.
const BY_INSTRUCTIONS: Manner = Manner { repetitions: 100, divisor: 40 };

/// What each of [`LOOPS`] costs now.
pub fn measure(clock: Clock) -> anyhow::Result<Costs> {
    let mut alone = command("/proc/self/exe");
    alone.arg("--loops-alone").stderr(Stdio::inherit());
    if clock == Clock::Instructions {
        alone.arg("--instructions");
    }
    // SAFETY: the closure makes one system call, and nothing that is forbidden between fork and exec.
    unsafe {
        alone.pre_exec(|| {
            // Where its memory lies says how many tables of pages a fork copies. A refusal makes figures differ more.
            libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong);
            Ok(())
        });
    }
    let output = alone.output().context("cannot start the process for the loops")?;
    ensure!(output.status.success(), "the loops failed: {}", output.status);
    let costs: Costs = serde_json::from_slice(&output.stdout).context("the loops told something else")?;
    ensure!(costs.len() == LOOPS.len(), "a loop is missing");
    Ok(costs)
}

/// The process for the loops: writes what they cost to stdout.
pub fn run_alone(clock: Clock) -> anyhow::Result<()> {
    let manner = match clock {
        Clock::Time => BY_TIME,
        Clock::Instructions => BY_INSTRUCTIONS,
    };
    stay_on_one_cpu()?;
    let files =
        Files { zero: File::open("/dev/zero")?, null: File::options().write(true).open("/dev/null")? };
    let mut costs = vec![f64::INFINITY; LOOPS.len()];
    // All loops in each repetition, so that a long disturbance does not hit one of them alone.
    for _ in 0..manner.repetitions {
        for (one, cost) in LOOPS.iter().zip(&mut costs) {
            let times = one.times.div_ceil(manner.divisor);
            let started = Instant::now();
            for _ in 0..times {
                (one.once)(&files)?;
            }
            *cost = cost.min(started.elapsed().as_nanos() as f64 / f64::from(times));
        }
    }
    println!("{}", serde_json::to_string(&costs)?);
    Ok(())
}

/// Takes one CPU, and says which ones there were.
pub fn stay_on_one_cpu() -> anyhow::Result<CpuSet> {
    let everywhere = sched_getaffinity(None).context("cannot ask for the CPUs")?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| everywhere.is_set(*cpu)).context("there is no CPU")?;
    let mut one = CpuSet::new();
    one.set(last);
    sched_setaffinity(None, &one).context("cannot stay on one CPU")?;
    Ok(everywhere)
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
