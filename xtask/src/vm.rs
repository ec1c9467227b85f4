//! `vm`: the end-to-end suite inside stock distribution kernels, on every tier of hooks that they have.
//!
//! Each kernel boots under QEMU from an image in memory: Debian's userland with a real sshd, and the binaries of this
//! checkout. Nothing is installed, no disk is written, no network is there. Several tiers share one boot, one after the
//! other. What counts is only what the guest says: an emulator that ends without a word has failed.
//!
//! Kernels and image are kept below target/vm; `rm -r target/vm` gets fresh ones.

mod archive;
mod binaries;
mod boot;
mod image;
mod kernels;
mod machine;
mod report;
mod tiers;

use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Result, bail};

use self::boot::Guest;
use self::kernels::{KERNELS, Kernel};
use self::report::Report;
use self::tiers::Tier;
use crate::{ebpf, say, setup, workspace};

pub(crate) use self::archive::Unavailable;

/// What to run; empty lists mean the usual ones.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    pub(crate) kernels: Vec<String>,
    pub(crate) tiers: Vec<String>,
    /// Every scenario, and every kernel and tier where none are named.
    pub(crate) all: bool,
    /// Parts of scenarios' names.
    pub(crate) filters: Vec<String>,
    /// How many machines are emulated at the same time; as many as there are processors where nothing is said.
    pub(crate) at_once: Option<usize>,
}

/// The scenarios that stand for the others where time is short: each kind of login, an end, a refusal and an impostor.
const SELECTION: [&str; 8] = [
    "logins::user_with_key_runs_command",
    "logins::root_gets_terminal",
    "logins::password_with_pam",
    "logins::root_opens_no_channel",
    "logins::three_channels_are_one_session",
    "endings::post_auth_child_is_killed",
    "refusals::wrong_password",
    "impostors::daemon_of_root_that_behaves_like_sshd",
];

/// What one boot plays.
struct Boot {
    kernel: &'static Kernel,
    tiers: Vec<&'static Tier>,
    /// Empty: all.
    scenarios: Vec<String>,
}

/// Sets up what is missing, builds, boots and reports.
///
/// # Errors
/// Something cannot be had, a guest gives no result, or a scenario fails.
pub(crate) fn task(wish: &Wish) -> Result<()> {
    let boots = plan(wish)?;
    setup::for_vm(boots.iter().any(|boot| !boot.kernel.machine.is_ours()))?;
    let done = run(&boots, wish.at_once);
    workspace::return_to_owner()?;
    done
}

/// As a part of all tests; `Some` says why nothing was run.
///
/// # Errors
/// As [`task`], but for kernels that cannot be had.
pub(crate) fn as_part_of_tests() -> Result<Option<String>> {
    if !workspace::is_root() {
        return Ok(Some("needs root, as all end-to-end tests do; `cargo xtask vm` tries without".to_owned()));
    }
    if let Some(reason) = setup::missing_for_vm() {
        return Ok(Some(reason));
    }
    match run(&plan(&Wish::default())?, None) {
        Err(error) if error.is::<Unavailable>() => Ok(Some(format!("{error:#}"))),
        done => done.map(|()| None),
    }
}

fn plan(wish: &Wish) -> Result<Vec<Boot>> {
    let is_usual = |kernel: &&Kernel| {
        if wish.kernels.is_empty() {
            wish.all || kernel.usual
        } else {
            wish.kernels.iter().any(|name| name == kernel.name)
        }
    };
    if let Some(unknown) = wish.kernels.iter().find(|name| kernels::named(name).is_none()) {
        bail!("there is no kernel {unknown}; known are {}", kernels::names());
    }
    if let Some(unknown) = wish.tiers.iter().find(|name| tiers::named(name).is_none()) {
        bail!("there is no tier {unknown}; known are {}", tiers::names());
    }
    let scenarios = match (wish.filters.is_empty(), wish.all) {
        (false, _) => wish.filters.clone(),
        (true, true) => Vec::new(),
        (true, false) => SELECTION.map(str::to_owned).to_vec(),
    };
    let boot = |kernel: &'static Kernel| Boot {
        kernel,
        tiers: kernel
            .tiers
            .iter()
            .filter_map(|name| tiers::named(name))
            .filter(|tier| wish.tiers.is_empty() || wish.tiers.iter().any(|name| name == tier.name))
            .collect(),
        scenarios: scenarios.clone(),
    };
    let boots: Vec<Boot> =
        KERNELS.iter().filter(is_usual).map(boot).filter(|boot| !boot.tiers.is_empty()).collect();
    if boots.is_empty() {
        bail!("none of these kernels has one of these tiers");
    }
    Ok(boots)
}

