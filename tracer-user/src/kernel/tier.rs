//! The hooks, and in which order their programs are tried: a table, and what it means that the kernel refuses one.
//!
//! Each hook has several programs that report the same facts, the best one first; the loader takes the first that is
//! permitted and that the kernel takes. A new hook is a row in [`HOOKS`].

use std::fmt;

use crate::config::{CallHooks, ProcessHooks, SyscallTracepoints, Trace};

/// How a program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    /// On a tracepoint, with typed arguments.
    BtfTracepoint,
    /// On the same tracepoint, with a record.
    ClassicTracepoint,
    /// At the entry or exit of a function of the kernel, by a direct call.
    Fentry,
    /// The same by a breakpoint.
    Kprobe,
    /// On the tracepoint of a system call, which makes the kernel take the slow path of all system calls of all processes.
    SyscallTracepoint,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BtfTracepoint => "BTF tracepoint",
            Self::ClassicTracepoint => "classic tracepoint",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::SyscallTracepoint => "system call tracepoint",
        })
    }
}

/// A function of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// That of a system call, whose name depends on the machine.
    SystemCall(&'static str),
    /// One that has the same name everywhere.
    Named(&'static str),
}

impl Function {
    /// `None` on machines whose name for it is not known.
    pub(super) fn symbol(self) -> Option<String> {
        match (self, std::env::consts::ARCH) {
            (Self::Named(name), _) => Some(name.to_owned()),
            (Self::SystemCall(name), "x86_64") => Some(format!("__x64_sys_{name}")),
            (Self::SystemCall(name), "aarch64") => Some(format!("__arm64_sys_{name}")),
            (Self::SystemCall(_), _) => None,
        }
    }
}

/// Where a program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Tracepoint { category: &'static str, name: &'static str },
    Function(Function),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracepoint { name, .. } => f.write_str(name),
            Self::Function(function) => f.write_str(&function.symbol().unwrap_or_default()),
        }
    }
}

/// One of the programs of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) tier: Tier,
    /// Its name in the object file. Whether it is for entry or exit of a function stands there, too.
    pub(super) program: &'static str,
    pub(super) place: Place,
}

const fn btf(category: &'static str, name: &'static str, program: &'static str) -> Candidate {
    Candidate { tier: Tier::BtfTracepoint, program, place: Place::Tracepoint { category, name } }
}

const fn classic(category: &'static str, name: &'static str, program: &'static str) -> Candidate {
    Candidate { tier: Tier::ClassicTracepoint, program, place: Place::Tracepoint { category, name } }
}

const fn fentry(function: Function, program: &'static str) -> Candidate {
    Candidate { tier: Tier::Fentry, program, place: Place::Function(function) }
}

const fn kprobe(function: Function, program: &'static str) -> Candidate {
    Candidate { tier: Tier::Kprobe, program, place: Place::Function(function) }
}

const fn syscall(name: &'static str, program: &'static str) -> Candidate {
    Candidate {
        tier: Tier::SyscallTracepoint,
        program,
        place: Place::Tracepoint { category: "syscalls", name },
    }
}

/// Something that is watched in the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hook {
    pub(super) name: &'static str,
    /// What is lost without it; `None`: nothing can be traced.
    pub(super) lost: Option<&'static str>,
    /// The best one first.
    pub(super) candidates: &'static [Candidate],
}

const SETRESUID: Function = Function::SystemCall("setresuid");
const SETREUID: Function = Function::SystemCall("setreuid");
const COMMIT_CREDS: Function = Function::Named("commit_creds");
/// Behind `sendto` and `send`, on all machines.
const SENDTO: Function = Function::Named("__sys_sendto");

/// All hooks. Those that are required come first: once they are attached, a refusal of another one is no matter of rights.
pub(super) const HOOKS: &[Hook] = &[
    Hook {
        name: "exec hook",
        lost: None,
        candidates: &[
            btf("sched", "sched_process_exec", "process_exec"),
            classic("sched", "sched_process_exec", "classic_exec"),
        ],
    },
    Hook {
        name: "fork hook",
        lost: None,
        candidates: &[
            btf("sched", "sched_process_fork", "process_fork"),
            classic("sched", "sched_process_fork", "classic_fork"),
        ],
    },
    Hook {
        name: "exit hook",
        lost: None,
        candidates: &[
            btf("sched", "sched_process_exit", "process_exit"),
            classic("sched", "sched_process_exit", "classic_exit"),
        ],
    },
    Hook {
        name: "timer hook",
        lost: None,
        candidates: &[
            btf("timer", "itimer_state", "timer_state"),
            classic("timer", "itimer_state", "classic_timer"),
        ],
    },
    Hook {
        name: "credential hook",
        lost: Some(
            "the user id comes from the account database only, none for accounts of directory services",
        ),
        candidates: &[
            fentry(SETRESUID, "fexit_setresuid"),
            kprobe(SETRESUID, "kretprobe_setresuid"),
            syscall("sys_exit_setresuid", "exit_setresuid"),
        ],
    },
    Hook {
        name: "escalation hook",
        lost: Some(
            "user ids that sessions gain with no program executed are found when the process executes, forks or ends",
        ),
        candidates: &[
            fentry(COMMIT_CREDS, "fexit_commit_creds"),
            kprobe(COMMIT_CREDS, "kretprobe_commit_creds"),
            syscall("sys_exit_setuid", "exit_setuid"),
        ],
    },
    Hook {
        name: "second escalation hook",
        lost: Some("nothing with the escalation hook on fentry or kprobe, else the same as without it"),
        candidates: &[
            fentry(SETREUID, "fexit_setreuid"),
            kprobe(SETREUID, "kretprobe_setreuid"),
            syscall("sys_exit_setreuid", "exit_setreuid"),
        ],
    },
    Hook {
        name: "log hook",
        lost: Some(
            "how users prove who they are (method, key, certificate), what attempts tried, and sessions of Dropbear that run no program",
        ),
        candidates: &[
            fentry(SENDTO, "fentry_sendto"),
            kprobe(SENDTO, "kprobe_sendto"),
            // Not at the entry where that can be helped: all other ones are at exits.
            syscall("sys_exit_sendto", "exit_sendto"),
            syscall("sys_enter_sendto", "enter_sendto"),
        ],
    },
];

