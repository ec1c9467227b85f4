//! When many want a CPU, the roles come first: who floods sshd must not be able to delay what is told of it. They need
//! little, a few milliseconds for each login.
//!
//! Under systemd the units say so (`Nice=`, `CPUWeight=`); here the supervisor does.

use std::io;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::write;
use rustix::process::{setpriority_process, setsid};
use tokio::process::Command;

/// As `nice(1)` counts: one of these gets nine times as much as one of 0 (`sched_prio_to_weight` in the kernel).
const NICE: i32 = -10;
/// The same for a whole session.
const NICE_SESSION: &[u8] = b"-10";

/// Makes a process that will be started come first. It gets a session of its own, so that what is typed on the terminal
/// does not reach it. Where it may not come first, it starts all the same.
pub(super) fn first(command: &mut Command) {
    // SAFETY: between fork and exec there are system calls alone.
    unsafe { command.pre_exec(come_first) };
}

fn come_first() -> io::Result<()> {
    setsid()?;
    setpriority_process(None, NICE).unwrap_or_default();
    // Where the kernel divides CPUs among sessions first (autogroup, `sched(7)`), each connection's sshd is one.
    if let Ok(session) = open(c"/proc/self/autogroup", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        write(&session, NICE_SESSION).unwrap_or_default();
    }
    Ok(())
}
