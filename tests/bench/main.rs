//! What the tracer costs and how quick it is: measures and writes raw samples to stdout, one JSON object a line.
//! `cargo xtask bench` runs it and makes a table of that.
//!
//! Promises: A and B of a comparison take turns within one run. Logins go to a real sshd in the sandbox of the
//! end-to-end suite; databases lie on the disk that holds the target directory. Every process that it starts is ended,
//! and nothing is left behind, however it ends.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test program talks to its terminal")]
#![expect(unreachable_pub, reason = "a program exports nothing; `pub` says that other modules may call it")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Parser;

#[expect(dead_code, reason = "the end-to-end suite needs more of it")]
#[path = "../e2e/accounts.rs"]
mod accounts;
#[expect(dead_code, reason = "the end-to-end suite needs more of it")]
#[path = "../e2e/client.rs"]
mod client;
#[expect(clippy::unwrap_used, reason = "it is made for tests")]
#[path = "../risk/databases.rs"]
mod databases;
#[expect(dead_code, clippy::unwrap_used, reason = "it is made for tests, which need more of it")]
#[path = "../doubles/http.rs"]
mod http;
#[expect(dead_code, reason = "the end-to-end suite needs more of it")]
#[path = "../e2e/lines.rs"]
mod lines;
#[path = "../../xtask/src/bench/measurement.rs"]
mod measurement;
#[path = "../e2e/namespaces.rs"]
mod namespaces;
#[expect(dead_code, reason = "the end-to-end suite needs more of it")]
#[path = "../e2e/processes.rs"]
mod processes;
#[expect(dead_code, reason = "the end-to-end suite needs more of it")]
#[path = "../e2e/programs.rs"]
mod programs;
#[allow(dead_code, clippy::unwrap_used, reason = "it is made for tests, which look at more of it")]
#[path = "../doubles/receiver.rs"]
mod receiver;
#[path = "../e2e/sandbox.rs"]
mod sandbox;
#[expect(dead_code, reason = "the end-to-end suite needs more of it")]
#[path = "../e2e/server.rs"]
mod server;
#[expect(dead_code, clippy::unwrap_used, reason = "it is made for tests, which need more of it")]
#[path = "../doubles/slack.rs"]
mod slack;
#[expect(dead_code, reason = "the emulated machines look them up by name")]
#[path = "../../xtask/src/vm/tiers.rs"]
mod tiers;

mod comparison; // an agent as others are built
mod hooks; // tiers: offered, and in use
mod loops; // what programs do all the time
mod project; // something to build
mod replay; // recorded events
mod report; // samples -> stdout
mod tracer; // login-tracer run, and what it uses
mod visitor; // the real ssh

mod bpf;
mod deliveries;
mod history;
mod idle;
mod latency;
mod login;
mod machine;
mod risk;
mod rivals;
mod storm;
mod throughput;

use hooks::Hooks;
use measurement::{AGENT_VARIABLE, Clock, ROWS, ROWS_IN_INSTRUCTIONS};
use report::Row;
use tracer::Tracer;

