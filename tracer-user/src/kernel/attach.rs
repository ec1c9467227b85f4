//! Loading the programs into the kernel and attaching them.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use aya::programs::links::{FdLink, LinkError};
use aya::programs::{BtfTracePoint, FExit, KProbe, ProgramError, TracePoint};
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
        tracing::warn!(%error, "no tracefs: the user id of a login comes from the account database only");
    });
    let offsets = resolve(tracefs.as_deref().ok())?;
    let mut ebpf = load(config, offsets)?;
    let btf = Btf::from_sys_fs().map_err(|error| AttachError::Load(Box::new(error)))?;
    let mut links = BTreeMap::new();
    for (program, tracepoint) in REQUIRED {
        links.insert(program, attach_btf_tracepoint(&mut ebpf, program, tracepoint, &btf)?);
    }
    match attach_credential_hook(&mut ebpf, &btf, offsets.exit_setresuid_ret != 0) {
        Some((tier, link)) => {
            tracing::info!(tier = tier.as_str(), "credential hook");
            links.insert("credential", link);
        }
        None => {
            tracing::warn!("no credential hook: the user id of a login comes from the account database only");
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
            tracing::warn!(error, "no credential hook: the kernel does not describe it");
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

/// Where the program sits that reads the user ids of a session. The cheapest first: a tracepoint on any system call
/// makes the kernel take the slow path of every system call of every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CredentialTier {
    /// At the exit of the system call's own function.
    Fexit,
    /// The same by a breakpoint.
    Kretprobe,
    /// On the system call's tracepoint.
    Tracepoint,
}

impl CredentialTier {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fexit => "fexit",
            Self::Kretprobe => "kretprobe",
            Self::Tracepoint => "system call tracepoint (costs every system call a little)",
        }
    }
}

/// Attaches the first of three programs that the kernel takes; `None` if it takes none.
fn attach_credential_hook(
    ebpf: &mut Ebpf,
    btf: &Btf,
    has_tracepoint: bool,
) -> Option<(CredentialTier, Link)> {
    let tried = |result: Result<Link, AttachError>, tier| match result {
        Ok(link) => Some((tier, link)),
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                ?tier,
                "no credential hook of this tier"
            );
            None
        }
    };
    if let Some(function) = setresuid_function() {
        let fexit = tried(attach_fexit(ebpf, "fexit_setresuid", function, btf), CredentialTier::Fexit);
        let attached = fexit.or_else(|| {
            tried(attach_kretprobe(ebpf, "kretprobe_setresuid", function), CredentialTier::Kretprobe)
        });
        if attached.is_some() {
            return attached;
        }
    }
    if !has_tracepoint {
        return None;
    }
    let attached = attach_tracepoint(ebpf, "exit_setresuid", "syscalls", "sys_exit_setresuid");
    tried(attached, CredentialTier::Tracepoint)
}

/// Attaches the credential hook for a moment and says which tier the kernel takes: hooks that look as if they were there
/// are refused by some kernels.
pub(super) fn try_credential_hook() -> Result<Option<CredentialTier>, AttachError> {
    let offsets = resolve(tracefs::find().as_deref())?;
    let mut ebpf = load(&Config::default().trace, offsets)?;
    let btf = Btf::from_sys_fs().map_err(|error| AttachError::Load(Box::new(error)))?;
    Ok(attach_credential_hook(&mut ebpf, &btf, offsets.exit_setresuid_ret != 0).map(|(tier, _)| tier))
}

fn attach_fexit(
    ebpf: &mut Ebpf,
    program: &'static str,
    function: &'static str,
    btf: &Btf,
) -> Result<Link, AttachError> {
    let failed = |source| AttachError::Attach { program, hook: function, source: Box::new(source) };
    let loaded = ebpf.program_mut(program).ok_or(AttachError::Incomplete(program))?;
    let loaded: &mut FExit = loaded.try_into().map_err(failed)?;
    loaded.load(function, btf).map_err(failed)?;
    let attached = loaded.attach().and_then(|link| loaded.take_link(link));
    if attached.is_err() {
        // Another one takes its place.
        loaded.unload().map_err(failed)?;
    }
    attached.map(|link| Link::Pinnable(link.into())).map_err(failed)
}

fn attach_kretprobe(
    ebpf: &mut Ebpf,
    program: &'static str,
    function: &'static str,
) -> Result<Link, AttachError> {
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
