//! Loading the programs into the kernel and attaching them.

use std::any::Any;
use std::io;

use aya::programs::links::{FdLink, LinkError};
use aya::programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError, TracePoint};
use aya::{Btf, BtfError, Ebpf, EbpfLoader, Pod, include_bytes_aligned};
use thiserror::Error;
use tracer_ebpf::{CONTRACT_VERSION, Offsets};

use super::offsets::{self, OffsetError, Resolved};
use super::survey::version;
use super::tier::{self, Candidate, Choice, HOOKS, Hook, Obstacle, PassedOver, Place, Step};
use super::tracefs;
use crate::config::{ProbeLog, Trace};
use crate::event::Service;

/// The object file that `cargo xtask build-ebpf` made.
pub(super) static OBJECT: &[u8] = include_bytes_aligned!(env!("TRACER_PROBES"));

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
    #[error("the kernel cannot do what {key} in [trace] asks of the {hook}: {reasons}")]
    Forced { hook: &'static str, key: &'static str, reasons: String },
    #[error("the kernel takes no program for the {hook}: {reasons}")]
    Refused { hook: &'static str, reasons: String },
    #[error("the built-in programs lack {0}: this binary was not built by `cargo xtask build`")]
    Incomplete(&'static str),
}

/// Programs that record. They end with their links.
pub(super) struct Attached {
    pub(super) ebpf: Ebpf,
    pub(super) links: Links,
}

/// What keeps the programs attached, by the name of the hook.
pub(super) type Links = Vec<(&'static str, Link)>;

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
        tracing::warn!(%error, "no tracefs: programs cannot be attached to classic tracepoints");
    });
    let resolved = offsets::resolve(tracefs.as_deref().ok())?;
    let mut ebpf = load(config, resolved.offsets)?;
    let btf = btf()?;
    let (choices, links) = attach_hooks(&mut ebpf, &btf, config, &resolved)?;
    for choice in choices {
        let hook = choice.hook.name;
        let reasons = tier::reasons(&choice.passed_over);
        match (choice.used, choice.hook.lost) {
            (Some(Candidate { tier, place, .. }), _) => {
                tracing::info!(%tier, %place, "{hook}");
                if !reasons.is_empty() {
                    tracing::debug!(hook, reasons, "better hooks are not used");
                }
            }
            (None, lost) => tracing::warn!(lost, reasons, "no {hook}"),
        }
    }
    // The BTF took tens of megabytes in small pieces, which the allocator keeps unless asked.
    drop(btf);
    // SAFETY: it only returns free memory to the system.
    unsafe { libc::malloc_trim(0) };
    Ok(Attached { ebpf, links })
}

pub(super) fn load(config: &Trace, offsets: Offsets) -> Result<Ebpf, AttachError> {
    let log_level = match config.probe_log {
        ProbeLog::Off => 0,
        ProbeLog::Warn => aya_log::Level::Warn as u8,
        ProbeLog::Debug => aya_log::Level::Debug as u8,
    };
    EbpfLoader::new()
        .override_global("OFFSETS", &OffsetBytes(offsets), true)
        .override_global("DOORS", &doors(&config.services), true)
        .override_global("CONTRACT", &CONTRACT_VERSION, true)
        .override_global(aya_log::LEVEL, &log_level, false)
        .map_max_entries("EVENTS", config.ring_buffer_bytes)
        .load(OBJECT)
        .map_err(|error| {
            if is_permission(&error) { AttachError::NotPermitted } else { AttachError::Load(Box::new(error)) }
        })
}

/// The bits of what is watched.
fn doors(services: &[Service]) -> u32 {
    services.iter().fold(0, |bits, service| bits | super::door(*service) as u32)
}

/// The kernel's types, as the loader wants them.
pub(super) fn btf() -> Result<Btf, AttachError> {
    Btf::from_sys_fs().map_err(|error| AttachError::Load(Box::new(error)))
}

/// Attaches one program for each hook of the table, in its order: the first that is permitted and that the kernel takes.
/// An error where a required hook gets none, or where the configuration left no choice.
pub(super) fn attach_hooks(
    ebpf: &mut Ebpf,
    btf: &Btf,
    wish: &Trace,
    resolved: &Resolved,
) -> Result<(Vec<Choice>, Links), AttachError> {
    let (mut choices, mut links) = (Vec::new(), Vec::new());
    for hook in HOOKS {
        let (choice, link) = attach_hook(ebpf, btf, wish, resolved, hook)?;
        choices.push(choice);
        links.extend(link.map(|link| (hook.name, link)));
    }
    Ok((choices, links))
}

fn attach_hook(
    ebpf: &mut Ebpf,
    btf: &Btf,
    wish: &Trace,
    resolved: &Resolved,
    hook: &'static Hook,
) -> Result<(Choice, Option<Link>), AttachError> {
    let mut passed_over = Vec::new();
    for candidate in hook.candidates {
        let why = match tier::forbidden(candidate.tier, wish).or_else(|| undescribed(candidate, resolved)) {
            Some(obstacle) => obstacle,
            None => match attach_candidate(ebpf, btf, candidate)? {
                Ok(link) => return Ok((Choice { hook, used: Some(candidate), passed_over }, Some(link))),
                Err(refusal) => refusal,
            },
        };
        passed_over.push(PassedOver { tier: candidate.tier, why });
    }
    let is_refusal = |passed: &&PassedOver| passed.why != Obstacle::Forbidden;
    if let Some(key) = tier::forcing_key(hook, wish) {
        let refusals: Vec<_> = passed_over.iter().filter(is_refusal).cloned().collect();
        return Err(AttachError::Forced { hook: hook.name, key, reasons: tier::reasons(&refusals) });
    }
    if hook.lost.is_some() {
        return Ok((Choice { hook, used: None, passed_over }, None));
    }
    if passed_over.iter().any(|passed| passed.why == Obstacle::NotPermitted) {
        return Err(AttachError::NotPermitted);
    }
    Err(AttachError::Refused { hook: hook.name, reasons: tier::reasons(&passed_over) })
}

