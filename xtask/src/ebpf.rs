//! `build-ebpf`: the kernel programs, as one object with BTF below target/bpf.
//!
//! They are built by a compiler of their own in a target directory of their own. What is only there for debuggers is taken
//! out: it is nine tenths of the object, and all of that would be in the tracer's memory. The object is replaced only when
//! its bytes change, so that nothing that embeds it is built again for nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

use crate::{
    command, environment, say,
    setup::{self, BpfTools},
    workspace,
};

const TARGET: &str = "bpfel-unknown-none";
const BIN: &str = "tracer-probes";
/// What `cargo xtask bench` compares the tracer with; no part of what is shipped.
const AGENT: &str = "comparison-agent";

/// Sets up and builds.
///
/// # Errors
/// As [`build`] and [`setup::for_build`].
pub(crate) fn task() -> Result<()> {
    build(&setup::for_build()?)?;
    workspace::return_to_owner()
}

/// Builds the object and puts it where tracer-user embeds it from.
///
/// # Errors
/// The programs do not compile, or the object cannot be written.
pub(crate) fn build(tools: &BpfTools) -> Result<()> {
    build_for(&tools.compiler.identity.arch, tools)
}

/// As [`build`], for another processor than this one: the programs read the arguments of functions from its registers.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_for(arch: &str, tools: &BpfTools) -> Result<()> {
    let mut cargo = Command::new(tools.compiler.sibling("cargo"));
    cargo.arg("build");
    command::run(with_bpf_target(&mut cargo, arch, tools, ["--bin", BIN])?)?;

    let built = artifacts().join(BIN);
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let bytes = without_debug_info(&bytes)
        .with_context(|| format!("cannot take the debug info out of {}", built.display()))?;
    let object = workspace::bpf_object(arch);
    if replace(&bytes, &object)? {
        say(format!("new kernel programs in {}", object.display()));
    }
    Ok(())
}

/// Builds the agent that the tracer is compared with, and says where its object is.
///
/// # Errors
/// It does not compile.
pub(crate) fn build_agent(tools: &BpfTools) -> Result<PathBuf> {
    let mut cargo = Command::new(tools.compiler.sibling("cargo"));
    cargo.arg("build");
    let arch = &tools.compiler.identity.arch;
    command::run(with_bpf_target(&mut cargo, arch, tools, ["--example", AGENT])?)?;
    Ok(artifacts().join("examples").join(AGENT))
}

/// clippy over the kernel programs; false when their toolchain has none.
///
/// # Errors
/// clippy has objections.
pub(crate) fn clippy(tools: &BpfTools) -> Result<bool> {
    let clippy = tools.compiler.sibling("cargo-clippy");
    if !command::is_executable(&clippy) {
        return Ok(false);
    }
    let mut cargo = Command::new(clippy);
    cargo.arg("clippy");
    let cargo = with_bpf_target(&mut cargo, &tools.compiler.identity.arch, tools, ["--bin", BIN])?;
    // The subcommand asks this variable which cargo it belongs to.
    cargo
        .args(["--example", AGENT])
        .env("CARGO", tools.compiler.sibling("cargo"))
        .args(["--", "-D", "warnings"]);
    command::run(cargo)?;
    Ok(true)
}

fn with_bpf_target<'a>(
    cargo: &'a mut Command,
    arch: &str,
    tools: &BpfTools,
    program: [&str; 2],
) -> Result<&'a mut Command> {
    let identity = &tools.compiler.identity;
    if !matches!(arch, "x86_64" | "aarch64") {
        bail!("the kernel programs know x86_64 and aarch64, not {arch}");
    }
    environment::without_toolchain(cargo)
        .current_dir(workspace::root())
        .args(["--release", "--package", "tracer-ebpf"])
        .args(program)
        .args(["-Z", "build-std=core", "--target", TARGET, "--target-dir"])
        .arg(target_directory())
        .env("RUSTC", &tools.compiler.rustc)
        // Whatever wraps rustc on this machine was configured for another toolchain.
        .env("RUSTC_WRAPPER", "")
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &tools.linker)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(arch))
        // The linker sees all bitcode anyway, and makes BTF from the debug info that the host's profile strips.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none");
    if identity.stable {
        cargo.env("RUSTC_BOOTSTRAP", "1");
    }
    Ok(cargo)
}

fn target_directory() -> PathBuf {
    workspace::root().join("target/bpf-build")
}

fn artifacts() -> PathBuf {
    target_directory().join(TARGET).join("release")
}

/// The compiler's flags, as cargo wants them: separated by the unit separator.
fn flags(arch: &str) -> String {
    [&format!("--cfg=bpf_target_arch=\"{arch}\""), "-Cdebuginfo=2", "-Clink-arg=--btf"].join("\x1f")
}

/// An object without DWARF. BTF, which the kernel reads, is made from it by the linker and stays.
fn without_debug_info(object: &[u8]) -> Result<Vec<u8>> {
    let mut object = Builder::read(object)?;
    for section in &mut object.sections {
        section.delete =
            [".debug_", ".rel.debug_"].iter().any(|kind| section.name.starts_with(kind.as_bytes()));
    }
    object.delete_orphans();
    // LLVM keeps names of sections and of symbols in one table, the writer in two.
    let names = object.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut bytes = Vec::new();
    object.write(&mut bytes)?;
    Ok(bytes)
}

/// Writes when the bytes differ; true when they did. A reader never sees half of it.
fn replace(bytes: &[u8], object: &Path) -> Result<bool> {
    if fs::read(object).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let directory = object.parent().context("the object's path has no directory")?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let unfinished = object.with_extension("new");
    fs::write(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, object))
        .with_context(|| format!("cannot write {}", object.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_written_only_when_it_changed() {
        let directory = std::env::temp_dir().join(format!("xtask-object-{}", std::process::id()));
        let object = directory.join("bpf/object");
        assert!(replace(b"one", &object).unwrap());
        assert!(!replace(b"one", &object).unwrap());
        assert!(replace(b"two", &object).unwrap());
        assert_eq!(fs::read(&object).unwrap(), b"two");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn the_flags_are_separated_as_cargo_reads_them() {
        assert_eq!(
            flags("aarch64").split('\x1f').collect::<Vec<_>>(),
            ["--cfg=bpf_target_arch=\"aarch64\"", "-Cdebuginfo=2", "-Clink-arg=--btf"]
        );
    }
}
