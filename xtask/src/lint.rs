//! `lint`: formatting, clippy for the host and for the kernel side, dependencies, and the tree's own rules.

use anyhow::{Context as _, Result};

use crate::{
    command, ebpf, say,
    setup::{self, BpfTools},
    tidy, workspace,
};

/// Sets up, builds the kernel programs (tracer-user embeds them even to be checked) and lints.
///
/// # Errors
/// Something is missing, or a lint has objections.
pub(crate) fn task() -> Result<()> {
    let tools = setup::for_build()?;
    ebpf::build(&tools)?;
    check(&tools)?;
    workspace::return_to_owner()
}

/// All lints; the kernel programs are already built.
///
/// # Errors
/// A lint has objections.
pub(crate) fn check(tools: &BpfTools) -> Result<()> {
    tidy::check()?;
    command::run(workspace::cargo().args(["fmt", "--all", "--check"]))
        .context("formatting (`cargo fmt`; where it is missing: rustfmt, Debian package rustfmt-web)")?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    command::run(workspace::cargo().args(clippy))
        .context("clippy (where it is missing: Debian package rust-web-clippy)")?;
    if !ebpf::clippy(tools).context("clippy for the kernel programs")? {
        say("the kernel programs' compiler has no clippy: they were built, not linted");
    }
    if command::find("cargo-deny").is_some() {
        command::run(workspace::cargo().args(["deny", "check"])).context("dependencies")?;
    } else {
        say("cargo-deny is not installed: licenses and advisories were not checked");
    }
    Ok(())
}
