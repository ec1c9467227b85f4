//! `login-tracer run`: prepares what both roles need, then keeps them.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::Role;
use super::lock::{self, Holder};
use super::privileges::{self, Account};
use super::ready::ReadySocket;
use super::roles::{self, Start, Stop};
use crate::config::Config;
use crate::output;

/// This very program, even if another one has taken the place of its file meanwhile: both roles are of one version.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Options that are handed on to the roles.
#[derive(Debug, Clone)]
pub struct Options {
    /// As given by `--config`.
    pub config: Option<PathBuf>,
    pub state_dir: PathBuf,
    pub log: String,
}

/// Runs both roles until SIGTERM, SIGINT or SIGHUP.
///
/// # Errors
/// One of them can never work, or they cannot be started at all.
pub fn run(config: &Config, options: &Options) -> anyhow::Result<()> {
    let account = privileges::is_root().then(|| privileges::notify_account(config)).transpose()?;
    privileges::prepare_state_dir(&options.state_dir, account.as_ref())?;
    let _lock = lock::acquire(Holder::Supervisor, &options.state_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the supervisor")?;
    runtime.block_on(async {
        let starts = Role::ALL
            .into_iter()
            .map(|role| start(role, options, account.as_ref()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        roles::keep(starts, watch_signals()?, say_ready).await
    })?;
    if io::stderr().is_terminal() {
        output::to_stderr(
            "The kernel goes on recording, for the next start; `login-tracer unload` ends that.",
        );
    }
    Ok(())
}

fn start(role: Role, options: &Options, account: Option<&Account>) -> anyhow::Result<Start> {
    let owner = match role {
        Role::Trace => None,
        Role::Notify => account,
    };
    let mut arguments: Vec<OsString> =
        vec![role.as_str().into(), "--state-dir".into(), options.state_dir.clone().into()];
    if let Some(config) = &options.config {
        arguments.extend(["--config".into(), absolute(config)?.into()]);
    }
    arguments.extend(["--log".into(), options.log.clone().into()]);
    Ok(Start {
        role,
        program: OWN_PROGRAM.into(),
        arguments,
        socket: ReadySocket::bind(&options.state_dir, role, owner)?,
    })
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot use the file {}", path.display()))
}

/// Turns signals into [`Stop`]: the first asks gently, the second does not.
fn watch_signals() -> anyhow::Result<watch::Receiver<Stop>> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let (sender, receiver) = watch::channel(Stop::No);
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                _ = hangup.recv() => "SIGHUP",
            };
            let next = if *sender.borrow() == Stop::No { Stop::Gently } else { Stop::Now };
            tracing::info!(signal = name, "ending");
            tell_systemd(NotifyState::Stopping);
            sender.send_replace(next);
        }
    });
    Ok(receiver)
}

fn say_ready() {
    tracing::info!("both roles are ready");
    tell_systemd(NotifyState::Ready);
    if io::stderr().is_terminal() {
        output::to_stderr("login-tracer is watching; log in with ssh to see it. Ctrl-C ends it.");
    }
}

/// Tells whoever started the supervisor, if they asked to be told.
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
