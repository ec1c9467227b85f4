//! `login-tracer notify`: the role that enriches, rates and announces.

use std::path::Path;

use anyhow::Context as _;

use super::Exit;
use crate::cli::Global;
use crate::config::{self, Secrets};
use crate::notify;
use crate::supervise::lock::{self, Holder};
use crate::supervise::{Role, privileges, take_short_turns, tie_to_supervisor};

pub(super) fn run(global: &Global, state_dir: &Path) -> anyhow::Result<Exit> {
    tie_to_supervisor()?;
    take_short_turns();
    // Before root is given up: only root may be able to read the configuration and the secrets.
    let config = config::load(global.config.as_deref(), Secrets::Read)?;
    if privileges::is_root() {
        let account = privileges::notify_account(&config)?;
        privileges::prepare_state_dir(state_dir, Some(&account))?;
        privileges::become_account(&account)?;
        if account.is_fallback {
            tracing::warn!(
                missing = config.notify.user,
                instead = account.name,
                "the account of the notify role does not exist; create it to keep its data from other services"
            );
        }
    } else {
        privileges::prepare_state_dir(state_dir, None)?;
        privileges::seal()?;
    }
    privileges::shut_out_others();
    privileges::ensure_notify_dir(state_dir)?;
    let _lock = lock::acquire(Holder::Role(Role::Notify), state_dir)?;
    notify::run(&config, state_dir).context("the notify role ended")?;
    Ok(Exit::Success)
}
