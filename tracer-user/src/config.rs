//! The configuration, as types that cannot be wrong.
//!
//! [`Config`] is complete and checked: the rest of the program never asks whether a value is missing or makes
//! sense. [`file`] is the TOML as people write it, [`parse`] turns one into the other and reports all problems at once.

use std::fmt;
use std::time::Duration;

mod enrich;
pub mod file;
pub mod parse;
mod queue;
mod risk;
mod route;
mod sink;
mod summary;
mod template;

pub use self::enrich::*;
pub use self::file::{ConfigError, Secrets, load};
pub use self::queue::{PaceChoice, Queueing, Rate};
pub use self::risk::*;
pub use self::route::*;
pub use self::sink::*;
pub use self::summary::{Every, Schedule};
pub use self::template::*;
use crate::event::Service;

/// Where the configuration is read from when `--config` does not say otherwise.
pub const DEFAULT_PATH: &str = "/etc/login-tracer/config.toml";
/// Where the databases live when `--state-dir` does not say otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/login-tracer";

/// Everything that can be configured. `Config::default()` is what an empty file gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Name of this host in sessions and messages; `None`: the machine's own host name.
    pub host_name: Option<String>,
    pub trace: Trace,
    pub notify: Notify,
    pub enrich: Enrich,
    pub risk: Risk,
    /// Where messages go. Never empty: without any sink configured it is one console sink.
    pub sinks: Vec<Sink>,
    /// Which changes go to which of them.
    pub rules: Rules,
    /// Words of the owner's own.
    pub templates: Vec<Template>,
    /// When it is told what happened in a day or a week.
    pub summaries: Vec<Schedule>,
}

impl Config {
    /// What this host is called.
    pub fn host(&self) -> String {
        let own = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.host_name.clone().unwrap_or_else(own)
    }
}

/// `[trace]`: the role that watches the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Size of the kernel's event buffer in bytes: a power of two, at least one page.
    pub ring_buffer_bytes: u32,
    /// How much the kernel programs themselves say (aya-log).
    pub probe_log: ProbeLog,
    /// How many connections that ended without a session are remembered: the newest.
    pub keep_attempts: u32,
    /// Where the programs are attached that watch what a process asks the kernel for.
    pub hooks: CallHooks,
    /// Where the programs are attached that watch processes and timers.
    pub process_hooks: ProcessHooks,
    pub syscall_tracepoints: SyscallTracepoints,
    /// The doors that are watched, each once, in the order of [`Service::ALL`]. Never empty.
    pub services: Vec<Service>,
}

impl Trace {
    /// Some 30 MB, and a day of a host on the open internet.
    pub const DEFAULT_KEEP_ATTEMPTS: u32 = 100_000;
    /// Without su and sudo: inside of a session they are told of anyway, and outside of one they are mostly daemons' and
    /// scripts'.
    pub const DEFAULT_SERVICES: [Service; 3] = [Service::Ssh, Service::Dropbear, Service::Login];
}

/// On functions of the kernel, or on tracepoints of system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallHooks {
    /// The first of the others that the kernel offers; none where it offers none.
    Auto,
    Fentry,
    Kprobe,
    Tracepoint,
}

/// On which kind of tracepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessHooks {
    /// The first of the others that the kernel offers.
    Auto,
    Btf,
    Classic,
}

/// Whether tracepoints of system calls may be used, which cost every system call of every process a little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyscallTracepoints {
    /// Where nothing else is left.
    Auto,
    Never,
}

/// Level of the kernel programs' own diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeLog {
    Off,
    Warn,
    Debug,
}

/// `[notify]`: the role that enriches, rates and delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// The unprivileged account that the notify role runs as when it is started by root.
    pub user: String,
    /// How long what was delivered or given up stays listed.
    pub keep_delivered: Duration,
    /// How long attempts that are too many to be told one by one are gathered.
    pub gather_attempts: Duration,
}

impl Notify {
    pub const DEFAULT_KEEP_DELIVERED: Duration = Duration::from_secs(90 * 24 * 3600);
    pub const DEFAULT_GATHER_ATTEMPTS: Duration = Duration::from_secs(60);
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host_name: None,
            trace: Trace::default(),
            notify: Notify::default(),
            enrich: Enrich::default(),
            risk: Risk::default(),
            sinks: vec![Sink {
                name: "console".to_owned(),
                kind: SinkKind::Console,
                queue: Queueing::default(),
            }],
            rules: Rules::default(),
            templates: Vec::new(),
            summaries: Vec::new(),
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            user: "login-tracer".to_owned(),
            keep_delivered: Self::DEFAULT_KEEP_DELIVERED,
            gather_attempts: Self::DEFAULT_GATHER_ATTEMPTS,
        }
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            ring_buffer_bytes: 1 << 20,
            probe_log: ProbeLog::Warn,
            keep_attempts: Self::DEFAULT_KEEP_ATTEMPTS,
            hooks: CallHooks::Auto,
            process_hooks: ProcessHooks::Auto,
            syscall_tracepoints: SyscallTracepoints::Auto,
            services: Self::DEFAULT_SERVICES.to_vec(),
        }
    }
}

/// A value that must never be seen: it has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