/// Why the record of the candidate's tracepoint cannot be read, if that is so.
fn undescribed(candidate: &Candidate, resolved: &Resolved) -> Option<Obstacle> {
    let Place::Tracepoint { category, name } = candidate.place else { return None };
    if candidate.tier == tier::Tier::BtfTracepoint {
        return None;
    }
    let path = format!("{category}/{name}");
    let (_, error) = resolved.undescribed.iter().find(|(tracepoint, _)| *tracepoint == path)?;
    Some(Obstacle::Other(chain(error)))
}

/// Loads and attaches a program. The inner error is the kernel's refusal, for which another program may make up; the
/// program is unloaded then.
fn attach_candidate(
    ebpf: &mut Ebpf,
    btf: &Btf,
    candidate: &Candidate,
) -> Result<Result<Link, Obstacle>, AttachError> {
    let program = ebpf.program_mut(candidate.program).ok_or(AttachError::Incomplete(candidate.program))?;
    let Some(place) = name_of(candidate.place) else {
        return Ok(Err(Obstacle::Absent("known name of this function".to_owned())));
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "the object has no programs of other kinds")]
    let attached = match program {
        Program::BtfTracePoint(program) => start(
            program,
            |program| program.load(&place, btf),
            |program| {
                let link = program.attach()?;
                program.take_link(link).map(|link| Link::Pinnable(link.into()))
            },
            BtfTracePoint::unload,
        ),
        Program::FEntry(program) => start(
            program,
            |program| program.load(&place, btf),
            |program| {
                let link = program.attach()?;
                program.take_link(link).map(|link| Link::Pinnable(link.into()))
            },
            FEntry::unload,
        ),
        Program::FExit(program) => start(
            program,
            |program| program.load(&place, btf),
            |program| {
                let link = program.attach()?;
                program.take_link(link).map(|link| Link::Pinnable(link.into()))
            },
            FExit::unload,
        ),
        Program::KProbe(program) => start(
            program,
            KProbe::load,
            |program| {
                let link = program.attach(&place, 0)?;
                program.take_link(link).and_then(Link::of_perf_event)
            },
            KProbe::unload,
        ),
        Program::TracePoint(program) => start(
            program,
            TracePoint::load,
            |program| match candidate.place {
                Place::Tracepoint { category, name } => {
                    let link = program.attach(category, name)?;
                    program.take_link(link).and_then(Link::of_perf_event)
                }
                Place::Function(_) => Err(ProgramError::UnexpectedProgramType),
            },
            TracePoint::unload,
        ),
        _ => Err((Step::Load, ProgramError::UnexpectedProgramType)),
    };
    Ok(attached.map_err(|(step, error)| refusal(candidate, step, &error)))
}

/// Loads and attaches; what cannot be attached is unloaded, since another one takes its place.
fn start<P>(
    program: &mut P,
    load: impl FnOnce(&mut P) -> Result<(), ProgramError>,
    attach: impl FnOnce(&mut P) -> Result<Link, ProgramError>,
    unload: impl FnOnce(&mut P) -> Result<(), ProgramError>,
) -> Result<Link, (Step, ProgramError)> {
    load(program).map_err(|error| (Step::Load, error))?;
    attach(program).map_err(|error| {
        if let Err(error) = unload(program) {
            tracing::warn!(%error, "a program that is not used stays in the kernel's memory");
        }
        (Step::Attach, error)
    })
}

/// The tracepoint's or function's name; `None` where this machine's name of the function is not known.
fn name_of(place: Place) -> Option<String> {
    match place {
        Place::Tracepoint { name, .. } => Some(name.to_owned()),
        Place::Function(function) => function.symbol(),
    }
}

fn refusal(candidate: &Candidate, step: Step, error: &ProgramError) -> Obstacle {
    tracing::debug!(error = error as &dyn std::error::Error, program = candidate.program, "refused");
    if let ProgramError::KProbeError(_) = error {
        return Obstacle::NoKprobes;
    }
    if let ProgramError::Btf(BtfError::UnknownBtfTypeName { .. }) = error {
        return Obstacle::Absent(format!("{} that programs can be attached to", candidate.place));
    }
    let errno = io_error(error).and_then(io::Error::raw_os_error);
    let mut said = chain(error);
    let mut is_explained = false;
    if let ProgramError::LoadError { io_error, verifier_log } = error {
        said = io_error.to_string();
        let log = verifier_log.to_string();
        if let Some(line) =
            log.lines().rfind(|line| !line.trim().is_empty() && !line.starts_with("processed "))
        {
            is_explained = true;
            said = format!("{said}: {}", crate::sanitize::line(line));
        }
    }
    tier::obstacle(candidate, step, errno, is_explained, said)
}

/// An error with all its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    crate::sanitize::line(&text)
}

/// The system's error, anywhere down the chain of causes.
fn io_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// Whether the kernel refused for want of a privilege.
fn is_permission(error: &(dyn std::error::Error + 'static)) -> bool {
    io_error(error).is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::OBJECT;

    #[test]
    fn no_debug_info_is_carried_about() {
        let has = |name: &[u8]| OBJECT.windows(name.len()).any(|bytes| bytes == name);
        assert!(has(b".BTF.ext\0"));
        assert!(!has(b".debug_info\0"));
    }
}
