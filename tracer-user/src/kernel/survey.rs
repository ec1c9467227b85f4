//! What this kernel offers, for `login-tracer check`. As root one hook is attached for a moment; nothing else
//! is changed.

use std::fs;

use super::attach::{self, Hook, REQUIRED, Tier};
use super::offsets::{BTF_PATH, OffsetError, Types};
use super::tracefs;

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

/// Asks the kernel, `/proc` and tracefs.
pub fn survey() -> Survey {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut requirements = vec![privileges(), ring_buffer(&release)];
    match Types::of_running_kernel() {
        Ok(types) => requirements.extend([kernel_types(types.offsets().map(drop)), process_hooks(&types)]),
        Err(error) => requirements.push(kernel_types(Err(error))),
    }
    requirements.extend(optional_hooks());
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

/// Ring buffers came with Linux 5.8, `bpf_ktime_get_boot_ns` with 5.8 too.
fn ring_buffer(release: &str) -> Requirement {
    let state = match version(release) {
        Some(version) if version < (5, 8) => RequirementState::Missing {
            why: "kernels before 5.8 have no ring buffer for programs".to_owned(),
            fix: "use a kernel of 5.8 or later".to_owned(),
        },
        Some(_) | None => RequirementState::Good,
    };
    Requirement { name: "ring buffer", state, found: format!("Linux {release}") }
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

fn process_hooks(types: &Types) -> Requirement {
    let absent = REQUIRED.iter().find(|(_, hook)| !types.has_btf_tracepoint(hook));
    let state = match absent {
        None => RequirementState::Good,
        Some((_, hook)) => RequirementState::Missing {
            why: format!("the kernel has no tracepoint {hook}"),
            fix: "use a kernel with CONFIG_TRACEPOINTS=y and CONFIG_POSIX_TIMERS=y".to_owned(),
        },
    };
    Requirement { name: "process and timer hooks", state, found: "tier: BTF tracepoints".to_owned() }
}

fn optional_hooks() -> [Requirement; 2] {
    let hooks = [&attach::CREDENTIALS, &attach::LOG];
    match attach::try_hooks(hooks) {
        Ok([credentials, log]) => {
            [optional_hook(&attach::CREDENTIALS, credentials), optional_hook(&attach::LOG, log)]
        }
        Err(error) => hooks.map(|hook| Requirement {
            name: hook.name,
            state: RequirementState::Degraded {
                lost: "cannot be told without privileges".to_owned(),
                fix: "run `check` as root to see all of it".to_owned(),
            },
            found: error.to_string(),
        }),
    }
}

fn optional_hook(hook: &Hook, tier: Option<Tier>) -> Requirement {
    let degraded = |fix: &str| RequirementState::Degraded { lost: hook.lost.to_owned(), fix: fix.to_owned() };
    let (state, found) = match tier {
        Some(tier) => (RequirementState::Good, format!("tier: {}", tier.as_str())),
        None if tracefs::find().is_none() => (
            degraded("mount tracefs at /sys/kernel/tracing (the service does so itself)"),
            "no function of the kernel can be hooked, and there is no tracefs".to_owned(),
        ),
        None => (
            degraded("use a kernel with CONFIG_FTRACE_SYSCALLS=y"),
            "no function of the kernel can be hooked, and there is no tracepoint".to_owned(),
        ),
    };
    Requirement { name: hook.name, state, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_status() {
        assert_eq!(effective_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n"), 0x1ff_ffff_ffff);
        assert_eq!(effective_capabilities("CapEff:\tnonsense"), 0);
        assert_eq!(effective_capabilities(""), 0);
    }

    #[test]
    fn versions_are_read_from_releases() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.10"), Some((5, 10)));
        assert_eq!(version("linux"), None);
        assert!(version("5.4.0") < Some((5, 8)));
    }
}
