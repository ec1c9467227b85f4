//! Where things are, and who owns them.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, lchown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::environment;

/// The checkout's top directory: that of the cargo that runs us, since checkouts may share a target directory; without
/// one, the checkout that we were built in.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(package).parent().expect("xtask lies in the workspace").to_owned()
}

/// The object that `login-tracer` for a processor embeds. tracer-user/build.rs knows this path too.
pub(crate) fn bpf_object(arch: &str) -> PathBuf {
    root().join("target/bpf").join(arch).join("tracer-probes")
}

/// Tools built for this checkout alone.
pub(crate) fn tools() -> PathBuf {
    root().join("target/tools")
}

/// The directory of one profile's host artifacts: this program's own is its sibling.
///
/// # Errors
/// The path of the running program is unknown or has no such parent.
pub(crate) fn artifacts(profile: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let target = program.ancestors().nth(2).context("this program lies in no target directory")?;
    Ok(target.join(profile))
}

/// The cargo that started us, or the one in PATH, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    environment::without_package(&mut command).current_dir(root());
    command
}

/// Whether we act as root. /proc/self belongs to the effective user.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Whether an automatic build runs us (`CI=true`): nobody reads along, so nothing may be skipped quietly.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Hands what root built to the checkout's owner, who could otherwise not build here again.
///
/// # Errors
/// A file under the target directories cannot be listed or handed over.
pub(crate) fn return_to_owner() -> Result<()> {
    let root = root();
    let owner = root.metadata().with_context(|| format!("cannot read {}", root.display()))?;
    if !is_root() || owner.uid() == 0 {
        return Ok(());
    }
    let mut directories = vec![root.join("target")];
    // Another target directory is handed over only where it already belongs to the owner.
    let artifacts = artifacts("")?;
    if !artifacts.starts_with(&root) && artifacts.metadata().is_ok_and(|meta| meta.uid() == owner.uid()) {
        directories.push(artifacts);
    }
    for directory in directories.iter().filter(|directory| directory.exists()) {
        give(directory, owner.uid(), owner.gid())
            .with_context(|| format!("cannot return {} to its owner", directory.display()))?;
    }
    Ok(())
}

/// Symbolic links change hands themselves and are not followed.
fn give(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    let meta = path.symlink_metadata()?;
    if meta.uid() != uid {
        lchown(path, Some(uid), Some(gid))?;
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}
