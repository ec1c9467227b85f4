//! Processes: started so that they cannot outlive the suite, listed from `/proc`, ended by descent and never by name.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, wait};

use crate::lines::LIMIT;

/// A command with no input, nothing of our environment, that is killed when the thread that starts it ends.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/").stdin(Stdio::null());
    // SAFETY: the closure makes system calls on its own stack, and nothing that is forbidden between fork and exec.
    unsafe {
        command.pre_exec(|| {
            // The signals that the suite blocks to wait for them.
            let mut none = std::mem::MaybeUninit::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
            Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
        });
    }
    command
}

/// Waits until `child` ends by itself; kills it and panics when it does not.
pub fn wait_for_end(child: &mut Child, what: &str) -> ExitStatus {
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().expect("our own child can be waited for") {
            return status;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    end(child);
    panic!("{what} did not end within {LIMIT:?}");
}

/// Kills and reaps a child, which may have ended already.
pub fn end(child: &mut Child) {
    // The only errors are that it is gone already, which is what we want.
    child.kill().ok();
    child.wait().ok();
}

/// Sends a signal to a process that may be gone already.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        kill_process(pid, signal).ok();
    }
}

/// One process as `/proc` has it.
#[derive(Debug, Clone, Copy)]
struct Process {
    pid: u32,
    parent: u32,
    ended: bool,
}

/// Whether a process has ended; one that nobody has reaped yet has.
pub fn is_gone(pid: u32) -> bool {
    read(pid).is_none_or(|process| process.ended)
}

/// The living children of a process.
pub fn children(of: u32) -> BTreeSet<u32> {
    all()
        .into_iter()
        .filter(|process| process.parent == of && !process.ended)
        .map(|process| process.pid)
        .collect()
}

/// The living descendants of this process.
pub fn descendants() -> BTreeSet<u32> {
    let all = all();
    let mut found = BTreeSet::from([std::process::id()]);
    // Parents are not always listed before their children, so repeat until nothing is added.
    loop {
        let before = found.len();
        found.extend(
            all.iter().filter(|process| found.contains(&process.parent)).map(|p| p.pid).collect::<Vec<_>>(),
        );
        if found.len() == before {
            break;
        }
    }
    all.iter()
        .filter(|p| !p.ended && p.pid != std::process::id() && found.contains(&p.pid))
        .map(|p| p.pid)
        .collect()
}

/// The real user id of a process.
pub fn uid(of: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{of}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Whether the name of a process, as the kernel keeps it, begins like this.
pub fn is_named(pid: u32, name: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with(name))
}

/// Ends everything below this process, and reaps it. Needs the calling process to be a child subreaper.
pub fn end_all_descendants() {
    let started = Instant::now();
    loop {
        let living = descendants();
        if living.is_empty() {
            return;
        }
        for pid in &living {
            signal(*pid, Signal::KILL);
        }
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if started.elapsed() > LIMIT {
            eprintln!("these processes of the suite could not be ended: {living:?}");
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries.flatten().filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn read(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and parentheses: what follows starts after the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, ended: matches!(state, "Z" | "X") })
}
