//! The binaries that go into the guest: the tracer and a program that drives it, as `cargo test` or `cargo bench` builds them.
//!
//! The same profile as for this machine's own, so that nothing is built twice; what the emulator would be slow with is
//! optimized for tests, too. For another kind of machine, Rust's library is built as well: the compiler of the kernel
//! programs has its sources, and so no toolchain has to be changed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::directory;
use super::machine::Machine;
use crate::setup::BpfTools;
use crate::{command, environment, workspace};

/// A program of the project's that drives the tracer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    /// What it is to cargo: `test` or `bench`.
    kind: &'static str,
    name: &'static str,
}

/// The end-to-end suite.
pub(super) const SUITE: Program = Program { kind: "test", name: "e2e" };
/// What `cargo xtask bench` measures with.
pub(crate) const BENCHMARK: Program = Program { kind: "bench", name: "measure" };

/// Where they are on this machine. The program finds the tracer by the path at which it was built.
pub(super) struct Binaries {
    pub(super) tracer: PathBuf,
    pub(super) program: PathBuf,
}

/// What is needed of a line of cargo's JSON messages.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds both.
///
/// # Errors
/// Something does not compile.
pub(super) fn build(program: Program, machine: &Machine, tools: &BpfTools) -> Result<Binaries> {
    let Program { kind, name } = program;
    let mut cargo = workspace::cargo();
    if !machine.is_ours() {
        cargo = Command::new(tools.compiler.sibling("cargo"));
    }
    cargo.args([kind, "--package", "tracer-user", &format!("--{kind}"), name, "--no-run"]);
    cargo.arg("--message-format=json-render-diagnostics");
    if !machine.is_ours() {
        for_another(machine, &mut cargo, tools);
    }
    let told = command::capture(&mut cargo)?;
    let tracer = executable(&told, "bin", "login-tracer").context("cargo names no login-tracer")?;
    let program = executable(&told, kind, name).with_context(|| format!("cargo names no {name}"))?;
    Ok(Binaries { tracer, program })
}

/// Makes cargo build for a machine that is not this one, Rust's library included.
fn for_another(machine: &Machine, cargo: &mut Command, tools: &BpfTools) {
    let compiler = format!("{}gcc", machine.toolchain);
    let target = machine.target();
    let variable = target.replace('-', "_");
    environment::without_toolchain(cargo)
        .current_dir(workspace::root())
        .args(["-Z", "build-std=std,panic_unwind", "--target", &target, "--target-dir"])
        .arg(directory().join("build"))
        .env("RUSTC", &tools.compiler.rustc)
        // Whatever wraps rustc on this machine was configured for another toolchain.
        .env("RUSTC_WRAPPER", "")
        .env(format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()), &compiler)
        .env(format!("CC_{variable}"), &compiler);
    if tools.compiler.identity.stable {
        cargo.env("RUSTC_BOOTSTRAP", "1");
    }
}

fn executable(told: &str, kind: &str, name: &str) -> Option<PathBuf> {
    told.lines().find_map(|line| {
        let message: Message = serde_json::from_str(line).ok()?;
        let target = message.target?;
        (target.name == name && target.kind.iter().any(|one| one == kind)).then_some(message.executable?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_messages() {
        let told = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"e2e","kind":["lib"]},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"e2e","kind":["test"]},"executable":"/t/deps/e2e-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n"
        );
        assert_eq!(executable(told, "test", "e2e"), Some(PathBuf::from("/t/deps/e2e-1")));
        assert_eq!(executable(told, "bin", "login-tracer"), None);
    }
}
