//! What this kernel offers, for `login-tracer check`. As root all hooks are attached for a moment; nothing else
//! is changed.

use std::fs;

use super::attach::AttachError;
use super::offsets::{self, BTF_PATH, OffsetError};
use super::prove::{Proof, Proven, prove};
use super::tier::{self, Choice, Obstacle, Tier};
use super::tracefs;
use crate::config::Trace;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// As `uname -r` says.
    pub release: String,
    /// As `uname -m` says.
    pub machine: String,
    /// What is needed, each with its state.
    pub requirements: Vec<Requirement>,
}

/// One thing that tracing needs or profits from: BTF, the ring buffer, a hook, a privilege.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Short name, such as `process hooks`.
    pub name: &'static str,
    pub state: RequirementState,
    /// What was found: the tier in use, the file that was read.
    pub found: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequirementState {
    Good,
    /// Works, with a detail lost; what is lost and what brings it back.
    Degraded {
        lost: String,
        fix: String,
    },
    /// Nothing can be traced; why, and what to do.
    Missing {
        why: String,
        fix: String,
    },
}

/// `CAP_SYS_ADMIN`, `CAP_PERFMON` and `CAP_BPF` of `include/uapi/linux/capability.h`.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Asks the kernel, `/proc` and tracefs. `wish` is what the configuration says about hooks.
pub fn survey(wish: &Trace) -> Survey {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut requirements = vec![privileges(), kernel_version(&release)];
    requirements.extend(lockdown(&fs::read_to_string(LOCKDOWN_PATH).unwrap_or_default()));
    match offsets::resolve(tracefs::find().as_deref()) {
        Ok(resolved) => {
            requirements.push(kernel_types(Ok(())));
            requirements.extend(hooks(prove(wish, &resolved)));
        }
        Err(error) => requirements.push(kernel_types(Err(error))),
    }
    Survey { requirements, machine: name.machine().to_string_lossy().into_owned(), release }
}

fn privileges() -> Requirement {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = effective_capabilities(&status);
    let has = |capability: u32| effective & (1 << capability) != 0;
    let state = if has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON)) {
        RequirementState::Good
    } else {
        RequirementState::Missing {
            why: "this process may not load programs into the kernel (the service may)".to_owned(),
            fix: "run `check` as root to see all of it".to_owned(),
        }
    };
    Requirement { name: "privileges", state, found: format!("capabilities {effective:#x}") }
}

/// The line `CapEff: 000001ffffffffff` of `/proc/PID/status`; none of them where it is not there.
fn effective_capabilities(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
}

/// Ring buffers and `bpf_ktime_get_boot_ns` came with Linux 5.8; the oldest kernel that is tested is 5.10.
fn kernel_version(release: &str) -> Requirement {
    let state = match version(release) {
        Some(version) if version < (5, 8) => RequirementState::Missing {
            why: "kernels before 5.8 have no ring buffer for programs".to_owned(),
            fix: "use a kernel of 5.10 or later".to_owned(),
        },
        Some(version) if version < (5, 10) => RequirementState::Degraded {
            lost: "certainty, since nobody has tried kernels before 5.10".to_owned(),
            fix: "use a kernel of 5.10 or later".to_owned(),
        },
        Some(_) | None => RequirementState::Good,
    };
    Requirement { name: "version", state, found: format!("Linux {release}") }
}

/// Which part of itself the kernel keeps from root: `[none] integrity confidentiality`.
const LOCKDOWN_PATH: &str = "/sys/kernel/security/lockdown";

/// Nothing where the kernel knows no lockdown, or one that does not concern us.
fn lockdown(told: &str) -> Option<Requirement> {
    told.contains("[confidentiality]").then(|| Requirement {
        name: "lockdown",
        state: RequirementState::Missing {
            why: "the kernel is locked down for confidentiality: programs may not read its memory".to_owned(),
            fix: "boot with lockdown=integrity".to_owned(),
        },
        found: "confidentiality".to_owned(),
    })
}

/// Major and minor number of `6.1.0-18-amd64`.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn kernel_types(result: Result<(), OffsetError>) -> Requirement {
    let state = match result {
        Ok(()) => RequirementState::Good,
        Err(error @ OffsetError::NoBtf { .. }) => RequirementState::Missing {
            why: error.to_string(),
            fix: "use a kernel with CONFIG_DEBUG_INFO_BTF=y, as all current distributions ship".to_owned(),
        },
        Err(error) => RequirementState::Missing {
            why: error.to_string(),
            fix: "this kernel is not understood: please report it with the output of `uname -a`".to_owned(),
        },
    };
    Requirement { name: "kernel types", state, found: BTF_PATH.to_owned() }
}

fn hooks(proven: Result<Vec<Proven>, AttachError>) -> Vec<Requirement> {
    match proven {
        Ok(proven) => proven.iter().map(|(choice, proof)| hook(choice, *proof)).collect(),
        Err(AttachError::NotPermitted) => vec![Requirement {
            name: "hooks",
            state: RequirementState::Degraded {
                lost: "what they are cannot be told without privileges".to_owned(),
                fix: "run `check` as root to see all of it".to_owned(),
            },
            found: "not seen".to_owned(),
        }],
        Err(error) => {
            let fix = if let AttachError::Forced { key, .. } = error {
                format!("set {key} = \"auto\" in [trace]")
            } else {
                "use a kernel with CONFIG_TRACEPOINTS=y and CONFIG_POSIX_TIMERS=y".to_owned()
            };
            let why = format!("{:#}", anyhow::Error::from(error));
            vec![Requirement {
                name: "hooks",
                state: RequirementState::Missing { why, fix },
                found: String::new(),
            }]
        }
    }
}

