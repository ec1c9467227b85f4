//! The kernels: Debian's own packages, unpacked and never installed. A new one is a line in [`KERNELS`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::archive::Archive;
use super::directory;
use super::machine::{AMD64, ARM64, Machine};
use crate::{command, say};

/// A stock kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) name: &'static str,
    pub(super) machine: &'static Machine,
    /// The release of Debian whose kernel it is.
    suite: &'static str,
    /// The tiers that it has; a kernel that lacks one of these has failed.
    pub(super) tiers: &'static [&'static str],
    /// Whether it is used where nobody asked for others.
    pub(super) usual: bool,
}

const ALL: &[&str] = &["fentry", "kprobe", "tracepoint", "classic"];
/// What kernels for arm64 have before 6.4: functions cannot call programs directly there.
const WITHOUT_FENTRY: &[&str] = &["kprobe", "tracepoint", "classic"];

pub(super) const KERNELS: [Kernel; 6] = [
    Kernel::new("5.10", &AMD64, "bullseye", ALL),
    Kernel { usual: true, ..Kernel::new("6.1", &AMD64, "bookworm", ALL) },
    Kernel { usual: true, ..Kernel::new("6.12", &AMD64, "trixie", ALL) },
    Kernel::new("newest", &AMD64, "sid", ALL),
    Kernel::new("6.1-arm64", &ARM64, "bookworm", WITHOUT_FENTRY),
    Kernel::new("6.12-arm64", &ARM64, "trixie", ALL),
];

impl Kernel {
    const fn new(
        name: &'static str,
        machine: &'static Machine,
        suite: &'static str,
        tiers: &'static [&'static str],
    ) -> Self {
        Self { name, machine, suite, tiers, usual: false }
    }

    /// Debian's smallest: for virtual machines.
    fn package(&self) -> String {
        format!("linux-image-cloud-{}", self.machine.debian)
    }
}

pub(super) fn named(name: &str) -> Option<&'static Kernel> {
    KERNELS.iter().find(|kernel| kernel.name == name)
}

pub(super) fn names() -> String {
    KERNELS.map(|kernel| kernel.name).join(", ")
}

/// An unpacked kernel.
pub(super) struct Files {
    pub(super) image: PathBuf,
    /// The module for overlay file systems, which the suite's sandbox needs and no cloud kernel has built in.
    pub(super) overlay: PathBuf,
}

/// What a kernel's packages hold that is needed, as a pattern for tar, and where to.
const WANTED: [&str; 2] = ["*/vmlinuz*", "*/overlayfs/overlay.ko*"];

/// Unpacks the kernel, after downloading it where it is not there yet.
///
/// # Errors
/// [`super::Unavailable`] when it cannot be downloaded; others when it holds not what it should.
pub(super) fn ensure(kernel: &Kernel) -> Result<Files> {
    let folder = directory().join("kernels").join(kernel.name);
    let files = Files { image: folder.join("vmlinuz"), overlay: folder.join("overlay.ko") };
    if files.image.is_file() && files.overlay.is_file() {
        return Ok(files);
    }
    say(format!("downloading the kernel of Debian {} for {}", kernel.suite, kernel.machine.debian));
    let archive = Archive::open(kernel.suite, kernel.machine)?;
    let unpacked = directory().join("unpacked");
    fresh(&unpacked)?;
    for package in archive.download(&archive.with_dependencies(kernel.package())?, &unpacked)? {
        unpack(&package, &unpacked)?;
    }
    let image = find(&unpacked, "vmlinuz").context("the packages hold no kernel")?;
    let overlay = find(&unpacked, "overlay.ko").context("the packages hold no module for overlays")?;
    if overlay.extension().is_some_and(|extension| extension == "xz") {
        command::run(Command::new("xz").args(["--decompress", "--force"]).arg(&overlay))?;
    }
    fresh(&folder)?;
    for (from, to) in
        [(image, &files.image), (overlay.with_extension("").with_extension("ko"), &files.overlay)]
    {
        fs::rename(&from, to).with_context(|| format!("cannot move {}", from.display()))?;
    }
    fs::remove_dir_all(&unpacked).with_context(|| format!("cannot remove {}", unpacked.display()))?;
    Ok(files)
}

/// An empty folder, whatever was there.
fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Takes what is wanted out of a package. tar fails where a pattern matches nothing, as in packages that hold one part only.
fn unpack(package: &Path, to: &Path) -> Result<()> {
    let content = to.join("content.tar");
    let file = fs::File::create(&content).with_context(|| format!("cannot create {}", content.display()))?;
    command::run(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package).stdout(file))?;
    for wanted in WANTED {
        let mut tar = Command::new("tar");
        tar.arg("-xf").arg(&content).arg("-C").arg(to).args(["--no-same-owner", "--wildcards", wanted]);
        command::capture(&mut tar).ok();
    }
    fs::remove_file(&content).with_context(|| format!("cannot remove {}", content.display()))
}

/// The first file below a folder whose name begins so.
fn find(folder: &Path, beginning: &str) -> Option<PathBuf> {
    let mut entries: Vec<_> =
        fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    entries.sort();
    entries.into_iter().find_map(|path| {
        if path.is_dir() {
            return find(&path, beginning);
        }
        let is_it = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning));
        is_it.then_some(path)
    })
}
