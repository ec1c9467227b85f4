//! What the guest boots from: archives in memory, unpacked by the kernel in their order. The first is Debian's userland,
//! made once; the last has this run's binaries and orders. Another kind of machine takes the userland of this one for its
//! configuration, which only programs that run here can make, and has its own programs put over it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::archive::{self, Archive};
use super::binaries::Binaries;
use super::kernels::{Files, Kernel};
use super::machine::{AMD64, Machine};
use super::{Payload, directory};
use crate::{command, say};

/// What the suite needs beside what every Debian has. openssh-server brings PAM's modules.
const PACKAGES: [&str; 8] = [
    "openssh-server",
    "openssh-client",
    "dropbear-bin",
    "login",
    "sudo",
    "mount",
    "procps",
    "busybox-static",
];
/// Raised when an image with other packages is needed than those that lie about.
const EDITION: u32 = 2;

/// Left out: nobody reads it in the guest, and unpacking it takes time.
const LEFT_OUT: [&str; 4] =
    ["/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*"];

/// The same, for what packages need only while they are installed.
const REMOVED: &str = "cd \"$1\" && rm -rf var/lib/apt var/cache usr/share/zoneinfo usr/share/perl* usr/bin/perl* \
    usr/lib/*/perl* usr/lib/*/libperl* usr/lib/*/gconv usr/lib/udev";

/// What Debian's packages take for granted: /bin is /usr/bin. The configured userland has it from a package's script.
const MERGED: &str =
    "for part in bin sbin lib; do mkdir -p \"$1/usr/$part\" && ln -s usr/$part \"$1/$part\"; done";

/// The guest's first process.
const INIT: &str = include_str!("init.sh");

/// The userland as archives for the kernel; made where it is not there yet.
///
/// # Errors
/// [`super::Unavailable`] without a mirror; others when it cannot be made.
pub(super) fn ensure(machine: &Machine) -> Result<Vec<PathBuf>> {
    let ours = made(&AMD64, |mmdebstrap| {
        mmdebstrap.arg("--variant=essential").arg(format!("--include={}", PACKAGES.join(",")));
    })?;
    if machine.is_ours() {
        return Ok(vec![ours]);
    }
    let packages = installed(&ours)?;
    let theirs = made(machine, |mmdebstrap| {
        mmdebstrap.arg("--variant=extract").arg(format!("--include={}", packages.join(",")));
        mmdebstrap.arg(format!("--setup-hook={MERGED}"));
    })?;
    Ok(vec![ours, theirs])
}

/// The names of the packages in an archive.
fn installed(image: &Path) -> Result<Vec<String>> {
    let mut bsdtar = Command::new("bsdtar");
    let status = command::capture(bsdtar.arg("-xOf").arg(image).arg("./var/lib/dpkg/status"))?;
    Ok(status.lines().filter_map(|line| line.strip_prefix("Package: ")).map(str::to_owned).collect())
}

/// The archive for a kind of machine, whose making is described by arguments for mmdebstrap.
fn made(machine: &Machine, describe: impl FnOnce(&mut Command)) -> Result<PathBuf> {
    let suite = archive::own_suite();
    let name = format!("{suite}-{}-{EDITION}", machine.debian);
    let image = directory().join(format!("{name}.cpio"));
    if image.is_file() {
        return Ok(image);
    }
    // Tells whether there is a mirror at all: what fails after that is a defect.
    Archive::open(&suite, machine)?;
    say(format!("making the guest's userland from Debian {suite} for {}", machine.debian));
    let tar = directory().join(format!("{name}.tar"));
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.arg("--quiet").arg(format!("--architectures={}", machine.debian));
    describe(&mut mmdebstrap);
    for path in LEFT_OUT {
        mmdebstrap.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    mmdebstrap.arg(format!("--customize-hook={REMOVED}")).arg(&suite).arg(&tar);
    // The last line of its sources, without the newline, is a source of mmdebstrap's.
    mmdebstrap.arg(archive::source(&suite)?.trim_end());
    command::capture(&mut mmdebstrap)?;
    let unfinished = image.with_extension("new");
    // Devices are the kernel's to make.
    let mut bsdtar = Command::new("bsdtar");
    bsdtar.args(["--format=newc", "--exclude=./dev/*", "-cf"]).arg(&unfinished);
    command::capture(bsdtar.arg(format!("@{}", tar.display())))?;
    fs::rename(&unfinished, &image).with_context(|| format!("cannot move {}", unfinished.display()))?;
    fs::remove_file(&tar).with_context(|| format!("cannot remove {}", tar.display()))?;
    Ok(image)
}

/// The image of one boot, by its name.
///
/// # Errors
/// A file cannot be read or written.
pub(super) fn with_payload(
    name: &str,
    userland: &[PathBuf],
    kernel: &Kernel,
    files: &Files,
    binaries: &Binaries,
    payload: &Payload,
) -> Result<PathBuf> {
    let root = directory().join("boots").join(name);
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    write(&root.join("init"), INIT.as_bytes(), 0o755)?;
    let overlay =
        fs::read(&files.overlay).with_context(|| format!("cannot read {}", files.overlay.display()))?;
    let common: [(&str, &[u8]); 4] = [
        ("play", payload.script.as_bytes()),
        ("tracer", binaries.tracer.as_os_str().as_encoded_bytes()),
        ("program", binaries.program.as_os_str().as_encoded_bytes()),
        ("overlay.ko", &overlay),
    ];
    let own = payload.files.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
    for (name, bytes) in common.into_iter().chain(own) {
        write(&root.join("payload").join(name), bytes, 0o644)?;
    }
    for binary in [&binaries.tracer, &binaries.program] {
        // At the path that it has here.
        let place = root.join(binary.strip_prefix("/").context("a binary's path is not absolute")?);
        write(&place, b"", 0o755)?;
        let strip = format!("{}strip", kernel.machine.toolchain);
        command::run(Command::new(strip).arg("-o").arg(&place).arg(binary))?;
    }
    let overlay = beside(&root, "cpio");
    let mut bsdtar = Command::new("bsdtar");
    bsdtar.args(["--format=newc", "--uid=0", "--gid=0", "-cf"]).arg(&overlay).arg("-C").arg(&root).arg(".");
    command::capture(&mut bsdtar)?;
    let initramfs = beside(&root, "initramfs");
    let mut bytes = Vec::new();
    for layer in userland.iter().chain([&overlay]) {
        bytes.extend(fs::read(layer).with_context(|| format!("cannot read {}", layer.display()))?);
    }
    fs::write(&initramfs, bytes).with_context(|| format!("cannot write {}", initramfs.display()))?;
    Ok(initramfs)
}

/// A file beside a folder, whose name may have a dot in it.
fn beside(folder: &Path, extension: &str) -> PathBuf {
    let mut path = folder.as_os_str().to_owned();
    path.push(format!(".{extension}"));
    path.into()
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a path without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(path, bytes)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("cannot write {}", path.display()))
}