fn run(boots: &[Boot], at_once: Option<usize>) -> Result<()> {
    // First what may be out of reach, so that nothing is built in vain.
    for Boot { kernel, .. } in boots {
        image::ensure(kernel.machine)?;
        kernels::ensure(kernel)?;
    }
    let tools = setup::for_build()?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = at_once.unwrap_or(processors).clamp(1, boots.len());
    let mut guests = Vec::new();
    for Boot { kernel, tiers, scenarios } in boots {
        let (userland, files) = (image::ensure(kernel.machine)?, kernels::ensure(kernel)?);
        ebpf::build_for(kernel.machine.arch, &tools)?;
        let binaries = binaries::build(kernel.machine, &tools)?;
        let initramfs = image::with_payload(&userland, kernel, &files, &binaries, tiers, scenarios)?;
        // Two help: sshd, client and tracer take turns. More do not.
        let processors = (processors / at_once).clamp(1, 2);
        let (kernel, machine) = (kernel.name, kernel.machine);
        guests.push(Guest { kernel, machine, image: files.image, initramfs, processors });
    }
    let reports = Mutex::new(Vec::new());
    let waiting = Mutex::new(boots.iter().zip(&guests).enumerate());
    let next = || waiting.lock().expect("nobody fails with the lock").next();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some((number, (boot, guest))) = next() {
                    let report = play(boot, guest);
                    reports.lock().expect("nobody fails with the lock").push((number, report));
                }
            });
        }
    });
    let mut reports = reports.into_inner().expect("nobody fails with the lock");
    reports.sort_by_key(|(number, _)| *number);
    let report = Report::of(reports.into_iter().map(|(_, report)| report));
    say(format!("scenarios by kernel and tier:\n{}", report.table()));
    if let Some(failures) = report.failures() {
        let logs = directory().join("logs");
        bail!(
            "not everything holds on all kernels:\n{failures}\nwhat the guests said is in {}",
            logs.display()
        );
    }
    Ok(())
}

/// One boot from its begin to its end. A guest that does not get there leaves tiers without an end in its report. It gets a
/// second chance, since emulators fail as well; a scenario that failed does not.
fn play(boot: &Boot, guest: &Guest) -> Report {
    let names: Vec<_> = boot.tiers.iter().map(|tier| tier.name).collect();
    let mut chances = 2;
    loop {
        chances -= 1;
        say(format!("{}: booting, for {}", guest.kernel, names.join(", ")));
        let mut report = Report::begin(guest.kernel, &boot.tiers);
        let Err(error) = guest.run(&mut report) else { return report };
        say(format!("{}: {error:#}", guest.kernel));
        if chances == 0 || report.any_failed() {
            return report;
        }
        say(format!("{}: once more", guest.kernel));
    }
}

/// Where kernels, images and logs are kept.
fn directory() -> PathBuf {
    workspace::root().join("target/vm")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(kernels: &[&str], tiers: &[&str], all: bool) -> Vec<(&'static str, usize, usize)> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wish =
            Wish { kernels: owned(kernels), tiers: owned(tiers), all, filters: Vec::new(), at_once: None };
        plan(&wish).map_or_else(
            |_| Vec::new(),
            |boots| {
                boots.iter().map(|boot| (boot.kernel.name, boot.tiers.len(), boot.scenarios.len())).collect()
            },
        )
    }

    #[test]
    fn a_wish_becomes_boots() {
        assert_eq!(planned(&["6.1"], &["kprobe"], false), [("6.1", 1, SELECTION.len())]);
        assert_eq!(planned(&["6.1"], &[], true), [("6.1", tiers::TIERS.len(), 0)]);
        assert_eq!(planned(&[], &[], true).len(), KERNELS.len());
        assert!(planned(&[], &[], false).len() < KERNELS.len());
        assert_eq!(planned(&["2.4"], &[], false), []);
        assert_eq!(planned(&[], &["telepathy"], false), []);
    }
}
