//! Loading the programs into the kernel and attaching them.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use aya::programs::links::{FdLink, LinkError};
use aya::programs::{BtfTracePoint, FEntry, FExit, KProbe, ProgramError, TracePoint};
use aya::{Btf, Ebpf, EbpfLoader, Pod, include_bytes_aligned};
use thiserror::Error;
use tracer_ebpf::{CONTRACT_VERSION, Offsets};

use super::offsets::{self, OffsetError};
use super::survey::version;
use super::tracefs;
use crate::config::{Config, ProbeLog, Trace};

/// The object file that `cargo xtask build-ebpf` made.
pub(super) static OBJECT: &[u8] = include_bytes_aligned!(env!("TRACER_PROBES"));

/// The programs without which nothing can be traced, and the tracepoints they sit on.
pub(super) const REQUIRED: [(&str, &str); 4] = [
    ("process_exec", "sched_process_exec"),
    ("process_fork", "sched_process_fork"),
    ("process_exit", "sched_process_exit"),
    ("timer_state", "itimer_state"),
];

/// Something that is watched in the first of three ways that the kernel takes: by a program on a function of the kernel, by
/// one at a breakpoint there, or by one on the tracepoint of a system call.
#[derive(Debug)]
pub(super) struct Hook {
    /// As people know it.
    pub(super) name: &'static str,
    /// The name of its link among the pins.
    pin: &'static str,
    /// What is lost without it.
    pub(super) lost: &'static str,
    /// The function, `None` on machines whose name for it is not known.
    function: fn() -> Option<&'static str>,
    /// The programs: fentry or fexit, kprobe or kretprobe, tracepoint.
    programs: [&'static str; 3],
    tracepoint: &'static str,
}

/// The user ids of whoever was let in.
pub(super) const CREDENTIALS: Hook = Hook {
    name: "credential hook",
    pin: "credential",
    lost: "the user id comes from the account database only, none for accounts of directory services",
    function: setresuid_function,
    programs: ["fexit_setresuid", "kretprobe_setresuid", "exit_setresuid"],
    tracepoint: "sys_exit_setresuid",
};

/// What sshd tells the system log.
pub(super) const LOG: Hook = Hook {
    name: "log hook",
    pin: "log",
    lost: "how users prove who they are (method, key, certificate), and what attempts tried and why they failed",
    function: || Some("__sys_sendto"),
    programs: ["fentry_sendto", "kprobe_sendto", "enter_sendto"],
    tracepoint: "sys_enter_sendto",
};

/// The kernel's function for the system call `setresuid`; `None` on machines whose name for it is not known.
fn setresuid_function() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some("__x64_sys_setresuid"),
        "aarch64" => Some("__arm64_sys_setresuid"),
        _ => None,
    }
}

