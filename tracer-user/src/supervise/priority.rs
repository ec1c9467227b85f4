//! When many want a CPU, the roles come first: who floods sshd must not be able to delay what is told of it. They need
//! little, a few milliseconds for each login.
//!
//! Under systemd the units say so (`Nice=`, `CPUWeight=`); here the supervisor does. How soon after an event they run is
//! another matter, which each role asks for itself: the one that watches the kernel [at once](run_at_once), as it does
//! little for each event and everything waits for it; the other one [sooner](take_short_turns).

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::write;
use rustix::process::{Resource, getpriority_process, getrlimit, setpriority_process, setrlimit, setsid};
use rustix::thread::gettid;
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

/// How long a role that runs at once may go on without a pause, in microseconds: then everybody else's work is due.
const WITHOUT_PAUSE_US: u64 = 100_000;

/// The thread that runs at once; 0 while there is none.
static AT_ONCE: AtomicI32 = AtomicI32::new(0);
/// Whether it went on for too long, and takes its turn like everybody else by now.
static STEPPED_BACK: AtomicBool = AtomicBool::new(false);

/// Makes this thread run as soon as it is woken (`SCHED_RR`, at the lowest of its priorities; see `sched(7)`), but never long:
/// if it goes on for a tenth of a second, whatever the reason, it takes its turn like everybody else, until this is
/// called again. Called again before that, it does nothing. What the thread starts is not scheduled so.
///
/// Where that is not permitted, the thread [takes short turns](take_short_turns).
pub(super) fn run_at_once() {
    let this = gettid().as_raw_nonzero().get();
    if AT_ONCE.swap(this, Ordering::SeqCst) == this && !STEPPED_BACK.swap(false, Ordering::SeqCst) {
        return;
    }
    if let Err(error) = limit_time().and_then(|()| schedule(this, libc::SCHED_RR)) {
        tracing::debug!(%error, "not run at once");
        take_short_turns();
    }
}

/// Asks for short turns on a CPU. Whoever takes short ones is let in sooner after waking, and gets no more altogether: EEVDF
/// since Linux 6.12 (`__setparam_fair` in the kernel); earlier ones take no notice. Where that is not permitted, or somebody
/// chose another policy for this process, everything stays as it is.
pub fn take_short_turns() {
    if attributes().is_ok_and(|now| now.sched_policy == libc::SCHED_OTHER.cast_unsigned()) {
        schedule(0, libc::SCHED_OTHER).unwrap_or_default();
    }
}

/// Has the kernel call [`step_back`] when it is time.
fn limit_time() -> io::Result<()> {
    // SAFETY: a struct of numbers and addresses, for which zero is a value: no flags, no blocked signals.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = step_back as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler makes one system call and touches atomic numbers alone.
    if unsafe { libc::sigaction(libc::SIGXCPU, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // The kernel adds a second to the limit each time that it is reached.
    let mut limit = getrlimit(Resource::Rttime);
    limit.current = Some(limit.maximum.map_or(WITHOUT_PAUSE_US, |most| most.min(WITHOUT_PAUSE_US)));
    Ok(setrlimit(Resource::Rttime, limit)?)
}

/// A handler of SIGXCPU.
extern "C" fn step_back(_: libc::c_int) {
    // SAFETY: the place of this thread's error number; whoever was interrupted finds it as it was.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    if schedule(AT_ONCE.load(Ordering::SeqCst), libc::SCHED_OTHER).is_ok() {
        STEPPED_BACK.store(true, Ordering::SeqCst);
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Has a thread (0: this one) scheduled by a policy, in short turns where it has any.
fn schedule(thread: libc::pid_t, policy: libc::c_int) -> io::Result<()> {
    let mut attributes = attributes()?;
    attributes.sched_policy = policy.cast_unsigned();
    // The kernel does not say it of those who run at once, and keeps it.
    attributes.sched_nice = getpriority_process(None)?;
    if policy == libc::SCHED_RR {
        attributes.sched_priority = 1;
        attributes.sched_flags |= libc::SCHED_FLAG_RESET_ON_FORK as u64;
    } else {
        attributes.sched_priority = 0;
        attributes.sched_runtime = TURN_NS;
    }
    let flags: libc::c_uint = 0;
    // SAFETY: the kernel reads as many bytes as `size` says, which is that of the struct.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const attributes, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
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

    #[test]
    fn who_runs_at_once_does_not_run_long() {
        let policy = || attributes().unwrap().sched_policy.cast_signed();
        std::thread::spawn(move || {
            let nice = 5;
            setpriority_process(None, nice).unwrap();
            run_at_once();
            if policy() == libc::SCHED_OTHER {
                let is_root = rustix::process::geteuid().is_root();
                let group = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
                assert!(!is_root || group.contains(":cpu"), "root may do that outside of groups");
                return;
            }
            for _ in 0..2 {
                assert_eq!(policy(), libc::SCHED_RR);
                let child = std::thread::spawn(policy);
                assert_eq!(child.join().unwrap(), libc::SCHED_OTHER, "nobody else does");
                let started = std::time::Instant::now();
                while policy() == libc::SCHED_RR {
                    assert!(started.elapsed().as_secs() < 10, "it goes on and on");
                }
                let after = attributes().unwrap();
                assert_eq!((after.sched_policy.cast_signed(), after.sched_nice), (libc::SCHED_OTHER, nice));
                run_at_once();
            }
        })
        .join()
        .unwrap();
    }
}
