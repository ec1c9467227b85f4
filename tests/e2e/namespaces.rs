//! The suite runs itself a second time inside new namespaces, and whoever of the two is killed, the other one ends
//! everything that was started.
//!
//! Process ids stay those of the machine, because these are what the tracer sees; so it takes more than a
//! PID namespace to end all: both processes adopt orphans (child subreaper) and end their descendants before they
//! go. The outer one does so when the inner one is gone for whatever reason, the inner one when the outer one is.
//! Only killing both at once with SIGKILL leaves something behind: sessions that end with their clients.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use rustix::process::{Signal, getpid, set_child_subreaper, set_parent_process_death_signal};

use crate::processes;

/// Tells the inner process from the outer one. It changes nothing by itself: the inner one makes its own namespaces.
const INSIDE: &str = "LOGIN_TRACER_E2E_INSIDE";

/// Whether this is the inner process.
pub fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// The outer process: runs this program again, waits for it and ends what it left.
pub fn run_self_inside() -> ExitCode {
    match try_run_self_inside() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn try_run_self_inside() -> anyhow::Result<ExitCode> {
    adopt_and_guard()?;
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).env(INSIDE, "1");
    // SAFETY: the closure makes one system call, and nothing that is forbidden between fork and exec.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::TERM))?));
    }
    let status = command.status().context("cannot start the suite a second time")?;
    processes::end_all_descendants();
    if let Some(signal) = status.signal() {
        anyhow::bail!("the suite was ended by signal {signal}");
    }
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Makes this process the parent of every orphan below it, and ends them all when it is asked to end itself.
pub fn adopt_and_guard() -> anyhow::Result<()> {
    set_child_subreaper(Some(getpid())).context("cannot adopt orphans")?;
    let mut signals = std::mem::MaybeUninit::uninit();
    // SAFETY: the set is initialised by sigemptyset before anything reads it; all pointers live through the calls.
    let signals = unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(signals.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, signals.as_ptr(), std::ptr::null_mut());
        signals.assume_init()
    };
    std::thread::spawn(move || {
        let mut signal = 0;
        // SAFETY: both pointers live through the call, the set is initialised.
        unsafe { libc::sigwait(&signals, &mut signal) };
        processes::end_all_descendants();
        std::process::exit(128 + signal);
    });
    Ok(())
}
