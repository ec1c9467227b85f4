//! Loading the programs into the kernel, attaching them, and reading what they report.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use aya::maps::{HashMap, MapData, PerCpuArray, RingBuf};
use aya::programs::{BtfTracePoint, FExit, KProbe, ProgramError, TracePoint};
use aya::{Btf, Ebpf, EbpfLoader, Pod, include_bytes_aligned};
use aya_log::EbpfLogger;
use thiserror::Error;
use tracer_ebpf::descendant::{Descendant, UserIds};
use tracer_ebpf::{CONTRACT_VERSION, LOSS_COUNTERS, NAME_LEN, Offsets};

use super::decode::decode;
use super::offsets::{self, OffsetError};
use super::tracefs;
use crate::config::{Config, ProbeLog, Trace};
use crate::event::{Event, Process};

/// The object file that `cargo xtask build-ebpf` made.
static OBJECT: &[u8] = include_bytes_aligned!(env!("TRACER_PROBES"));

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

/// The running programs. Dropping it ends them.
pub struct Probes {
    events: RingBuf<MapData>,
    losses: PerCpuArray<MapData, u64>,
    processes: HashMap<MapData, u32, u32>,
    descendants: HashMap<MapData, u32, KnownDescendant>,
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    /// Holds the programs and their links.
    _ebpf: Ebpf,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").finish_non_exhaustive()
    }
}

/// [`Offsets`] as bytes for the loader.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct OffsetBytes(Offsets);

// SAFETY: `Offsets` is made of `u32` only, without padding (pinned by the contract's layout tests).
unsafe impl Pod for OffsetBytes {}

/// [`Descendant`] as a value of its map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct KnownDescendant(Descendant);

// SAFETY: `Descendant` is made of integers and bytes, without padding (pinned by the contract's layout tests).
unsafe impl Pod for KnownDescendant {}

impl Probes {
    /// Loads and attaches everything that this kernel offers. What is optional and cannot be attached is logged, with
    /// what is lost.
    pub fn attach(config: &Trace) -> Result<Self, AttachError> {
        let tracefs = tracefs::find_or_mount().inspect_err(|error| {
            tracing::warn!(%error, "no tracefs: the user id of a login comes from the account database only");
        });
        let offsets = resolve(tracefs.as_deref().ok())?;
        let mut ebpf = load(config, offsets)?;
        let btf = Btf::from_sys_fs().map_err(|error| AttachError::Load(Box::new(error)))?;
        for (program, tracepoint) in REQUIRED {
            attach_btf_tracepoint(&mut ebpf, program, tracepoint, &btf)?;
        }
        match attach_credential_hook(&mut ebpf, &btf, offsets.exit_setresuid_ret != 0) {
            Some(tier) => tracing::info!(tier = tier.as_str(), "credential hook"),
            None => {
                tracing::warn!(
                    "no credential hook: the user id of a login comes from the account database only"
                );
            }
        }
        match attach_escalation_hook(&mut ebpf, &btf) {
            Some(tier) => tracing::info!(tier = tier.as_str(), "hook for gained user ids"),
            None => tracing::warn!(
                "no hook for gained user ids: what sessions gain without a program is found when a process executes, \
                 forks or ends"
            ),
        }
        // The BTF took tens of megabytes in small pieces, which the allocator keeps unless asked.
        drop(btf);
        // SAFETY: it only returns free memory to the system.
        unsafe { libc::malloc_trim(0) };
        Self::from_loaded(ebpf, config.probe_log)
    }

    /// Takes the maps out of the loaded object.
    fn from_loaded(mut ebpf: Ebpf, probe_log: ProbeLog) -> Result<Self, AttachError> {
        let mut take = |name| ebpf.take_map(name).ok_or(AttachError::Incomplete(name));
        let wrong_kind = |error| AttachError::Load(Box::new(error));
        let events = RingBuf::try_from(take("EVENTS")?).map_err(wrong_kind)?;
        let losses = PerCpuArray::try_from(take("LOSSES")?).map_err(wrong_kind)?;
        let processes = HashMap::try_from(take("PROCESSES")?).map_err(wrong_kind)?;
        let descendants = HashMap::try_from(take("DESCENDANTS")?).map_err(wrong_kind)?;
        let log = match probe_log {
            ProbeLog::Off => None,
            ProbeLog::Warn | ProbeLog::Debug => EbpfLogger::init(&mut ebpf)
                .inspect_err(|error| tracing::warn!(%error, "the kernel programs' own log cannot be read"))
                .ok(),
        };
        Ok(Self { events, losses, processes, descendants, log, _ebpf: ebpf })
    }

    /// Follows a process that executes sshd already, from now on.
    pub fn follow(&mut self, pid: u32) -> io::Result<()> {
        self.processes.insert(pid, 0, 0).map_err(io::Error::other)
    }

