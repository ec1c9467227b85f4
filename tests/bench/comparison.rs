//! The agent that the tracer is compared with: programs on the system calls that peers hook, loaded by ourselves. What
//! they do is in `agent/main.rs`.

use anyhow::Context as _;
use aya::Ebpf;
use aya::programs::TracePoint;

/// The programs and the tracepoints that they are on.
const PROGRAMS: [(&str, &str); 4] = [
    ("enter_read", "sys_enter_read"),
    ("exit_read", "sys_exit_read"),
    ("enter_write", "sys_enter_write"),
    ("enter_openat", "sys_enter_openat"),
];

/// It is there until it is dropped.
pub struct Agent {
    _programs: Ebpf,
}

impl Agent {
    pub fn start(object: &[u8]) -> anyhow::Result<Self> {
        let mut programs = Ebpf::load(object).context("cannot load the comparison agent")?;
        for (name, tracepoint) in PROGRAMS {
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
