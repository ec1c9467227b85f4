//! bpf-linker: found in the project's own target/tools or in PATH, else built there against a system LLVM library.
//!
//! Only the shared library is needed, not LLVM's development files: its C interface is declared by llvm-sys, and a
//! `libLLVM.so` symbolic link in target/tools stands in for the one of the -dev package.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    command,
    compiler::{Compiler, Version, version},
    environment, packages, say, workspace,
};

/// Pinned: its BTF and its handling of debug info differ between minor versions.
const PINNED: &str = "0.13.0";
/// The `llvm-*` features of the pinned version.
const LLVM_FEATURES: [u32; 3] = [21, 22, 23];

/// Where distributions keep the shared library of one LLVM release: Debian, Fedora, Arch.
fn library_directories(llvm: u32, arch: &str) -> [PathBuf; 5] {
    [
        format!("/usr/lib/{arch}-linux-gnu"),
        format!("/usr/lib/llvm-{llvm}/lib"),
        format!("/usr/lib64/llvm{llvm}/lib64"),
        "/usr/lib64".to_owned(),
        "/usr/lib".to_owned(),
    ]
    .map(PathBuf::from)
}

/// Debian's package of the shared library.
pub(crate) fn llvm_package(llvm: u32) -> String {
    format!("libllvm{llvm}")
}

/// A usable bpf-linker, our own first. Newer LLVM reads older bitcode, not the other way round.
pub(crate) fn find(llvm: u32) -> Option<PathBuf> {
    let own = workspace::tools().join("bin/bpf-linker");
    std::iter::once(own)
        .filter(|own| command::is_executable(own))
        .chain(command::find("bpf-linker"))
        .find(|path| fits(path, llvm))
}

/// Whether [`install`] can succeed for bitcode of this LLVM.
pub(crate) fn is_available(llvm: u32, arch: &str) -> bool {
    LLVM_FEATURES.contains(&llvm)
        && (library(llvm, arch).is_some() || packages::is_known(&llvm_package(llvm)))
}

/// Builds the pinned version into target/tools.
///
/// # Errors
/// The LLVM library cannot be installed, or bpf-linker does not build.
pub(crate) fn install(compiler: &Compiler) -> Result<PathBuf> {
    let llvm = compiler.identity.llvm;
    let arch = &compiler.identity.arch;
    if library(llvm, arch).is_none() {
        packages::ensure(&[&llvm_package(llvm)])?;
    }
    let library = library(llvm, arch)
        .with_context(|| format!("{} brought no libLLVM.so.{llvm}", llvm_package(llvm)))?;
    let tools = workspace::tools();
    let prefix = tools.join("llvm");
    link_library(&library, &prefix.join("lib"))?;

    say(format!("building bpf-linker {PINNED} with LLVM {llvm}, a minute or two"));
    let scratch = tools.join("build");
    let mut cargo = Command::new(compiler.sibling("cargo"));
    environment::without_toolchain(&mut cargo)
        .args(["install", "--quiet", "--locked", "--force", "--version", PINNED, "bpf-linker"])
        .args(["--no-default-features", "--features", &format!("llvm-{llvm}")])
        .arg("--root")
        .arg(&tools)
        .arg("--target-dir")
        .arg(&scratch)
        .env("RUSTC", &compiler.rustc)
        .env("LLVM_PREFIX", &prefix)
        // The work is done inside LLVM: optimizing the rest takes longer than it will ever save.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    command::run(&mut cargo)?;
    fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    Ok(tools.join("bin/bpf-linker"))
}

fn link_library(library: &Path, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let link = directory.join("libLLVM.so");
    if link.is_symlink() {
        fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
    }
    symlink(library, &link).with_context(|| format!("cannot create {}", link.display()))
}

fn library(llvm: u32, arch: &str) -> Option<PathBuf> {
    let soname = format!("libLLVM.so.{llvm}.");
    library_directories(llvm, arch)
        .iter()
        .filter_map(|directory| fs::read_dir(directory).ok())
        .flat_map(|entries| entries.flatten())
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&soname) && entry.path().exists())
        .map(|entry| entry.path())
}

/// One that does not start, for example because its LLVM is gone, does not fit either.
fn fits(path: &Path, llvm: u32) -> bool {
    let asked = command::capture(Command::new(path).arg("--version"));
    if !asked.is_ok_and(|answer| is_pinned(&answer)) {
        return false;
    }
    // Without ldd, or linked statically, its LLVM stays unknown; the link itself will tell.
    let libraries = command::capture(Command::new("ldd").arg(path)).unwrap_or_default();
    linked_llvm(&libraries).is_none_or(|linked| linked >= llvm)
}

/// Reads `bpf-linker 0.13.0`.
fn is_pinned(answer: &str) -> bool {
    let found = answer.trim().strip_prefix("bpf-linker ").and_then(version);
    found.is_some() && found == pinned()
}

fn pinned() -> Option<Version> {
    version(PINNED)
}

/// The release in `libLLVM.so.22.1 => /usr/lib/...`.
fn linked_llvm(ldd: &str) -> Option<u32> {
    let (_, rest) = ldd.split_once("libLLVM.so.")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_minor_version_fits() {
        assert!(is_pinned("bpf-linker 0.13.0\n"));
        assert!(is_pinned("bpf-linker 0.13.2"));
        for other in ["bpf-linker 0.12.9", "bpf-linker 0.130.0", "bpf-linker", "0.13.0", ""] {
            assert!(!is_pinned(other), "{other}");
        }
    }

    #[test]
    fn the_llvm_is_read_from_the_linked_libraries() {
        let ldd = "\tlinux-vdso.so.1 (0x7f91)\n\tlibLLVM.so.22.1 => /usr/lib/libLLVM.so.22.1 (0x7f91)\n";
        assert_eq!(linked_llvm(ldd), Some(22));
        assert_eq!(linked_llvm("\tlibLLVM.so.23 => not found\n"), Some(23));
        assert_eq!(linked_llvm("\tstatically linked\n"), None);
    }
}
