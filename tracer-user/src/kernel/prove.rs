//! Whether hooks fire: everything is attached for a moment, one event of each kind is provoked, and the kernel's own
//! counters say which programs ran. A hook that can be attached is not yet one that fires.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use aya::Ebpf;
use aya::sys::{Stats, enable_stats};

use super::attach::{self, AttachError};
use super::offsets::Resolved;
use super::tier::Choice;
use crate::config::Trace;

/// What came of an attached program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Fires,
    /// It was attached, its event happened, and it did not run.
    Silent,
    /// The kernel does not count for this process.
    Unknown,
}

/// A hook, and what came of its program; `None` where it has none.
pub(super) type Proven = (Choice, Option<Proof>);

/// Attaches all hooks as the configuration wishes, tries them, and detaches them.
pub(super) fn prove(wish: &Trace, resolved: &Resolved) -> Result<Vec<Proven>, AttachError> {
    let mut ebpf = attach::load(wish, resolved.offsets)?;
    let (choices, links) = attach::attach_hooks(&mut ebpf, &attach::btf()?, wish, resolved)?;
    let runs = |choice: &Choice| choice.used.and_then(|used| run_count(&ebpf, used.program));
    // Counting lasts as long as this is held.
    let counting = enable_stats(Stats::RunTime)
        .inspect_err(|error| tracing::debug!(%error, "programs are not counted"))
        .ok();
    let before: Vec<_> = choices.iter().map(runs).collect();
    let provoked = provoke().inspect_err(|error| tracing::debug!(%error, "no event could be provoked"));
    let can_tell = counting.is_some() && provoked.is_ok();
    let proof = |choice: &Choice, before: Option<u64>| {
        choice.used?;
        Some(match (before, runs(choice)) {
            (Some(before), Some(after)) if can_tell && after > before => Proof::Fires,
            (Some(_), Some(_)) if can_tell => Proof::Silent,
            _ => Proof::Unknown,
        })
    };
    let proofs: Vec<_> = choices.iter().zip(before).map(|(choice, before)| proof(choice, before)).collect();
    drop(links);
    Ok(choices.into_iter().zip(proofs).collect())
}

/// How often the program ran while the kernel counted.
fn run_count(ebpf: &Ebpf, program: &str) -> Option<u64> {
    ebpf.program(program)?.info().ok().map(|info| info.run_count())
}

/// Makes every event that a hook waits for happen once, in a child process: it is forked, disarms a timer, keeps its user
/// ids as they are, sends nothing to nobody, executes something and ends.
fn provoke() -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: the closure makes system calls with plain numbers, and nothing that is forbidden between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::alarm(0);
            libc::setresuid(libc::uid_t::MAX, libc::uid_t::MAX, libc::uid_t::MAX);
            libc::setreuid(libc::uid_t::MAX, libc::uid_t::MAX);
            // No user id at all: refused, as a call that was made all the same.
            libc::setuid(libc::uid_t::MAX);
            libc::send(-1, std::ptr::null(), 0, 0);
            Ok(())
        });
    }
    command.status().map(drop)
}