/// What keeps the programs from running.
#[derive(Debug, Error)]
pub enum AttachError {
    #[error(
        "the kernel does not permit this process to load programs: run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE"
    )]
    NotPermitted,
    #[error("cannot find the kernel's structures")]
    Offsets(#[from] OffsetError),
    #[error("cannot load the programs into the kernel")]
    Load(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot attach the program {program} to {hook}")]
    Attach { program: &'static str, hook: &'static str, source: Box<ProgramError> },
    #[error("the built-in programs lack {0}: this binary was not built by `cargo xtask build`")]
    Incomplete(&'static str),
}

/// Programs that record. They end with their links.
pub(super) struct Attached {
    pub(super) ebpf: Ebpf,
    /// By the name of the program.
    pub(super) links: BTreeMap<&'static str, Link>,
}

/// What keeps a program attached.
pub(super) enum Link {
    /// A file descriptor.
    Pinnable(FdLink),
    /// More than that; ends with this process.
    Bound(#[expect(dead_code, reason = "held, not read")] Box<dyn Any>),
}

impl Link {
    /// Before Linux 5.15 a file descriptor alone does not hold the link of a tracepoint or kprobe.
    fn of_perf_event<L>(link: L) -> Result<Self, ProgramError>
    where
        L: TryInto<FdLink, Error = LinkError> + 'static,
    {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        if version(&release) < Some((5, 15)) {
            return Ok(Self::Bound(Box::new(link)));
        }
        let link = link.try_into().map_err(|error| ProgramError::IOError(io::Error::other(error)))?;
        Ok(Self::Pinnable(link))
    }
}

/// [`Offsets`] as bytes for the loader.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct OffsetBytes(Offsets);

// SAFETY: `Offsets` is made of `u32` only, without padding (pinned by the contract's layout tests).
unsafe impl Pod for OffsetBytes {}

/// Loads and attaches everything that this kernel offers. What is optional and cannot be attached is logged, with
/// what is lost.
pub(super) fn attach(config: &Trace) -> Result<Attached, AttachError> {
    let tracefs = tracefs::find_or_mount().inspect_err(|error| {
        tracing::warn!(%error, "no tracefs: nothing can be learned from tracepoints of system calls");
    });
    let offsets = resolve(tracefs.as_deref().ok())?;
    let mut ebpf = load(config, offsets)?;
    let btf = Btf::from_sys_fs().map_err(|error| AttachError::Load(Box::new(error)))?;
    let mut links = BTreeMap::new();
    for (program, tracepoint) in REQUIRED {
        links.insert(program, attach_btf_tracepoint(&mut ebpf, program, tracepoint, &btf)?);
    }
    for hook in [&CREDENTIALS, &LOG] {
        match attach_hook(hook, &mut ebpf, &btf, has_tracepoints(&offsets)) {
            Some((tier, link)) => {
                tracing::info!(tier = tier.as_str(), "{}", hook.name);
                links.insert(hook.pin, link);
            }
            None => tracing::warn!("no {}; lost: {}", hook.name, hook.lost),
        }
    }
    // The BTF took tens of megabytes in small pieces, which the allocator keeps unless asked.
    drop(btf);
    // SAFETY: it only returns free memory to the system.
    unsafe { libc::malloc_trim(0) };
    Ok(Attached { ebpf, links })
}

fn resolve(tracefs: Option<&Path>) -> Result<Offsets, OffsetError> {
    match offsets::resolve(tracefs) {
        Err(error @ (OffsetError::Format { .. } | OffsetError::NoFormatField { .. })) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "no hook on tracepoints of system calls: the kernel does not describe them"
            );
            offsets::resolve(None)
        }
        result => result,
    }
}

fn load(config: &Trace, offsets: Offsets) -> Result<Ebpf, AttachError> {
    let log_level = match config.probe_log {
        ProbeLog::Off => 0,
        ProbeLog::Warn => aya_log::Level::Warn as u8,
        ProbeLog::Debug => aya_log::Level::Debug as u8,
    };
    EbpfLoader::new()
        .override_global("OFFSETS", &OffsetBytes(offsets), true)
        .override_global("CONTRACT", &CONTRACT_VERSION, true)
        .override_global(aya_log::LEVEL, &log_level, false)
        .map_max_entries("EVENTS", config.ring_buffer_bytes)
        .load(OBJECT)
        .map_err(|error| {
            if is_permission(&error) { AttachError::NotPermitted } else { AttachError::Load(Box::new(error)) }
        })
}

fn attach_btf_tracepoint(
    ebpf: &mut Ebpf,
    program: &'static str,
    tracepoint: &'static str,
    btf: &Btf,
) -> Result<Link, AttachError> {
    let failed = |source| {
        if is_permission(&source) {
            AttachError::NotPermitted
        } else {
            AttachError::Attach { program, hook: tracepoint, source: Box::new(source) }
        }
    };
    let loaded = ebpf.program_mut(program).ok_or(AttachError::Incomplete(program))?;
    let loaded: &mut BtfTracePoint = loaded.try_into().map_err(failed)?;
    loaded.load(tracepoint, btf).map_err(failed)?;
    let link = loaded.attach().map_err(failed)?;
    loaded.take_link(link).map(|link| Link::Pinnable(link.into())).map_err(failed)
}

/// Where the program of a [`Hook`] sits. The cheapest first: a tracepoint on any system call makes the kernel take the
/// slow path of every system call of every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    /// At the entry or exit of the kernel's own function.
    Trampoline,
    /// The same by a breakpoint.
    Probe,
    /// On the system call's tracepoint.
    Tracepoint,
}

impl Tier {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Trampoline => "fentry or fexit",
            Self::Probe => "kprobe or kretprobe",
            Self::Tracepoint => "system call tracepoint (costs every system call a little)",
        }
    }
}

fn has_tracepoints(offsets: &Offsets) -> bool {
    offsets.exit_setresuid_ret != 0
}

