//! `run`: from a checkout to a running tracer. The tracer replaces this process, so that its terminal, its signals and
//! its exit code are its own.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{build, command, environment, say, workspace};

/// Sets up, builds, and starts `login-tracer run` with these arguments, by sudo where we are not root.
///
/// # Errors
/// As [`build::binary`], or the tracer cannot be started.
pub(crate) fn task(args: &[String]) -> Result<()> {
    let binary = build::binary(true)?;
    workspace::return_to_owner()?;
    let mut tracer = if workspace::is_root() {
        Command::new(&binary)
    } else {
        let sudo = command::find("sudo").with_context(|| {
            format!("login-tracer needs root and there is no sudo; as root, run: {} run", binary.display())
        })?;
        say("starting login-tracer as root, by sudo");
        let mut command = Command::new(sudo);
        command.arg("--").arg(&binary);
        command
    };
    environment::without_toolchain(&mut tracer).arg("run").args(args);
    match command::exec(&mut tracer)? {}
}