/// The configuration's key that leaves no choice of tiers for this hook, so that not getting it is an error.
pub(super) fn forcing_key(hook: &Hook, wish: &Trace) -> Option<&'static str> {
    match hook.lost {
        None => (wish.process_hooks != ProcessHooks::Auto).then_some("process_hooks"),
        Some(_) => (wish.hooks != CallHooks::Auto).then_some("hooks"),
    }
}

/// Why the configuration forbids a tier, if it does.
pub(super) fn forbidden(tier: Tier, wish: &Trace) -> Option<Obstacle> {
    let is_permitted = match tier {
        Tier::BtfTracepoint => wish.process_hooks != ProcessHooks::Classic,
        Tier::ClassicTracepoint => wish.process_hooks != ProcessHooks::Btf,
        Tier::Fentry => matches!(wish.hooks, CallHooks::Auto | CallHooks::Fentry),
        Tier::Kprobe => matches!(wish.hooks, CallHooks::Auto | CallHooks::Kprobe),
        Tier::SyscallTracepoint => {
            wish.syscall_tracepoints != SyscallTracepoints::Never
                && matches!(wish.hooks, CallHooks::Auto | CallHooks::Tracepoint)
        }
    };
    (!is_permitted).then_some(Obstacle::Forbidden)
}

/// What came of a hook.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) hook: &'static Hook,
    /// `None`: what the hook reports is lost.
    pub(super) used: Option<&'static Candidate>,
    /// The better ones, and why they are not used.
    pub(super) passed_over: Vec<PassedOver>,
}

/// A program that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PassedOver {
    pub(super) tier: Tier,
    pub(super) why: Obstacle,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {}: {}", self.tier, self.why)
    }
}

/// All of them in one line.
pub(super) fn reasons(passed_over: &[PassedOver]) -> String {
    passed_over.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why a program is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// By the configuration.
    Forbidden,
    /// This process lacks a privilege.
    NotPermitted,
    /// The kernel loads programs, but none that change its functions.
    FunctionsSealed,
    /// The kernel has no such function or tracepoint.
    Absent(String),
    /// Functions cannot call programs directly on this machine.
    NoDirectCalls,
    /// The kernel was built without kprobes.
    NoKprobes,
    /// The right to open performance events is missing, although other programs may be loaded.
    NoPerfEvents,
    /// Whatever else was said.
    Other(String),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => f.write_str("the configuration forbids it"),
            Self::NotPermitted => f.write_str("this process may not load it"),
            Self::FunctionsSealed => f.write_str(
                "this kernel lets nobody change its functions, as hardened kernels and those of some virtual machines do",
            ),
            Self::Absent(what) => write!(f, "this kernel has no {what}"),
            Self::NoDirectCalls => f.write_str("this kernel's functions cannot call programs on this processor"),
            Self::NoKprobes => f.write_str("this kernel was built without CONFIG_KPROBES"),
            Self::NoPerfEvents => f.write_str(
                "this process may not open performance events: it lacks CAP_PERFMON, or kernel.perf_event_paranoid is too strict",
            ),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// What the loader was doing when the kernel refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Load,
    Attach,
}

/// `ENOTSUPP` of `include/linux/errno.h`, which no C library knows.
const ENOTSUPP: i32 = 524;

