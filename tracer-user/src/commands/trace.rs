//! `login-tracer trace`: the role that watches the kernel.

use std::path::Path;

use anyhow::Context as _;

use super::Exit;
use crate::cli::{Global, TraceArgs};
use crate::config::{self, Secrets};
use crate::supervise::lock::{self, Holder};
use crate::supervise::{Role, privileges, tie_to_supervisor, trace};

pub(super) fn run(args: &TraceArgs, global: &Global, state_dir: &Path) -> anyhow::Result<Exit> {
    tie_to_supervisor()?;
    let config = config::load(global.config.as_deref(), Secrets::Skip)?;
    let account = privileges::is_root().then(|| privileges::notify_account(&config)).transpose()?;
    privileges::prepare_state_dir(state_dir, account.as_ref())?;
    privileges::shut_out_others();
    let _lock = lock::acquire(Holder::Role(Role::Trace), state_dir)?;
    let group = account.map(|account| account.gid);
    let setup =
        trace::Setup { config: &config, state_dir, group, record: args.record.as_deref(), mask: args.mask };
    trace::run(&setup).context("the trace role ended")?;
    Ok(Exit::Success)
}
