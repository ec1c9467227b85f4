//! Debian's archive: packages of any release, through an apt folder of our own. The machine's apt is asked where its
//! mirror is, and stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::directory;
use super::machine::Machine;
use crate::command;

/// The keys of all releases, from Debian's package `debian-archive-keyring`.
pub(super) const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Something that has to come from the network cannot be had; no fault of the tree's.
#[derive(Debug)]
pub(crate) struct Unavailable(String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// One release of Debian for one kind of machine.
pub(super) struct Archive {
    folder: PathBuf,
    architecture: &'static str,
}

impl Archive {
    /// Fetches the list of packages.
    ///
    /// # Errors
    /// [`Unavailable`] without a mirror that answers.
    pub(super) fn open(suite: &str, machine: &Machine) -> Result<Self> {
        let architecture = machine.debian;
        let folder = directory().join("apt").join(format!("{suite}-{architecture}"));
        for part in ["state/lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
        }
        let sources = folder.join("sources.list");
        fs::write(&sources, source(suite)?).with_context(|| format!("cannot write {}", sources.display()))?;
        let status = folder.join("status");
        fs::write(&status, "").with_context(|| format!("cannot write {}", status.display()))?;
        let archive = Self { folder, architecture };
        command::capture(archive.apt("apt-get").arg("update"))
            .map_err(|error| Unavailable(format!("Debian {suite} cannot be downloaded: {error:#}")))?;
        Ok(archive)
    }

    /// The package, and those of its dependencies that belong to a kernel.
    pub(super) fn with_dependencies(&self, package: String) -> Result<Vec<String>> {
        let mut names = vec![package];
        let mut next = 0;
        while let Some(name) = names.get(next) {
            let told = command::capture(self.apt("apt-cache").args(["depends", "--important", name]))?;
            for dependency in kernel_packages(&told) {
                if !names.contains(&dependency) {
                    names.push(dependency);
                }
            }
            next += 1;
        }
        Ok(names)
    }

    /// Downloads packages into a folder and says where they are.
    ///
    /// # Errors
    /// [`Unavailable`] when the mirror does not give them.
    pub(super) fn download(&self, packages: &[String], to: &Path) -> Result<Vec<PathBuf>> {
        command::capture(self.apt("apt-get").current_dir(to).arg("download").args(packages))
            .map_err(|error| Unavailable(format!("a kernel cannot be downloaded: {error:#}")))?;
        let entries = fs::read_dir(to).with_context(|| format!("cannot list {}", to.display()))?;
        let files = entries.filter_map(Result::ok).map(|entry| entry.path());
        Ok(files.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect())
    }

    /// apt with all its folders in ours.
    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let at = |name: &str| self.folder.join(name).display().to_string();
        command.arg("-qq").env("LC_ALL", "C");
        for setting in [
            format!("Dir::State={}", at("state")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", at("cache")),
            format!("Dir::Etc::SourceList={}", at("sources.list")),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("APT::Architecture={}", self.architecture),
            format!("APT::Architectures={}", self.architecture),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Retries=3".to_owned(),
            // Packages and lists lie in the checkout, where apt's own user may not look.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.arg("-o").arg(setting);
        }
        command
    }
}

/// A release as a line of apt's sources.
///
/// # Errors
/// [`Unavailable`] where apt knows no mirror of Debian.
pub(super) fn source(suite: &str) -> Result<String> {
    let mirror = mirror()?;
    Ok(format!("deb [signed-by={KEYS}] {mirror} {suite} main\n"))
}

/// Where the machine's own packages come from.
fn mirror() -> Result<String> {
    let known = command::capture(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]));
    let known = known.map_err(|error| Unavailable(format!("apt does not tell its mirrors: {error:#}")))?;
    Ok(debian_mirror(&known)
        .ok_or_else(|| Unavailable("none of apt's sources is a mirror of Debian".to_owned()))?
        .to_owned())
}

/// Every mirror of Debian has the archive at a path of this name.
fn debian_mirror(known: &str) -> Option<&str> {
    known.lines().find(|uri| uri.trim_end_matches('/').ends_with("/debian"))
}

/// The kernel's packages among the dependencies that apt-cache tells.
fn kernel_packages(told: &str) -> Vec<String> {
    const KINDS: [&str; 3] = ["linux-image-", "linux-binary-", "linux-modules-"];
    let names = told.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.filter(|name| KINDS.iter().any(|kind| name.starts_with(kind))).map(str::to_owned).collect()
}

/// The release that this machine runs, whose userland can run what was built here; Debian 12 where it is not Debian's.
pub(super) fn own_suite() -> String {
    let told = fs::read_to_string("/etc/os-release").unwrap_or_default();
    suite_in(&told).unwrap_or("bookworm").to_owned()
}

fn suite_in(os_release: &str) -> Option<&str> {
    let value = |key: &str| os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    (value("ID")? == "debian").then_some(value("VERSION_CODENAME")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_of_packages_not_of_updates() {
        let known = "https://mirror.example/debian-security/\nhttps://mirror.example/debian/\n";
        assert_eq!(debian_mirror(known), Some("https://mirror.example/debian/"));
        assert_eq!(debian_mirror("https://mirror.example/ubuntu/\n"), None);
    }

    #[test]
    fn a_kernel_can_be_in_several_packages() {
        let told = "linux-image-7.2.13-cloud-amd64\n  PreDepends: dpkg\n  Depends: linux-initramfs-tool\n \
                    |Depends: dracut\n  Depends: linux-binary-7.2.13-cloud-amd64\n  Depends: linux-modules-7.2.13-cloud-amd64\n";
        assert_eq!(
            kernel_packages(told),
            ["linux-binary-7.2.13-cloud-amd64", "linux-modules-7.2.13-cloud-amd64"]
        );
    }

    #[test]
    fn the_release_is_read_where_it_is_debians() {
        assert_eq!(suite_in("ID=debian\nVERSION_CODENAME=trixie\n"), Some("trixie"));
        assert_eq!(suite_in("ID=ubuntu\nVERSION_CODENAME=noble\n"), None);
        assert_eq!(suite_in(""), None);
    }
}
