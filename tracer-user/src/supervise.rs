//! The only wiring: roles, privileges, signals, readiness, shutdown.
//!
//! `login-tracer run` is one supervisor with two children, the roles, each a process of its own with no more rights
//! than it needs. Under systemd each role is a service and there is no supervisor; a role cannot tell the difference.

mod journal;
pub mod lock;
mod priority;
pub mod privileges;
pub mod ready;
pub mod restart;
pub mod roles;
pub mod run;
pub mod trace;

use std::fmt;

use anyhow::{Context as _, ensure};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use thiserror::Error;

pub use self::priority::take_short_turns;

/// Tells a role the process id of its supervisor, with which it must end.
pub const SUPERVISOR_VARIABLE: &str = "LOGIN_TRACER_SUPERVISOR";

/// One of the two processes that do the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Kernel to `sessions.db`, as root and without network.
    Trace,
    /// `sessions.db` to the sinks, without privileges.
    Notify,
}

impl Role {
    /// Both, in the order in which data flows.
    pub const ALL: [Self; 2] = [Self::Trace, Self::Notify];

    /// Its verb on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Notify => "notify",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that does not pass by itself: the kernel offers too little, an account or a permission is missing.
///
/// Given as context of an error, it makes the program end with [`crate::commands::Exit::Permanent`], after which no
/// supervisor starts it again.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Permanent(pub String);

/// Makes this process end when the supervisor that started it ends, if one did.
///
/// A change of user or group undoes this (`prctl(2)`, `PR_SET_PDEATHSIG`): call it again after one.
///
/// # Errors
/// The supervisor has ended already.
pub fn tie_to_supervisor() -> anyhow::Result<()> {
    let Some(supervisor) = std::env::var_os(SUPERVISOR_VARIABLE) else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::TERM)).context("cannot be tied to the supervisor")?;
    // It may have ended before the line above.
    let parent = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    ensure!(supervisor.to_str() == Some(&parent.to_string()), "the supervisor has ended");
    Ok(())
}
