//! The lines of JSON that the benchmark program (`tests/bench/`) writes and `cargo xtask bench` reads: raw samples,
//! nothing reduced yet. Both compile this file.

use serde::{Deserialize, Serialize};

/// The groups of rows, by their names on the command line, in the order of the table.
pub(crate) const ROWS: [&str; 11] = [
    "machine",
    "login",
    "rivals",
    "latency",
    "throughput",
    "storm",
    "deliveries",
    "idle",
    "history",
    "risk",
    "bpf",
];

/// The groups that mean something where the clock counts instructions: the others depend on disks, networks and on how long
/// somebody waits.
pub(crate) const ROWS_IN_INSTRUCTIONS: [&str; 1] = ["machine"];

/// Where the benchmark program finds the object file of the agent that the tracer is compared with.
pub(crate) const AGENT_VARIABLE: &str = "LOGIN_TRACER_BENCH_AGENT";

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// The first one.
    Host(Host),
    Measured(Measurement),
    /// A row that could not be measured, and why.
    Skipped {
        row: String,
        why: String,
    },
}

/// Where and how it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Host {
    /// UTC, RFC 3339.
    pub(crate) date: String,
    pub(crate) kernel: String,
    /// `x86_64` or `aarch64`.
    pub(crate) arch: String,
    pub(crate) cpus: usize,
    pub(crate) quick: bool,
    pub(crate) clock: Clock,
    /// The hooks that the tracer chose here by itself; unknown without root.
    pub(crate) hooks: Option<String>,
}

/// What passes on the machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Clock {
    Time,
    /// One nanosecond for each instruction of an emulated processor, however long it takes.
    Instructions,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// The group of rows, by its name on the command line.
    pub(crate) row: String,
    pub(crate) what: String,
    pub(crate) unit: String,
    pub(crate) figure: Figure,
    pub(crate) target: Option<Target>,
}

/// The samples, by how they are reduced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// A and B, measured in turns: their medians, and the median ratio B/A of the rounds.
    Paired { a: String, b: String, rounds: Vec<[f64; 2]> },
    /// Many observations of something whose tail matters: p50, p99, maximum.
    Distribution { samples: Vec<f64> },
    /// The same measured a few times, or once: the median.
    Repeated { samples: Vec<f64> },
    /// Different numbers about one thing, each with its own unit; those of the measurement are nothing.
    Several { numbers: Vec<(f64, String)> },
}

/// What the reduced figure is held against: the ratio, the p99, the median. Several numbers have none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}
