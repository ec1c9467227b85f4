//! (in the making)

use std::path::Path;

use crate::config::Config;

pub mod outbox;

/// (in the making)
pub fn run(_config: &Config, _state_dir: &Path) -> anyhow::Result<()> {
    anyhow::bail!("the notify role is not built yet")
}
