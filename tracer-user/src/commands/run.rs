//! `login-tracer run`: both roles under one supervisor.

use std::path::Path;

use super::Exit;
use crate::cli::Global;
use crate::config::{self, Secrets};
use crate::supervise::run::{Options, run as supervise};

pub(super) fn run(global: &Global, state_dir: &Path) -> anyhow::Result<Exit> {
    // The roles read it again for themselves; what is wrong with it is said here, once and before anything starts.
    let config = config::load(global.config.as_deref(), Secrets::Read)?;
    let options = Options {
        config: global.config.clone(),
        state_dir: state_dir.to_owned(),
        log: global.log_filter().to_owned(),
    };
    supervise(&config, &options)?;
    Ok(Exit::Success)
}
