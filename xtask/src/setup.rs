//! `setup`: finds or installs what building and testing need. A quick no-op when all is there, without questions, and
//! with a line for everything it does. It installs Debian packages, and bpf-linker into target/tools; PATH, home
//! directories and rustup stay as they are.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::{
    command,
    compiler::{self, Compiler, Refusal},
    linker, packages, say, workspace,
};

/// A program to look for, the Debian package that brings it, and what needs it.
struct Tool {
    program: &'static str,
    package: &'static str,
    purpose: &'static str,
}

const fn tool(program: &'static str, package: &'static str, purpose: &'static str) -> Tool {
    Tool { program, package, purpose }
}

const BUILD_TOOLS: [Tool; 1] = [tool("cc", "gcc", "the bundled SQLite")];

const TEST_TOOLS: [Tool; 17] = [
    tool("ssh", "openssh-client", "logging in"),
    tool("ssh-keygen", "openssh-client", "keys of the tests' own"),
    tool("sshd", "openssh-server", "the server that is watched"),
    tool("sudo", "sudo", "becoming root inside a session"),
    tool("su", "util-linux", "changing the user inside a session"),
    tool("dropbear", "dropbear-bin", "the other server that is watched"),
    tool("login", "login", "logging in at a terminal"),
    tool("script", "bsdutils", "terminals for that"),
    tool("unshare", "util-linux", "a mount namespace of the tests' own"),
    tool("nsenter", "util-linux", "looking into that namespace"),
    tool("mount", "mount", "overlays over /etc, /home and /run"),
    tool("ip", "iproute2", "network namespaces"),
    tool("openssl", "openssl", "certificates of the tests' own"),
    tool("python3", "python3", "checking signatures and mails by somebody else's code"),
    tool("aiosmtpd", "python3-aiosmtpd", "a mail server"),
    tool("rsyslogd", "rsyslog", "a log server"),
    tool("curl", "curl", "measuring what people use instead"),
];

const VM_TOOLS: [Tool; 7] = [
    tool("qemu-system-x86_64", "qemu-system-x86", "the emulated machine"),
    tool("mmdebstrap", "mmdebstrap", "the guest's userland"),
    tool("bsdtar", "libarchive-tools", "the guest's image"),
    tool("dpkg-deb", "dpkg", "unpacking kernels"),
    tool("tar", "tar", "unpacking kernels"),
    tool("xz", "xz-utils", "unpacking kernels"),
    tool("strip", "binutils", "small binaries in the guest"),
];

const ARM64_TOOLS: [Tool; 2] = [
    tool("qemu-system-aarch64", "qemu-system-arm", "the emulated arm64 machine"),
    tool("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "programs for arm64"),
];
/// What that compiler needs beside itself; it brings no program to look for.
const ARM64_LIBC: &str = "libc6-dev-arm64-cross";

/// What builds the kernel programs.
pub(crate) struct BpfTools {
    pub(crate) compiler: Compiler,
    pub(crate) linker: PathBuf,
}

/// Everything for building and testing.
///
/// # Errors
/// Something is missing that cannot be installed here; the error says what to install.
pub(crate) fn task() -> Result<()> {
    let tools = for_build()?;
    for_tests()?;
    say(format!("ready: {}, {}", tools.compiler.rustc.display(), tools.linker.display()));
    workspace::return_to_owner()
}

/// What `build` and `run` need.
///
/// # Errors
/// As [`task`].
pub(crate) fn for_build() -> Result<BpfTools> {
    ensure(&BUILD_TOOLS)?;
    let compiler = bpf_compiler()?;
    let linker = match linker::find(compiler.identity.llvm) {
        Some(linker) => linker,
        None => linker::install(&compiler).context("cannot get bpf-linker")?,
    };
    Ok(BpfTools { compiler, linker })
}

/// What the end-to-end tests need besides.
///
/// # Errors
/// As [`task`].
pub(crate) fn for_tests() -> Result<()> {
    ensure(&TEST_TOOLS)
}

/// What emulated machines need besides, and what arm64 ones do.
///
/// # Errors
/// As [`task`], or the machine is of another kind than the kernels.
pub(crate) fn for_vm(arm64: bool) -> Result<()> {
    if let Some(reason) = wrong_machine() {
        bail!(reason);
    }
    ensure(&VM_TOOLS)?;
    if arm64 {
        ensure(&ARM64_TOOLS)?;
        packages::ensure(&[ARM64_LIBC])?;
    }
    Ok(())
}

/// Why emulated machines cannot be had without installing anything.
pub(crate) fn missing_for_vm() -> Option<String> {
    let missing = VM_TOOLS.iter().find(|tool| command::find(tool.program).is_none());
    wrong_machine()
        .or_else(|| missing.map(|tool| format!("needs {}, which `cargo xtask vm` installs", tool.program)))
}

fn wrong_machine() -> Option<String> {
    let arch = std::env::consts::ARCH;
    (arch != "x86_64")
        .then(|| format!("the emulated machines need x86_64 below them, this machine is {arch}"))
}

fn ensure(tools: &[Tool]) -> Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| command::find(tool.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for tool in &missing {
        say(format!("missing: {} (Debian package {}), for {}", tool.program, tool.package, tool.purpose));
    }
    let mut names: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    names.dedup();
    packages::ensure(&names)
}

fn bpf_compiler() -> Result<Compiler> {
    let refused = match choose() {
        Ok(compiler) => return Ok(compiler),
        Err(refused) => refused,
    };
    for (rustc, refusal) in &refused {
        say(format!("{} {refusal}", rustc.display()));
    }
    install_compiler()?;
    choose().map_err(|refused| {
        let reasons: Vec<String> =
            refused.iter().map(|(rustc, refusal)| format!("{} {refusal}", rustc.display())).collect();
        anyhow::anyhow!("no compiler can build the kernel programs: {}", reasons.join("; "))
    })
}

fn choose() -> Result<Compiler, Vec<(PathBuf, Refusal)>> {
    compiler::choose(compiler::found(), |identity| {
        linker::find(identity.llvm).is_some() || linker::is_available(identity.llvm, &identity.arch)
    })
}

fn install_compiler() -> Result<()> {
    const BY_HAND: &str = "no compiler here can build the kernel programs: \
        `rustup toolchain install nightly --component rust-src` adds one";
    if command::find("apt-get").is_none() {
        bail!("{BY_HAND}");
    }
    let [rustc, ..] = compiler::DEBIAN_PACKAGES;
    let offered = packages::candidate(rustc).as_deref().and_then(compiler::version);
    match offered {
        Some(version) if !compiler::is_new_enough(version) => {
            bail!("{BY_HAND}; {rustc} of this Debian is {version}, which is too old")
        }
        _ => packages::ensure(&compiler::DEBIAN_PACKAGES)
            .with_context(|| format!("{BY_HAND}; or take Debian's")),
    }
}
