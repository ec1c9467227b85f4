//! One thin file per verb: take the arguments, call the library, print.

pub mod assess;
pub mod attempts;
pub mod check;
pub mod explain;
pub mod findings;
mod notify;
mod notify_test;
pub mod queue;
pub mod replay;
pub mod route;
pub mod rules;
mod run;
pub mod sessions;
pub mod show;
pub mod summary;
mod trace;
mod unload;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use thiserror::Error;

use crate::cli::{Cli, Command};
use crate::config::ConfigError;
use crate::output;
use crate::store::StoreError;
use crate::supervise::Permanent;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was told.
    Success,
    /// It did not; trying again may help. `check` found something.
    Failure,
    /// The command line makes no sense.
    Usage,
    /// It cannot work until somebody changes configuration, permissions or kernel: `EX_CONFIG` of `sysexits(3)`.
    /// A supervisor must not start it again.
    Permanent,
}

impl Exit {
    /// What an error means for whoever started the program.
    pub fn of(error: &anyhow::Error) -> Self {
        // Either the cause itself or what was added to it as context.
        if error.is::<Usage>() {
            return Self::Usage;
        }
        let is_newer = matches!(error.downcast_ref(), Some(StoreError::Newer { .. }));
        if error.is::<Permanent>() || error.is::<ConfigError>() || is_newer {
            return Self::Permanent;
        }
        Self::Failure
    }

    /// The number that the parent process sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Permanent => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An argument that only turned out to make no sense after the command line was read.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Does what the command line says.
pub fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let global = &cli.global;
    output::log::start(global.log_filter()).map_err(|error| Usage(format!("{error:#}")))?;
    // The roles change their user and the supervisor hands the path on: it must mean the same everywhere.
    let state_dir = absolute(&global.state_dir)?;
    match &cli.command {
        Command::Run => run::run(global, &state_dir),
        Command::Trace(args) => trace::run(args, global, &state_dir),
        Command::Notify => notify::run(global, &state_dir),
        Command::NotifyTest(args) => notify_test::run(args, global),
        Command::Sessions(args) => sessions::run(args, &state_dir),
        Command::Show(args) => show::run(args, &state_dir),
        Command::Route(args) => route::run(args, global, &state_dir),
        Command::Explain(args) => explain::run(args, global, &state_dir),
        Command::Assess(args) => assess::run(args, global, &state_dir),
        Command::Rules(args) => rules::run(args, global),
        Command::Attempts(args) => attempts::run(args, &state_dir),
        Command::Summary(args) => summary::run(args, global, &state_dir),
        Command::Findings(args) => findings::run(args, &state_dir),
        Command::Queue(command) => queue::run(command, &state_dir),
        Command::Replay(args) => replay::run(args),
        Command::Check => check::run(global, &state_dir),
        Command::Unload => unload::run(&state_dir),
    }
}

fn absolute(path: &std::path::Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot use the directory {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_was_said_deep_down_decides() {
        let permanent = || Permanent("no kernel types".to_owned());
        let cause = anyhow::Error::from(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(Exit::of(&cause.context(permanent()).context("a").context("b")), Exit::Permanent);
        assert_eq!(Exit::of(&anyhow::Error::from(permanent()).context("the role ended")), Exit::Permanent);
        let missing = ConfigError::Missing { path: PathBuf::from("/x") };
        assert_eq!(Exit::of(&anyhow::Error::from(missing).context("a")), Exit::Permanent);
        assert_eq!(Exit::of(&Usage("--since".to_owned()).into()), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("disk full").context("a")), Exit::Failure);
    }
}
