//! `vm`: the end-to-end suite inside stock distribution kernels, on every tier of hooks that they have; and such kernels for
//! `bench` to measure in.
//!
//! Each kernel boots under QEMU from an image in memory: Debian's userland with a real sshd, and the binaries of this
//! checkout, with a script that says what they are for. Nothing is installed, no disk is written, no network is there.
//! Several tiers share one boot, one after the other. What counts is only what the guest says: an emulator that ends without
//! a word has failed.
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

use anyhow::{Context as _, Result, bail};

use self::binaries::Program;
use self::boot::Guest;
use self::kernels::{KERNELS, Kernel};
use self::report::Report;
use self::tiers::Tier;
use crate::setup::BpfTools;
use crate::{ebpf, say, setup, workspace};

pub(crate) use self::archive::Unavailable;
pub(crate) use self::binaries::BENCHMARK;
pub(crate) use self::boot::{Pace, Said};

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

/// What a guest does once its kernel is up.
pub(crate) struct Payload {
    pub(crate) program: Program,
    /// A part of the guest's init, in a folder with `files`, and with the paths of the tracer and the program in files called so.
    pub(crate) script: &'static str,
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    pub(crate) pace: Pace,
}

/// How long one tier may take in the guest, in seconds: the whole suite takes about a quarter of it.
const TIER_SECONDS: u64 = 3600;

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

/// Whether a kernel is for this machine's kind of processor.
///
/// # Errors
/// There is none of this name.
pub(crate) fn is_for_this_processor(kernel: &str) -> Result<bool> {
    known(kernel).map(|kernel| kernel.machine.is_ours())
}

/// Boots a stock kernel and passes on each line that the guest says, until that is done. Logs and images have the name that is
/// given.
///
/// # Errors
/// Something cannot be had or built, or the guest did not get to its end.
pub(crate) fn boot(
    kernel: &str,
    payload: &Payload,
    tools: &BpfTools,
    name: String,
    hear: impl FnMut(&str) -> Option<Said>,
) -> Result<()> {
    let guest = ready(known(kernel)?, payload, tools, name, 1)?;
    say(format!("{}: booting", guest.name));
    guest.run(hear)
}

fn known(name: &str) -> Result<&'static Kernel> {
    kernels::named(name).with_context(|| format!("there is no kernel {name}; known are {}", kernels::names()))
}

fn plan(wish: &Wish) -> Result<Vec<Boot>> {
    let is_usual = |kernel: &&Kernel| {
        if wish.kernels.is_empty() {
            wish.all || kernel.usual
        } else {
            wish.kernels.iter().any(|name| name == kernel.name)
        }
    };
    wish.kernels.iter().try_for_each(|name| known(name).map(|_| ()))?;
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
    for boot in boots {
        // Two help: sshd, client and tracer take turns. More do not.
        let processors = (processors / at_once).clamp(1, 2);
        let name = boot.kernel.name.to_owned();
        guests.push(ready(boot.kernel, &suite(boot), &tools, name, processors)?);
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

/// Builds what goes into a guest, and makes its image.
fn ready(
    kernel: &Kernel,
    payload: &Payload,
    tools: &BpfTools,
    name: String,
    processors: usize,
) -> Result<Guest> {
    let Kernel { machine, .. } = kernel;
    let (userland, files) = (image::ensure(machine)?, kernels::ensure(kernel)?);
    ebpf::build_for(machine.arch, tools)?;
    let binaries = binaries::build(payload.program, machine, tools)?;
    let initramfs = image::with_payload(&name, &userland, kernel, &files, &binaries, payload)?;
    Ok(Guest { name, machine, image: files.image, initramfs, processors, pace: payload.pace })
}

fn suite(boot: &Boot) -> Payload {
    let orders: String = boot.tiers.iter().map(|tier| order(tier)).collect();
    Payload {
        program: binaries::SUITE,
        script: include_str!("vm/suite.sh"),
        files: vec![("tiers", orders.into_bytes()), ("filters", boot.scenarios.join(" ").into_bytes())],
        pace: Pace::Time,
    }
}

/// A line that the script reads: the tier, its time in seconds, and the keys that force it.
fn order(tier: &Tier) -> String {
    format!("{} {TIER_SECONDS} {}\n", tier.name, tier.keys.join("\\n"))
}

/// One boot from its begin to its end. A guest that does not get there leaves tiers without an end in its report. It gets a
/// second chance, since emulators fail as well; a scenario that failed does not.
fn play(boot: &Boot, guest: &Guest) -> Report {
    let names: Vec<_> = boot.tiers.iter().map(|tier| tier.name).collect();
    let mut chances = 2;
    loop {
        chances -= 1;
        say(format!("{}: booting, for {}", guest.name, names.join(", ")));
        let mut report = Report::begin(boot.kernel.name, &boot.tiers);
        let Err(error) = guest.run(|line| report.hear(line)) else { return report };
        say(format!("{}: {error:#}", guest.name));
        if chances == 0 || report.any_failed() {
            return report;
        }
        say(format!("{}: once more", guest.name));
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
