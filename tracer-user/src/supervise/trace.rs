//! (in the making)

use std::path::Path;

use crate::config::Config;

/// (in the making)
pub fn run(_config: &Config, _state_dir: &Path) -> anyhow::Result<()> {
    anyhow::bail!("the trace role is not built yet")
}
