//! When many want a CPU, the roles come first: who floods sshd must not be able to delay what is told of it. They need
//! little, a few milliseconds for each login.
//!
//! Under systemd the units say so (`Nice=`, `CPUWeight=`); here the supervisor does. How soon after an event they run is
//! another matter, which each role asks for itself ([`take_short_turns`]).

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

/// How long one turn on a CPU is, in nanoseconds: the least that the kernel grants.
const TURN_NS: u64 = 100_000;

/// Asks for short turns on a CPU. Whoever takes short ones is let in sooner after waking, and gets no more altogether: EEVDF
/// since Linux 6.12 (`__setparam_fair` in the kernel); earlier ones take no notice. Where that is not permitted, or somebody
/// chose another policy for this process, everything stays as it is.
pub fn take_short_turns() {
    let Ok(mut attributes) = attributes() else { return };
    if attributes.sched_policy != libc::SCHED_OTHER.cast_unsigned() {
        return;
    }
    attributes.sched_runtime = TURN_NS;
    let flags: libc::c_uint = 0;
    // SAFETY: the kernel reads as many bytes as `size` says, which is that of the struct.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, flags) };
}

/// How this thread is scheduled.
fn attributes() -> io::Result<libc::sched_attr> {
    let size = size_of::<libc::sched_attr>() as libc::c_uint;
    let flags: libc::c_uint = 0;
    // SAFETY: numbers alone, for which zero is a value.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most `size` bytes, which is that of the struct.
    match unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, flags) } {
        0 => Ok(attributes),
        _ => Err(io::Error::last_os_error()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_get_short_and_nothing_else_changes() {
        // In a thread of its own: others are scheduled as before.
        let (before, after) = std::thread::spawn(|| {
            let before = attributes().unwrap();
            take_short_turns();
            (before, attributes().unwrap())
        })
        .join()
        .unwrap();
        assert_eq!((after.sched_policy, after.sched_nice), (before.sched_policy, before.sched_nice));
        // Kernels that know of no such wish show no turn at all.
        let expected = if before.sched_runtime == 0 { 0 } else { TURN_NS };
        assert_eq!(after.sched_runtime, expected);
    }
}
