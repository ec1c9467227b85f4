//! The agent that the tracer is compared with: programs on the system calls that peers hook, loaded by ourselves. What
//! they do is in `agent/main.rs`.

use anyhow::Context as _;
use aya::Ebpf;
use aya::programs::TracePoint;

/// Programs and the tracepoints that they are on.
pub type Programs = &'static [(&'static str, &'static str)];

/// What sees all that sessions do.
pub const ALL: Programs = &[
    ("enter_read", "sys_enter_read"),
    ("exit_read", "sys_exit_read"),
    ("enter_write", "sys_enter_write"),
    ("enter_openat", "sys_enter_openat"),
];
/// What does nothing, on a call that nobody makes while something is measured.
pub const NOTHING: Programs = &[("nothing", "sys_exit_setresuid")];

/// It is there until it is dropped.
pub struct Agent {
    _programs: Ebpf,
}

impl Agent {
    /// Loads and attaches some of its programs.
    pub fn start(object: &[u8], chosen: Programs) -> anyhow::Result<Self> {
        let mut programs = Ebpf::load(object).context("cannot load the comparison agent")?;
        for (name, tracepoint) in chosen {
            let program: &mut TracePoint = programs
                .program_mut(name)
                .with_context(|| format!("the comparison agent has no {name}"))?
                .try_into()?;
            program.load().with_context(|| format!("cannot load {name}"))?;
            program.attach("syscalls", tracepoint).with_context(|| format!("cannot attach {name}"))?;
        }
        Ok(Self { _programs: programs })
    }
}
