//! Debian packages: what is installed, what can be, and installing it without a question and without a new daemon.
//!
//! Setup adds packages and removes none. Where one with a service is new, that is neither started nor enabled: the tests
//! start an sshd of their own, and a machine that had no sshd should not have one listening afterwards.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{command, say, workspace};

/// A package that brings a daemon.
struct Daemon {
    package: &'static str,
    units: &'static [&'static str],
    /// As System V's init calls it.
    script: &'static str,
}

const DAEMONS: [Daemon; 2] = [
    Daemon { package: "openssh-server", units: &["ssh.service", "ssh.socket"], script: "ssh" },
    Daemon { package: "rsyslog", units: &["rsyslog.service"], script: "rsyslog" },
];

/// Keeps packages from starting services while a command runs; relative to the workspace's root.
const WITHOUT_DAEMONS: &str = "xtask/src/without-daemons.sh";

/// Installs those that are missing.
///
/// # Errors
/// Not Debian, not root, or apt fails; the text says what to install or to run.
pub(crate) fn ensure(names: &[&str]) -> Result<()> {
    if command::find("apt-get").is_none() {
        bail!("there is no apt-get; please install what Debian calls {}", names.join(", "));
    }
    let missing = missing(names, &installed(names));
    if missing.is_empty() {
        return Ok(());
    }
    if !workspace::is_root() {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        bail!(
            "packages are missing; please run as root, then start again: `{} install-packages {}`",
            program.display(),
            missing.join(" ")
        );
    }
    install(&missing)
}

/// Installs packages; root only.
///
/// # Errors
/// apt-get fails; its output is in the error.
pub(crate) fn install(names: &[impl AsRef<str>]) -> Result<()> {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let new_daemons: Vec<&Daemon> = DAEMONS
        .iter()
        .filter(|daemon| names.contains(&daemon.package))
        .filter(|daemon| !missing(&[daemon.package], &installed(&[daemon.package])).is_empty())
        .collect();
    if !names.iter().all(|name| is_known(name)) {
        say("refreshing the package lists");
        apt_get(&["update"])?;
    }
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        bail!("this distribution has no package {unknown}");
    }
    say(format!("installing {}", names.join(", ")));
    // What conflicts must not be removed behind the user's back: rustc-web replaces Debian's own rustc and rustup.
    let mut arguments = vec!["install", "--yes", "--no-install-recommends", "--no-remove"];
    arguments.extend(&names);
    if apt_get(&arguments).is_err() {
        // The lists may name versions that the mirror has replaced since.
        say("that failed; once more with fresh package lists");
        apt_get(&["update"])?;
        apt_get(&arguments)?;
    }
    for daemon in new_daemons {
        daemon.disable()?;
        say(format!(
            "{} is there for the tests alone: its service was not started and is disabled",
            daemon.package
        ));
    }
    Ok(())
}

/// Whether apt could install it, as far as its lists go.
pub(crate) fn is_known(name: &str) -> bool {
    command::capture(Command::new("apt-cache").args(["show", "--quiet=2", "--no-all-versions", name])).is_ok()
}

/// The version that apt would install.
pub(crate) fn candidate(name: &str) -> Option<String> {
    candidate_in(&command::capture(Command::new("apt-cache").args(["policy", name])).ok()?)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = if DAEMONS.iter().any(|daemon| arguments.contains(&daemon.package)) {
        let mut shell = Command::new("sh");
        shell.arg(workspace::root().join(WITHOUT_DAEMONS)).arg("apt-get");
        shell
    } else {
        Command::new("apt-get")
    };
    command
        .args(["-qq", "-o", "DPkg::Lock::Timeout=120"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command::capture(&mut command).map(drop)
}

impl Daemon {
    fn disable(&self) -> Result<()> {
        let mut disable = if command::find("systemctl").is_some() {
            let mut systemctl = Command::new("systemctl");
            systemctl.arg("disable").args(self.units);
            systemctl
        } else {
            let mut update = Command::new("update-rc.d");
            update.args([self.script, "disable"]);
            update
        };
        command::capture(&mut disable).map(drop)
    }
}

/// The answer of dpkg-query, which fails when it does not know one of the names but tells about the others.
fn installed(names: &[&str]) -> String {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(names)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

fn missing<'a>(names: &[&'a str], installed: &str) -> Vec<&'a str> {
    let is_installed =
        |name: &str| installed.lines().any(|line| line.strip_suffix(" installed") == Some(name));
    names.iter().copied().filter(|name| !is_installed(name)).collect()
}

fn candidate_in(policy: &str) -> Option<String> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_package_with_its_configuration_left_is_missing() {
        let answer = "sudo config-files\nopenssh-server installed\nlibssh not-installed\n";
        assert_eq!(missing(&["sudo", "openssh-server", "libssh", "gcc"], answer), ["sudo", "libssh", "gcc"]);
    }

    #[test]
    fn the_candidate_is_read_from_apts_policy() {
        let policy =
            "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n  Version table:\n";
        assert_eq!(candidate_in(policy).as_deref(), Some("1.96.0+dfsg1-1~deb12u2"));
        assert_eq!(candidate_in("x:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(candidate_in(""), None);
    }
}