    /// Follows a process that was there before, as a descendant of `root`, from now on; `false` if it is one already.
    ///
    /// `root_uid` is the user of the session, `uids` what the process has now: real, effective and saved.
    pub fn follow_descendant(
        &mut self,
        pid: u32,
        name: &str,
        uids: [u32; 3],
        root: Process,
        root_uid: u32,
    ) -> io::Result<bool> {
        if self.descendants.get(&pid, 0).is_ok() {
            return Ok(false);
        }
        let mut bytes = [0; NAME_LEN];
        // The last byte stays the text's end.
        bytes.iter_mut().take(NAME_LEN - 1).zip(name.bytes()).for_each(|(to, from)| *to = from);
        let [ruid, euid, suid] = uids;
        let descendant = Descendant {
            seen: UserIds { ruid, euid, suid },
            ..Descendant::root(root.pid, root.start.0, root_uid, bytes)
        };
        self.descendants.insert(pid, KnownDescendant(descendant), 0).map_err(io::Error::other)?;
        Ok(true)
    }

    /// Moves at most `limit` events into `events`, oldest first. Records that cannot be decoded are logged and counted
    /// as nothing: they are this program's fault, not the kernel's.
    pub fn drain(&mut self, limit: usize, events: &mut Vec<Event>) {
        for _ in 0..limit {
            let Some(record) = self.events.next() else {
                break;
            };
            match decode(&record) {
                Ok(event) => events.push(event),
                Err(error) => tracing::error!(%error, "a record of the kernel programs is not understood"),
            }
        }
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// How many facts were lost since the programs were loaded.
    pub fn losses(&self) -> u64 {
        let total = |index| self.losses.get(&index, 0).map_or(0, |counters| counters.iter().sum::<u64>());
        (0..LOSS_COUNTERS).map(total).sum()
    }
}

impl AsFd for Probes {
    /// Becomes readable when there are events.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
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
) -> Result<(), AttachError> {
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
    loaded.attach().map_err(failed).map(drop)
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
fn attach_credential_hook(ebpf: &mut Ebpf, btf: &Btf, has_tracepoint: bool) -> Option<CredentialTier> {
    let tried = |result: Result<(), AttachError>, tier| match result {
        Ok(()) => Some(tier),
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

/// Attaches what looks for user ids that are gained with no program executed; `None` if the kernel takes nothing of it.
fn attach_escalation_hook(ebpf: &mut Ebpf, btf: &Btf) -> Option<CredentialTier> {
    const FUNCTION: &str = "commit_creds";
    if attach_fexit(ebpf, "fexit_commit_creds", FUNCTION, btf).is_ok() {
        return Some(CredentialTier::Fexit);
    }
    if attach_kretprobe(ebpf, "kretprobe_commit_creds", FUNCTION).is_ok() {
        return Some(CredentialTier::Kretprobe);
    }
    // Beside `setresuid`, which has the credential hook.
    let calls = [("exit_setuid", "sys_exit_setuid"), ("exit_setreuid", "sys_exit_setreuid")];
    let attached = calls.map(|(program, hook)| attach_tracepoint(ebpf, program, "syscalls", hook));
    attached.iter().all(Result::is_ok).then_some(CredentialTier::Tracepoint)
}

/// Attaches the credential hook for a moment and says which tier the kernel takes: hooks that look as if they were there
/// are refused by some kernels.
pub(super) fn try_credential_hook() -> Result<Option<CredentialTier>, AttachError> {
    let offsets = resolve(tracefs::find().as_deref())?;
    let mut ebpf = load(&Config::default().trace, offsets)?;
    let btf = Btf::from_sys_fs().map_err(|error| AttachError::Load(Box::new(error)))?;
    Ok(attach_credential_hook(&mut ebpf, &btf, offsets.exit_setresuid_ret != 0))
}

fn attach_fexit(
    ebpf: &mut Ebpf,
    program: &'static str,
    function: &'static str,
    btf: &Btf,
) -> Result<(), AttachError> {
    let failed = |source| AttachError::Attach { program, hook: function, source: Box::new(source) };
    let loaded = ebpf.program_mut(program).ok_or(AttachError::Incomplete(program))?;
    let loaded: &mut FExit = loaded.try_into().map_err(failed)?;
    loaded.load(function, btf).map_err(failed)?;
    let attached = loaded.attach().map(drop);
    if attached.is_err() {
        // Another one takes its place.
        loaded.unload().map_err(failed)?;
    }
    attached.map_err(failed)
}

fn attach_kretprobe(
    ebpf: &mut Ebpf,
    program: &'static str,
    function: &'static str,
) -> Result<(), AttachError> {
    let failed = |source| AttachError::Attach { program, hook: function, source: Box::new(source) };
    let loaded = ebpf.program_mut(program).ok_or(AttachError::Incomplete(program))?;
    let loaded: &mut KProbe = loaded.try_into().map_err(failed)?;
    loaded.load().map_err(failed)?;
    let attached = loaded.attach(function, 0).map(drop);
    if attached.is_err() {
        loaded.unload().map_err(failed)?;
    }
    attached.map_err(failed)
}

fn attach_tracepoint(
    ebpf: &mut Ebpf,
    program: &'static str,
    category: &str,
    tracepoint: &'static str,
) -> Result<(), AttachError> {
    let failed = |source| AttachError::Attach { program, hook: tracepoint, source: Box::new(source) };
    let loaded = ebpf.program_mut(program).ok_or(AttachError::Incomplete(program))?;
    let loaded: &mut TracePoint = loaded.try_into().map_err(failed)?;
    loaded.load().map_err(failed)?;
    loaded.attach(category, tracepoint).map_err(failed).map(drop)
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
