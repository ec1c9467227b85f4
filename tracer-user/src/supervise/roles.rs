//! Keeps the two roles alive: starts them, starts them again when they die, ends them together.
//!
//! - A role that dies is started again after a wait that grows ([`super::restart`]).
//! - A role that says it can never work ([`Exit::Permanent`]) before it was ever ready ends the whole; later it is
//!   started again like any other, because what was right once may become right again.
//! - Nothing outlives the supervisor: a role is told to end, is given [`GRACE`] for it, and is killed after that; if
//!   the supervisor itself is killed, the kernel tells the roles ([`super::tie_to_supervisor`]).

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::ready::ReadySocket;
use super::restart::Backoff;
use super::{Permanent, Role, SUPERVISOR_VARIABLE, priority};
use crate::commands::Exit;

/// How long a role may take to end.
pub const GRACE: Duration = Duration::from_secs(10);

/// Variables that systemd addresses to one process, the supervisor.
const NOT_FOR_ROLES: [&str; 6] =
    ["WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "MAINPID"];

/// What the supervisor was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Nothing yet.
    No,
    /// End both roles, with patience.
    Gently,
    /// Asked a second time: end them at once.
    Now,
}

/// How one role is started, and where it says that it is ready.
#[derive(Debug)]
pub struct Start {
    pub role: Role,
    pub program: OsString,
    pub arguments: Vec<OsString>,
    pub socket: ReadySocket,
}

/// Runs the roles until `stop` says otherwise or one of them can never work. `when_ready` is called once, when all
/// have said that they are ready. Must run on the process's first thread: roles end with the thread that started them.
///
/// # Errors
/// A role can never work; it has said why.
pub async fn keep(
    starts: Vec<Start>,
    mut stop: watch::Receiver<Stop>,
    when_ready: impl FnOnce(),
) -> anyhow::Result<()> {
    let (stop_roles, stopped) = watch::channel(*stop.borrow());
    let (ready, mut readies) = mpsc::unbounded_channel();
    let (mut missing, mut when_ready) = (starts.len(), Some(when_ready));
    let mut roles = JoinSet::new();
    for start in starts {
        roles.spawn(keep_one(start, stopped.clone(), ready.clone()));
    }
    drop(ready);
    let mut result = Ok(());
    loop {
        tokio::select! {
            Some(()) = readies.recv() => {
                missing -= 1;
                if let (0, Some(when_ready)) = (missing, when_ready.take_if(|_| missing == 0)) {
                    when_ready();
                }
            }
            Ok(()) = stop.changed() => {
                let asked = *stop.borrow_and_update();
                stop_roles.send_if_modified(|current| asked > std::mem::replace(current, asked.max(*current)));
            }
            ended = roles.join_next() => {
                let Some(ended) = ended else { return result };
                let ended = ended.context("a role's keeper broke").and_then(|ended| ended);
                if let (Ok(()), Err(error)) = (&result, ended) {
                    result = Err(error);
                    stop_roles.send_if_modified(|current| {
                        Stop::Gently > std::mem::replace(current, Stop::Gently.max(*current))
                    });
                }
            }
        }
    }
}

/// How one run of a role came to its end.
enum Ended {
    ByItself(ExitStatus),
    Stopped,
}

async fn keep_one(
    start: Start,
    mut stop: watch::Receiver<Stop>,
    ready: mpsc::UnboundedSender<()>,
) -> anyhow::Result<()> {
    let role = start.role;
    let mut backoff = Backoff::new();
    let mut was_ready = false;
    loop {
        let started = Instant::now();
        let child = spawn(&start)?;
        let status = match watch_one(&start, child, &mut stop, &mut was_ready, &ready).await? {
            Ended::ByItself(status) => status,
            Ended::Stopped => return Ok(()),
        };
        if status.code() == Some(Exit::Permanent.code().into()) && !was_ready {
            return Err(Permanent(format!("the {role} role cannot work; it has said why above")).into());
        }
        let wait = backoff.after(started.elapsed());
        tracing::warn!(%role, reason = %reason(status), restart_in_s = wait.as_secs_f64(), "role ended, it is started again");
        tokio::select! {
            () = sleep(wait) => {}
            () = asked_to(Stop::Gently, &mut stop) => return Ok(()),
        }
    }
}

fn spawn(start: &Start) -> anyhow::Result<Child> {
    let mut command = Command::new(&start.program);
    command
        .arg0("login-tracer")
        .args(&start.arguments)
        .stdin(Stdio::null())
        .env("NOTIFY_SOCKET", start.socket.path())
        .env(SUPERVISOR_VARIABLE, std::process::id().to_string())
        .kill_on_drop(true);
    // Ctrl-C reaches the supervisor alone, which then ends the roles.
    priority::first(&mut command);
    for name in NOT_FOR_ROLES {
        command.env_remove(name);
    }
    command.spawn().with_context(|| format!("cannot start the {} role", start.role))
}

async fn watch_one(
    start: &Start,
    mut child: Child,
    stop: &mut watch::Receiver<Stop>,
    was_ready: &mut bool,
    ready: &mpsc::UnboundedSender<()>,
) -> anyhow::Result<Ended> {
    let role = start.role;
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.with_context(|| format!("cannot wait for the {role} role"))?;
                if start.socket.was_ready().with_context(|| format!("cannot hear from the {role} role"))? {
                    tell_ready(role, was_ready, ready);
                }
                return Ok(Ended::ByItself(status));
            }
            heard = start.socket.ready() => {
                heard.with_context(|| format!("cannot hear from the {role} role"))?;
                tell_ready(role, was_ready, ready);
            }
            () = asked_to(Stop::Gently, stop) => break,
        }
    }
    end(role, child, stop).await?;
    Ok(Ended::Stopped)
}

fn tell_ready(role: Role, was_ready: &mut bool, ready: &mpsc::UnboundedSender<()>) {
    tracing::debug!(%role, "role is ready");
    if !std::mem::replace(was_ready, true) {
        // Nobody listens any more once the supervisor's loop has ended.
        ready.send(()).unwrap_or_default();
    }
}

/// Returns when the supervisor was asked for that, or has ended.
async fn asked_to(wanted: Stop, stop: &mut watch::Receiver<Stop>) {
    stop.wait_for(|asked| *asked >= wanted).await.map(drop).unwrap_or_default();
}

/// Ends a role: asks, waits, kills.
async fn end(role: Role, mut child: Child, stop: &mut watch::Receiver<Stop>) -> anyhow::Result<()> {
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        match kill_process(pid, Signal::TERM) {
            // Ended in this moment; the wait below returns at once.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot end the {role} role")),
        }
    }
    let ended = tokio::select! {
        ended = timeout(GRACE, child.wait()) => ended.ok(),
        () = asked_to(Stop::Now, stop) => None,
    };
    if let Some(status) = ended {
        let status = status.with_context(|| format!("cannot wait for the {role} role"))?;
        tracing::debug!(%role, reason = %reason(status), "role ended as asked");
        return Ok(());
    }
    tracing::warn!(%role, "role did not end as asked and is killed");
    child.kill().await.with_context(|| format!("cannot kill the {role} role"))
}

fn reason(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
