//! Which compiler builds the kernel programs: one that comes with the sources of `core`, which exist for
//! bpfel-unknown-none only as sources, and whose bitcode a bpf-linker can read.
//!
//! Nothing here changes a rustup installation: a nightly without sources is passed over, not completed.

use std::{
    fmt::{self, Display, Formatter},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{command, environment};

/// The workspace's `rust-version`.
const OLDEST: Version = Version { major: 1, minor: 95 };
/// Debian's compiler for browsers, kept up to date in stable releases, with its sources.
pub(crate) const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl Display for Version {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What a compiler says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) version: Version,
    /// Whether unstable options need `RUSTC_BOOTSTRAP`.
    pub(crate) stable: bool,
    pub(crate) llvm: u32,
    /// The host's architecture, as in `bpf_target_arch`.
    pub(crate) arch: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) identity: Identity,
    has_cargo: bool,
    has_core: bool,
}

impl Compiler {
    /// A program of the same toolchain.
    pub(crate) fn sibling(&self, program: &str) -> PathBuf {
        self.rustc.with_file_name(program)
    }
}

/// Why a compiler cannot build the kernel programs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooOld(Version),
    NoCargo,
    NoCore,
    NoLinker { llvm: u32 },
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld(version) => write!(f, "is {version}, older than {OLDEST}"),
            Self::NoCargo => write!(f, "has no cargo beside it"),
            Self::NoCore => write!(f, "lacks the sources of core (rust-src)"),
            Self::NoLinker { llvm } => write!(
                f,
                "needs a bpf-linker with LLVM {llvm}, and there is no libLLVM.so.{llvm} to build one with"
            ),
        }
    }
}

/// The compilers of this machine, best first: rustup's nightly, the one that built us, Debian's.
pub(crate) fn found() -> Vec<Compiler> {
    let mut paths = Vec::new();
    paths.extend(rustup_nightly());
    paths.extend(std::env::var_os("CARGO").map(|cargo| Path::new(&cargo).with_file_name("rustc")));
    paths.push(PathBuf::from(DEBIAN_RUSTC));
    let mut seen = Vec::new();
    paths.retain(|path| {
        let new = command::is_executable(path) && !seen.contains(path);
        seen.push(path.clone());
        new
    });
    paths.into_iter().filter_map(|rustc| inspect(rustc).ok().flatten()).collect()
}

/// The first compiler without a reason against it, else all of the reasons.
pub(crate) fn choose(
    compilers: Vec<Compiler>,
    linker_for: impl Fn(&Identity) -> bool,
) -> Result<Compiler, Vec<(PathBuf, Refusal)>> {
    let mut refused = Vec::new();
    for compiler in compilers {
        match refusal(&compiler, &linker_for) {
            None => return Ok(compiler),
            Some(refusal) => refused.push((compiler.rustc, refusal)),
        }
    }
    Err(refused)
}

fn refusal(compiler: &Compiler, linker_for: impl Fn(&Identity) -> bool) -> Option<Refusal> {
    let Identity { version, llvm, .. } = compiler.identity;
    if version < OLDEST {
        Some(Refusal::TooOld(version))
    } else if !compiler.has_cargo {
        Some(Refusal::NoCargo)
    } else if !compiler.has_core {
        Some(Refusal::NoCore)
    } else if !linker_for(&compiler.identity) {
        Some(Refusal::NoLinker { llvm })
    } else {
        None
    }
}

/// The nightly's real rustc: the one in PATH is a proxy that obeys variables set by the outer cargo.
fn rustup_nightly() -> Option<PathBuf> {
    let mut rustup = Command::new(command::find("rustup")?);
    // Asking must not download a toolchain.
    rustup.args(["which", "--toolchain", "nightly", "rustc"]).env("RUSTUP_AUTO_INSTALL", "0");
    command::capture(&mut rustup).ok().map(|path| PathBuf::from(path.trim()))
}