/// Attaches the first of the hook's programs that the kernel takes; `None` if it takes none.
fn attach_hook(hook: &Hook, ebpf: &mut Ebpf, btf: &Btf, has_tracepoint: bool) -> Option<(Tier, Link)> {
    let tried = |result: Result<Link, AttachError>, tier| match result {
        Ok(link) => Some((tier, link)),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, ?tier, "no {} of this tier", hook.name);
            None
        }
    };
    let [trampoline, probe, tracepoint] = hook.programs;
    if let Some(function) = (hook.function)() {
        let attached = tried(attach_trampoline(ebpf, trampoline, function, btf), Tier::Trampoline)
            .or_else(|| tried(attach_probe(ebpf, probe, function), Tier::Probe));
        if attached.is_some() {
            return attached;
        }
    }
    if !has_tracepoint {
        return None;
    }
    tried(attach_tracepoint(ebpf, tracepoint, "syscalls", hook.tracepoint), Tier::Tracepoint)
}

/// Attaches hooks for a moment and says which tier the kernel takes: hooks that look as if they were there are refused
/// by some kernels.
pub(super) fn try_hooks<const N: usize>(hooks: [&Hook; N]) -> Result<[Option<Tier>; N], AttachError> {
    let offsets = resolve(tracefs::find().as_deref())?;
    let mut ebpf = load(&Config::default().trace, offsets)?;
    let btf = Btf::from_sys_fs().map_err(|error| AttachError::Load(Box::new(error)))?;
    Ok(hooks.map(|hook| attach_hook(hook, &mut ebpf, &btf, has_tracepoints(&offsets)).map(|(tier, _)| tier)))
}

fn attach_trampoline(
    ebpf: &mut Ebpf,
    program: &'static str,
    function: &'static str,
    btf: &Btf,
) -> Result<Link, AttachError> {
    let failed = |source| AttachError::Attach { program, hook: function, source: Box::new(source) };
    let loaded = ebpf.program_mut(program).ok_or(AttachError::Incomplete(program))?;
    if let Ok(entry) = <&mut FEntry>::try_from(&mut *loaded) {
        entry.load(function, btf).map_err(failed)?;
        let attached = entry.attach().and_then(|link| entry.take_link(link));
        if attached.is_err() {
            // Another one takes its place.
            entry.unload().map_err(failed)?;
        }
        return attached.map(|link| Link::Pinnable(link.into())).map_err(failed);
    }
    let exit: &mut FExit = loaded.try_into().map_err(failed)?;
    exit.load(function, btf).map_err(failed)?;
    let attached = exit.attach().and_then(|link| exit.take_link(link));
    if attached.is_err() {
        exit.unload().map_err(failed)?;
    }
    attached.map(|link| Link::Pinnable(link.into())).map_err(failed)
}

fn attach_probe(ebpf: &mut Ebpf, program: &'static str, function: &'static str) -> Result<Link, AttachError> {
    let failed = |source| AttachError::Attach { program, hook: function, source: Box::new(source) };
    let loaded = ebpf.program_mut(program).ok_or(AttachError::Incomplete(program))?;
    let loaded: &mut KProbe = loaded.try_into().map_err(failed)?;
    loaded.load().map_err(failed)?;
    let attached = loaded.attach(function, 0).and_then(|link| loaded.take_link(link));
    if attached.is_err() {
        loaded.unload().map_err(failed)?;
    }
    attached.and_then(Link::of_perf_event).map_err(failed)
}

fn attach_tracepoint(
    ebpf: &mut Ebpf,
    program: &'static str,
    category: &str,
    tracepoint: &'static str,
) -> Result<Link, AttachError> {
    let failed = |source| AttachError::Attach { program, hook: tracepoint, source: Box::new(source) };
    let loaded = ebpf.program_mut(program).ok_or(AttachError::Incomplete(program))?;
    let loaded: &mut TracePoint = loaded.try_into().map_err(failed)?;
    loaded.load().map_err(failed)?;
    let link = loaded.attach(category, tracepoint).map_err(failed)?;
    loaded.take_link(link).and_then(Link::of_perf_event).map_err(failed)
}

/// Whether the kernel refused for want of a privilege, anywhere down the chain of causes.
fn is_permission(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::PermissionDenied;
        }
        cause = error.source();
    }
    false
}
