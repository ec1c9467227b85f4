//! `build`: the kernel programs and the binary that embeds them.

use std::path::PathBuf;

use anyhow::Result;

use crate::{command, ebpf, setup, workspace};

/// Sets up and builds.
///
/// # Errors
/// As [`binary`].
pub(crate) fn task(release: bool) -> Result<()> {
    binary(release)?;
    workspace::return_to_owner()
}

/// Builds `login-tracer` and says where it is.
///
/// # Errors
/// Something is missing that cannot be installed, or a part does not compile.
pub(crate) fn binary(release: bool) -> Result<PathBuf> {
    ebpf::build(&setup::for_build()?)?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--package", "tracer-user"]);
    if release {
        cargo.arg("--release");
    }
    command::run(&mut cargo)?;
    Ok(workspace::artifacts(if release { "release" } else { "debug" })?.join("login-tracer"))
}