/// None: it answered, but not as a compiler that we know.
fn inspect(rustc: PathBuf) -> Result<Option<Compiler>> {
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(&rustc);
        command::capture(environment::without_toolchain(&mut command).args(arguments))
    };
    let Some(identity) = identify(&ask(&["--version", "--verbose"])?) else {
        return Ok(None);
    };
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim());
    Ok(Some(Compiler {
        has_cargo: command::is_executable(&rustc.with_file_name("cargo")),
        has_core: sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file(),
        rustc,
        identity,
    }))
}

/// Reads `rustc --version --verbose`.
fn identify(text: &str) -> Option<Identity> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let release = field("release:")?;
    Some(Identity {
        version: version(release)?,
        stable: !release.contains("-nightly") && !release.contains("-dev"),
        llvm: field("LLVM version:")?.split('.').next()?.parse().ok()?,
        arch: field("host:")?.split('-').next()?.to_owned(),
    })
}

/// The first two numbers of `1.96.0-nightly` or `1.96.0+dfsg1-1`.
pub(crate) fn version(text: &str) -> Option<Version> {
    let mut numbers = text.split('.').map(str::parse);
    Some(Version { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
}

/// Whether a release is new enough for this workspace.
pub(crate) fn is_new_enough(version: Version) -> bool {
    version >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nbinary: rustc\n\
        commit-date: 2026-05-25\nhost: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8\n";

    fn compiler(path: &str, minor: u32, has_core: bool, llvm: u32) -> Compiler {
        let identity =
            Identity { version: Version { major: 1, minor }, stable: true, llvm, arch: "x86_64".to_owned() };
        Compiler { rustc: path.into(), identity, has_cargo: true, has_core }
    }

    #[test]
    fn debians_compiler_is_stable_and_identified() {
        let version = Version { major: 1, minor: 96 };
        assert_eq!(
            identify(DEBIAN),
            Some(Identity { version, stable: true, llvm: 22, arch: "x86_64".into() })
        );
    }

    #[test]
    fn a_nightly_needs_no_bootstrap() {
        let text = DEBIAN.replace("release: 1.96.0", "release: 1.97.0-nightly");
        assert!(!identify(&text).unwrap().stable);
    }

    #[test]
    fn what_is_no_rustc_is_not_identified() {
        for text in ["", "hello\n", "release: x.y\nhost: a-b\nLLVM version: 22\n", "release: 1.96.0\n"] {
            assert_eq!(identify(text), None, "{text}");
        }
    }

    #[test]
    fn a_nightly_without_sources_gives_way_to_debians() {
        let found = vec![
            compiler("/nightly", 97, false, 22),
            compiler("/stable", 94, true, 22),
            compiler("/usr", 96, true, 22),
        ];
        assert_eq!(choose(found, |identity| identity.llvm == 22).unwrap().rustc, Path::new("/usr"));
    }

    #[test]
    fn the_first_fitting_compiler_wins() {
        let found = vec![compiler("/nightly", 97, true, 22), compiler("/usr", 96, true, 22)];
        assert_eq!(choose(found, |_| true).unwrap().rustc, Path::new("/nightly"));
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let bare = Compiler { has_cargo: false, ..compiler("/bare", 96, true, 22) };
        let found = vec![
            compiler("/old", 63, true, 14),
            bare,
            compiler("/nosrc", 96, false, 22),
            compiler("/new", 99, true, 24),
        ];
        let reasons: Vec<_> = choose(found, |identity| identity.llvm == 22)
            .unwrap_err()
            .into_iter()
            .map(|(_, reason)| reason)
            .collect();
        assert_eq!(
            reasons,
            [
                Refusal::TooOld(Version { major: 1, minor: 63 }),
                Refusal::NoCargo,
                Refusal::NoCore,
                Refusal::NoLinker { llvm: 24 },
            ]
        );
        assert_eq!(choose(vec![], |_| true), Err(vec![]));
    }
}