/// What a refusal means. `said` is the kernel's own word; with `is_explained` it comes from the verifier.
pub(super) fn obstacle(
    candidate: &Candidate,
    step: Step,
    errno: Option<i32>,
    is_explained: bool,
    said: String,
) -> Obstacle {
    match (candidate.tier, step, errno) {
        (Tier::Fentry, Step::Load, Some(libc::EPERM)) if !is_explained => Obstacle::FunctionsSealed,
        (_, Step::Load, Some(libc::EPERM)) if !is_explained => Obstacle::NotPermitted,
        (Tier::Fentry, Step::Attach, Some(ENOTSUPP | libc::EOPNOTSUPP)) => Obstacle::NoDirectCalls,
        (Tier::Kprobe, Step::Attach, Some(libc::ENOENT)) => {
            Obstacle::Absent(format!("function {}", candidate.place))
        }
        (
            Tier::Kprobe | Tier::ClassicTracepoint | Tier::SyscallTracepoint,
            Step::Attach,
            Some(libc::EACCES | libc::EPERM),
        ) => Obstacle::NoPerfEvents,
        _ => Obstacle::Other(said),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;

    fn wish(hooks: CallHooks, process_hooks: ProcessHooks, syscall_tracepoints: SyscallTracepoints) -> Trace {
        Trace { hooks, process_hooks, syscall_tracepoints, ..Config::default().trace }
    }

    fn permitted(hook: &Hook, wish: &Trace) -> Vec<Tier> {
        let tiers = hook.candidates.iter().map(|candidate| candidate.tier);
        tiers.filter(|tier| forbidden(*tier, wish).is_none()).collect()
    }

    fn hook(name: &str) -> &'static Hook {
        HOOKS.iter().find(|hook| hook.name == name).unwrap()
    }

    #[test]
    fn without_a_wish_all_tiers_are_tried_the_best_one_first() {
        let wish = Config::default().trace;
        assert_eq!(permitted(hook("exec hook"), &wish), [Tier::BtfTracepoint, Tier::ClassicTracepoint]);
        let all = [Tier::Fentry, Tier::Kprobe, Tier::SyscallTracepoint];
        assert_eq!(permitted(hook("credential hook"), &wish), all);
        let of_log_hook = permitted(hook("log hook"), &wish);
        assert_eq!(
            of_log_hook,
            [all.as_slice(), &[Tier::SyscallTracepoint]].concat(),
            "at the exit, else the entry"
        );
        assert!(HOOKS.iter().all(|hook| forcing_key(hook, &wish).is_none()));
    }

    #[test]
    fn a_wish_leaves_one_tier() {
        use SyscallTracepoints::{Auto, Never};
        for (hooks, process_hooks, expected) in [
            (CallHooks::Fentry, ProcessHooks::Btf, [Tier::BtfTracepoint, Tier::Fentry]),
            (CallHooks::Kprobe, ProcessHooks::Classic, [Tier::ClassicTracepoint, Tier::Kprobe]),
            (CallHooks::Tracepoint, ProcessHooks::Btf, [Tier::BtfTracepoint, Tier::SyscallTracepoint]),
        ] {
            let wish = wish(hooks, process_hooks, Auto);
            assert_eq!(permitted(hook("fork hook"), &wish), [expected[0]]);
            assert_eq!(permitted(hook("credential hook"), &wish), [expected[1]]);
            assert!(HOOKS.iter().all(|hook| forcing_key(hook, &wish).is_some()));
        }
        let wish = wish(CallHooks::Auto, ProcessHooks::Auto, Never);
        assert_eq!(permitted(hook("credential hook"), &wish), [Tier::Fentry, Tier::Kprobe]);
    }

    #[test]
    fn the_table_is_sound() {
        let programs: Vec<_> =
            HOOKS.iter().flat_map(|hook| hook.candidates).map(|candidate| candidate.program).collect();
        assert_eq!(programs.iter().collect::<BTreeSet<_>>().len(), programs.len(), "each program once");
        let required = HOOKS.iter().take_while(|hook| hook.lost.is_none()).count();
        assert!(HOOKS[required..].iter().all(|hook| hook.lost.is_some()), "required ones first");
        for candidate in HOOKS.iter().flat_map(|hook| hook.candidates) {
            let is_function = matches!(candidate.place, Place::Function(_));
            assert_eq!(is_function, matches!(candidate.tier, Tier::Fentry | Tier::Kprobe), "{candidate:?}");
        }
    }

    #[test]
    fn refusals_are_understood() {
        let [fentry, kprobe, syscall] = hook("credential hook").candidates else { panic!() };
        let why = |candidate, step, errno, is_explained| {
            obstacle(candidate, step, Some(errno), is_explained, "said".to_owned())
        };
        let said = Obstacle::Other("said".to_owned());
        assert_eq!(why(fentry, Step::Load, libc::EPERM, false), Obstacle::FunctionsSealed);
        assert_eq!(why(fentry, Step::Load, libc::EPERM, true), said, "the verifier has given a reason");
        assert_eq!(why(fentry, Step::Load, libc::EINVAL, false), said);
        assert_eq!(why(fentry, Step::Attach, ENOTSUPP, false), Obstacle::NoDirectCalls);
        assert_eq!(why(kprobe, Step::Load, libc::EPERM, false), Obstacle::NotPermitted);
        assert!(matches!(why(kprobe, Step::Attach, libc::ENOENT, false), Obstacle::Absent(_)));
        assert_eq!(why(syscall, Step::Attach, libc::EACCES, false), Obstacle::NoPerfEvents);
        assert_eq!(obstacle(syscall, Step::Attach, None, false, "said".to_owned()), said);
    }
}