/// One line of the table: which tier the hook uses, whether it fires, and why better ones are not used.
fn hook(Choice { hook, used, passed_over }: &Choice, proof: Option<Proof>) -> Requirement {
    let reasons = tier::reasons(passed_over);
    let because = if reasons.is_empty() { String::new() } else { format!("; {reasons}") };
    let Some(used) = used else {
        let state = RequirementState::Degraded {
            lost: hook.lost.unwrap_or("everything").to_owned(),
            fix: advice(passed_over.iter().map(|passed| &passed.why)),
        };
        return Requirement { name: hook.name, state, found: format!("none{because}") };
    };
    let fires = match proof {
        Some(Proof::Fires) => "fires",
        Some(Proof::Silent) => "does not fire",
        Some(Proof::Unknown) | None => "attached",
    };
    let cost = if used.tier == Tier::SyscallTracepoint { ", costs every system call a little" } else { "" };
    let found = format!("{} {}, {fires}{cost}{because}", used.tier, used.place);
    let state = match (proof, hook.lost) {
        (Some(Proof::Silent), Some(lost)) => RequirementState::Degraded {
            lost: lost.to_owned(),
            fix: "set hooks in [trace] to another value, and please report this".to_owned(),
        },
        (Some(Proof::Silent), None) => RequirementState::Missing {
            why: found.clone(),
            fix: "set process_hooks in [trace] to another value, and please report this".to_owned(),
        },
        (Some(Proof::Fires | Proof::Unknown) | None, _) => RequirementState::Good,
    };
    Requirement { name: hook.name, state, found }
}

/// What would bring back a hook that no program was taken for.
fn advice<'a>(mut obstacles: impl Iterator<Item = &'a Obstacle>) -> String {
    if tracefs::find().is_none() {
        return "mount tracefs at /sys/kernel/tracing (the service does so itself)".to_owned();
    }
    if obstacles.any(|obstacle| *obstacle == Obstacle::Forbidden) {
        return "set hooks and syscall_tracepoints in [trace] to \"auto\"".to_owned();
    }
    "use a kernel with CONFIG_KPROBES=y or CONFIG_FTRACE_SYSCALLS=y".to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tier::{HOOKS, PassedOver};
    use super::*;

    #[test]
    fn capabilities_are_read_from_status() {
        assert_eq!(effective_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n"), 0x1ff_ffff_ffff);
        assert_eq!(effective_capabilities("CapEff:\tnonsense"), 0);
        assert_eq!(effective_capabilities(""), 0);
    }

    #[test]
    fn a_hook_says_where_it_is_and_why_not_elsewhere() {
        let credentials = HOOKS.iter().find(|hook| hook.lost.is_some()).unwrap();
        let choice = |used: Option<usize>, passed_over| Choice {
            hook: credentials,
            used: used.map(|number| &credentials.candidates[number]),
            passed_over,
        };
        let no_fentry = PassedOver { tier: Tier::Fentry, why: Obstacle::FunctionsSealed };
        let fires = hook(&choice(Some(0), Vec::new()), Some(Proof::Fires));
        assert_eq!(fires.state, RequirementState::Good);
        assert!(fires.found.ends_with(", fires") && fires.found.starts_with("fentry "), "{}", fires.found);
        let costly = hook(&choice(Some(2), vec![no_fentry.clone()]), Some(Proof::Fires));
        assert!(costly.found.contains("costs every system call a little; no fentry: "), "{}", costly.found);
        let silent = hook(&choice(Some(1), vec![no_fentry.clone()]), Some(Proof::Silent));
        assert!(matches!(silent.state, RequirementState::Degraded { .. }), "{silent:?}");
        let none = hook(&choice(None, vec![no_fentry]), None);
        assert!(matches!(none.state, RequirementState::Degraded { .. }), "{none:?}");
        assert!(none.found.starts_with("none; no fentry: "), "{}", none.found);
    }

    #[test]
    fn a_required_hook_that_does_not_fire_is_a_problem() {
        let choice = Choice { hook: &HOOKS[0], used: HOOKS[0].candidates.first(), passed_over: Vec::new() };
        let silent = hook(&choice, Some(Proof::Silent));
        assert!(matches!(silent.state, RequirementState::Missing { .. }), "{silent:?}");
        assert_eq!(hook(&choice, Some(Proof::Unknown)).state, RequirementState::Good);
    }

    #[test]
    fn a_lockdown_matters_when_it_hides_memory() {
        assert!(lockdown("none integrity [confidentiality]\n").is_some());
        assert_eq!(lockdown("none [integrity] confidentiality\n"), None);
        assert_eq!(lockdown(""), None);
    }

    #[test]
    fn old_kernels_are_refused_and_untried_ones_noted() {
        let state = |release| kernel_version(release).state;
        assert!(matches!(state("5.4.0-1-amd64"), RequirementState::Missing { .. }));
        assert!(matches!(state("5.8.0"), RequirementState::Degraded { .. }));
        assert_eq!(state("5.10.0-32-cloud-amd64"), RequirementState::Good);
        assert_eq!(state("linux"), RequirementState::Good);
    }

    #[test]
    fn versions_are_read_from_releases() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.10"), Some((5, 10)));
        assert_eq!(version("linux"), None);
        assert!(version("5.4.0") < Some((5, 8)));
    }
}