#[derive(Parser)]
struct CommandLine {
    /// Fewer rounds
    #[arg(long)]
    quick: bool,
    /// The clock of this machine counts instructions; so it is where `cargo xtask bench --kernel` emulates one
    #[arg(long)]
    instructions: bool,
    /// Only the loops of `machine`, right here
    #[arg(long, hide = true)]
    loops_alone: bool,
    /// Only these rows
    #[arg(value_parser = ROWS)]
    rows: Vec<String>,
    /// What cargo calls benchmarks with
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where to measure, and how long.
pub struct Bench {
    pub quick: bool,
    pub(crate) clock: Clock,
    /// The program under test.
    pub tracer: PathBuf,
    /// A folder of our own on a disk.
    pub disk: PathBuf,
    /// The object file of the comparison agent, where somebody built it.
    pub agent: Option<Vec<u8>>,
}

impl Bench {
    /// One of two numbers.
    pub fn rounds(&self, quick: usize, thorough: usize) -> usize {
        if self.quick { quick } else { thorough }
    }
}

/// One group of rows.
struct Group {
    name: &'static str,
    needs_root: bool,
    run: fn(&Bench, &Row) -> anyhow::Result<()>,
}

const GROUPS: [Group; ROWS.len()] = [
    Group { name: "machine", needs_root: true, run: machine::run },
    Group { name: "login", needs_root: true, run: login::run },
    Group { name: "rivals", needs_root: true, run: rivals::run },
    Group { name: "latency", needs_root: true, run: latency::run },
    Group { name: "throughput", needs_root: false, run: throughput::run },
    Group { name: "storm", needs_root: true, run: storm::run },
    Group { name: "deliveries", needs_root: false, run: deliveries::run },
    Group { name: "idle", needs_root: true, run: idle::run },
    Group { name: "history", needs_root: false, run: history::run },
    Group { name: "risk", needs_root: false, run: risk::run },
    Group { name: "bpf", needs_root: true, run: bpf::run },
];

fn main() -> ExitCode {
    let CommandLine { quick, instructions, loops_alone, rows, bench: _ } = CommandLine::parse();
    let clock = if instructions { Clock::Instructions } else { Clock::Time };
    if loops_alone {
        return ended(loops::run_alone(clock));
    }
    let is_root = rustix::process::geteuid().is_root();
    if is_root && !namespaces::inside() {
        // It goes after everything inside has ended, so that nothing is left on the disk either.
        return match Disk::create() {
            Ok(_disk) => namespaces::run_self_inside(),
            Err(error) => failed(&error),
        };
    }
    let measured = if is_root { inside(quick, clock, &rows) } else { outside(quick, clock, &rows) };
    if is_root {
        processes::end_all_descendants();
    }
    ended(measured)
}

/// As root: in the sandbox.
fn inside(quick: bool, clock: Clock, rows: &[String]) -> anyhow::Result<()> {
    let starter = rustix::process::getppid().context("nobody has started this process")?;
    // Inside it may be hidden.
    let agent = agent()?;
    sandbox::enter(Some(&Disk::path_for(starter.as_raw_nonzero().get().cast_unsigned())))
        .context("the sandbox could not be set up")?;
    let bench = Bench { quick, clock, tracer: sandbox::TRACER.into(), disk: sandbox::KEPT.into(), agent };
    let hooks = Tracer::start_in(&bench, "hooks")?.hooks()?;
    measure(&bench, rows, Some(hooks))
}

fn agent() -> anyhow::Result<Option<Vec<u8>>> {
    let Some(path) = std::env::var_os(AGENT_VARIABLE) else { return Ok(None) };
    fs::read(path).map(Some).context("cannot read the comparison agent")
}

/// Without root: what needs none.
fn outside(quick: bool, clock: Clock, rows: &[String]) -> anyhow::Result<()> {
    let disk = Disk::create()?;
    let tracer = env!("CARGO_BIN_EXE_login-tracer").into();
    measure(&Bench { quick, clock, tracer, disk: disk.0.clone(), agent: None }, rows, None)
}

fn measure(bench: &Bench, rows: &[String], hooks: Option<Hooks>) -> anyhow::Result<()> {
    ensure!(GROUPS.map(|group| group.name) == ROWS, "the list of rows is not that of `cargo xtask bench`");
    report::host(bench.quick, bench.clock, hooks)?;
    for group in &GROUPS {
        if !rows.is_empty() && !rows.iter().any(|row| row == group.name) {
            continue;
        }
        if bench.clock == Clock::Instructions && !ROWS_IN_INSTRUCTIONS.contains(&group.name) {
            report::skipped(group.name, "it needs a clock of which time passes")?;
            continue;
        }
        if group.needs_root && !rustix::process::geteuid().is_root() {
            report::skipped(group.name, "it needs root, to load programs into the kernel and to run sshd")?;
            continue;
        }
        let started = Instant::now();
        (group.run)(bench, &Row(group.name)).with_context(|| format!("cannot measure {}", group.name))?;
        eprintln!("measured: {}, in {:.0} s", group.name, started.elapsed().as_secs_f64());
    }
    Ok(())
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("{error:#}");
    ExitCode::FAILURE
}

/// A folder in the target directory, removed when dropped.
struct Disk(PathBuf);

impl Disk {
    fn create() -> anyhow::Result<Self> {
        let path = Self::path_for(std::process::id());
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let disk = Self(path);
        // The notify role runs as another account.
        fs::set_permissions(&disk.0, fs::Permissions::from_mode(0o755))
            .context("cannot open the folder to all")?;
        Ok(disk)
    }

    fn path_for(pid: u32) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{pid}"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}
