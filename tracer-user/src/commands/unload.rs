//! `login-tracer unload`: ends the programs that go on recording while no trace role runs.

use std::path::Path;

use anyhow::Context as _;

use super::Exit;
use crate::output;
use crate::supervise::lock::{self, Holder};
use crate::supervise::{Role, trace};

pub(super) fn run(state_dir: &Path) -> anyhow::Result<Exit> {
    // Whoever runs would be left without programs. Without the directory nothing has ever run.
    let _lock = match state_dir.try_exists() {
        Ok(false) => None,
        Ok(true) | Err(_) => Some(lock::acquire(Holder::Role(Role::Trace), state_dir)?),
    };
    let any = trace::unload(state_dir).context("cannot remove the programs from the kernel")?;
    output::to_stderr(if any {
        "The programs are removed: nothing is recorded any more."
    } else {
        "There are no programs in the kernel."
    });
    Ok(Exit::Success)
}
