//! The tiers of hooks: which one a tracer got, and which ones this kernel offers.

use std::fmt;

use crate::Bench;
use crate::tiers::{TIERS, Tier};
use crate::tracer::{Setup, Tracer};

/// Without any hook of system calls, where that is a tier of its own: elsewhere the tracer has better ones than tracepoints.
pub const NO_CALLS: Tier =
    Tier { name: "no call hooks", keys: &["process_hooks = \"btf\"", "syscall_tracepoints = \"never\""] };

/// The hooks of a tracer at work, by the names of its programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hooks {
    process: &'static str,
    /// On what system calls do.
    call: &'static str,
}

impl Hooks {
    /// The kernel keeps 15 bytes of each name.
    pub fn of(programs: &[String]) -> Self {
        let has = |beginning: &str| programs.iter().any(|name| name.starts_with(beginning));
        let process = if has("process_exec") { "BTF tracepoints" } else { "classic tracepoints" };
        let call = if has("fexit_") {
            "fentry"
        } else if has("kretprobe_") {
            "kprobes"
        } else if has("exit_setresuid") {
            SYSCALL_TRACEPOINTS
        } else {
            "none"
        };
        Self { process, call }
    }

    /// Whether the kernel takes the slow path of every system call of every process.
    pub fn slows_all_calls(self) -> bool {
        self.call == SYSCALL_TRACEPOINTS
    }
}

const SYSCALL_TRACEPOINTS: &str = "tracepoints of system calls";

impl fmt::Display for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for processes, {} for credentials and log lines", self.process, self.call)
    }
}

/// Tries each tier: `None` where this kernel offers it, else the tracer's own words about why not.
pub fn tried(bench: &Bench) -> Vec<(&'static Tier, Option<String>)> {
    let state_dir = bench.disk.join("tiers");
    let obstacle = |tier: &Tier| {
        let started = Tracer::start(bench, &Setup { trace: tier.keys, ..Setup::plain(&state_dir) });
        started.err().map(|error| reason(tier, &error.to_string()))
    };
    TIERS.iter().map(|tier| (tier, obstacle(tier))).collect()
}

/// What the tracer said about a tier, before it said that it cannot work.
fn reason(tier: &Tier, said: &str) -> String {
    let word = format!("no {}: ", tier.name);
    let why = said.lines().find_map(|line| line.find(&word).map(|at| &line[at..]));
    why.or_else(|| said.lines().rfind(|line| !line.trim().is_empty())).unwrap_or_default().trim().to_owned()
}
