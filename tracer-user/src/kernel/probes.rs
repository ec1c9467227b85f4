//! The programs at work: takes over those that an earlier start left in the kernel, or loads new ones.
//!
//! Promises: programs that are pinned record from their first attachment until [`Pins::remove_all`], whoever reads.
//! Programs of another version are replaced only when the new ones record already: [`Earlier`] is what the old ones
//! still have to tell. Where nothing can be pinned, the programs end with the process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{HashMap, Map, MapData, MapError, PerCpuArray};
use aya::programs::links::{FdLink, PinnedLink};
use aya_log::EbpfLogger;
use tracer_ebpf::{CONTRACT_VERSION, LOSS_COUNTERS};
use uuid::Uuid;

use super::attach::{self, AttachError, Attached, Link, Links};
use super::decode::decode;
use super::descendants::Descendants;
use super::pins::{Generation, Pins};
use super::ring::Ring;
use super::tier::HOOKS;
use crate::config::{ProbeLog, Trace};
use crate::event::{Event, Service};

/// The maps that the loader uses.
const EVENTS: &str = "EVENTS";
const LOSSES: &str = "LOSSES";
const PROCESSES: &str = "PROCESSES";
const DESCENDANTS: &str = "DESCENDANTS";

/// The running programs, as far as the loader has to do with them.
pub struct Probes {
    ring: Ring,
    losses: PerCpuArray<MapData, u64>,
    processes: HashMap<MapData, u32, u32>,
    descendants: Descendants,
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    /// Where they are pinned.
    generation: Option<Generation>,
    /// Held here where they are not pinned.
    _links: Links,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Probes {
    /// Takes over the programs that are pinned, if they are these very programs with these settings; else loads them,
    /// attaches everything that this kernel offers, and pins it.
    ///
    /// The second value are programs of earlier versions, which record as well until they are [ended](Earlier::end).
    pub fn start(config: &Trace, pins: Option<&Pins>) -> Result<(Self, Vec<Earlier>), AttachError> {
        let kind = kind(config);
        let mut found = pins.map(Pins::generations).unwrap_or_default();
        let same = found.iter().rposition(|generation| generation.kind() == kind);
        let taken_over = same.map(|place| found.remove(place)).and_then(|generation| {
            Self::take_over(generation.clone(), config.probe_log)
                .inspect_err(|error| {
                    tracing::warn!(%error, ?generation, "programs of an earlier start cannot be taken over");
                    discard(&generation);
                })
                .ok()
        });
        let probes = match taken_over {
            Some(probes) => {
                tracing::info!(generation = probes.generation(), "took over the programs in the kernel");
                probes
            }
            None => Self::load(config, pins, &kind)?,
        };
        Ok((probes, found.into_iter().filter_map(Earlier::open).collect()))
    }

    fn load(config: &Trace, pins: Option<&Pins>, kind: &str) -> Result<Self, AttachError> {
        let attached = attach::attach(config)?;
        let Some(pins) = pins else { return Self::from_attached(attached, config.probe_log) };
        match pin(attached, pins, kind) {
            Ok(generation) => Self::take_over(generation, config.probe_log)
                .map_err(|error| AttachError::Load(Box::new(error))),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the programs cannot be pinned: while the trace role does not run, nothing is recorded"
                );
                Self::from_attached(attach::attach(config)?, config.probe_log)
            }
        }
    }

    fn from_attached(mut attached: Attached, probe_log: ProbeLog) -> Result<Self, AttachError> {
        let mut take = |name| {
            let map = attached.ebpf.take_map(name).ok_or(AttachError::Incomplete(name))?;
            data(map).ok_or(AttachError::Incomplete(name))
        };
        let maps = [take(EVENTS)?, take(LOSSES)?, take(PROCESSES)?, take(DESCENDANTS)?];
        let log = (probe_log != ProbeLog::Off).then(|| EbpfLogger::init(&mut attached.ebpf));
        Self::from_maps(maps, readable(log), None, attached.links)
            .map_err(|error| AttachError::Load(Box::new(error)))
    }

    fn take_over(generation: Generation, probe_log: ProbeLog) -> io::Result<Self> {
        let map = |name| MapData::from_pin(generation.pin(name)).map_err(io::Error::other);
        let mut program = 0;
        for hook in HOOKS.iter().filter(|hook| hook.lost.is_none()) {
            let link =
                PinnedLink::from_pin(generation.pin(&link_pin(hook.name))).map_err(io::Error::other)?;
            program = FdLink::from(link).info().map_err(io::Error::other)?.program_id();
        }
        let log = (probe_log != ProbeLog::Off).then(|| EbpfLogger::init_from_id(program));
        let maps = [map(EVENTS)?, map(LOSSES)?, map(PROCESSES)?, map(DESCENDANTS)?];
        Self::from_maps(maps, readable(log), Some(generation), Vec::new())
    }

    /// The maps in the order of their names above.
    fn from_maps(
        [events, losses, processes, descendants]: [MapData; 4],
        log: Option<EbpfLogger<&'static dyn log::Log>>,
        generation: Option<Generation>,
        links: Links,
    ) -> io::Result<Self> {
        Ok(Self {
            ring: Ring::open(events)?,
            losses: PerCpuArray::try_from(Map::PerCpuArray(losses)).map_err(io::Error::other)?,
            processes: HashMap::try_from(Map::HashMap(processes)).map_err(io::Error::other)?,
            descendants: Descendants::open(descendants)?,
            log,
            generation,
            _links: links,
        })
    }

    /// The name under which they are pinned; `None` where they end with this process.
    pub fn generation(&self) -> Option<String> {
        self.generation.as_ref().map(Generation::name)
    }

    /// Follows a process that executes the image of a door already, from now on, unless it is followed. Says whether it was
    /// not.
    pub fn follow(&mut self, pid: u32, door: Service) -> io::Result<bool> {
        /// `BPF_NOEXIST` of `include/uapi/linux/bpf.h`.
        const NEW: u64 = 1;
        match self.processes.insert(pid, super::door(door) as u32, NEW) {
            Ok(()) => Ok(true),
            Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(false)
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// What descends from sessions.
    pub fn descendants(&mut self) -> &mut Descendants {
        &mut self.descendants
    }

    /// Moves at most `limit` events into `events`, oldest first. Records that cannot be decoded are logged and counted
    /// as nothing: they are this program's fault, not the kernel's.
    pub fn drain(&mut self, limit: usize, events: &mut Vec<Event>) {
        drain(&mut self.ring, limit, events);
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// How many facts were lost since the programs were loaded.
    pub fn losses(&self) -> u64 {
        let total = |index| self.losses.get(&index, 0).map_or(0, |counters| counters.iter().sum::<u64>());
        (0..LOSS_COUNTERS).map(total).sum()
    }

    /// Where the next event will be read.
    pub fn position(&self) -> u64 {
        self.ring.position()
    }

    /// Goes on reading at a position of an earlier process. Says whether it is still known.
    pub fn resume_at(&mut self, position: u64) -> bool {
        self.ring.resume_at(position)
    }

    /// Forgets all events that were drained: they will not be needed again.
    pub fn release(&mut self) {
        self.ring.release();
    }

    /// Whether events were drained and not released.
    pub fn holds_any(&self) -> bool {
        self.ring.held_bytes() > 0
    }

    /// Whether events that were not released take a good part of the buffer: room that a storm will need.
    pub fn holds_many(&self) -> bool {
        self.ring.held_bytes() > self.ring.size() / 8
    }
}

impl AsFd for Probes {
    /// Becomes readable anew with each event.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

/// Programs that an earlier version left in the kernel.
#[derive(Debug)]
pub struct Earlier {
    ring: Ring,
    generation: Generation,
}

impl Earlier {
    /// `None` for programs whose records this version does not understand; they are ended.
    fn open(generation: Generation) -> Option<Self> {
        let contract = generation.kind().split('-').next().and_then(|number| number.parse().ok());
        let opened = if contract == Some(CONTRACT_VERSION) {
            MapData::from_pin(generation.pin(EVENTS)).map_err(io::Error::other).and_then(Ring::open)
        } else {
            Err(io::Error::from(io::ErrorKind::Unsupported))
        };
        match opened {
            Ok(ring) => Some(Self { ring, generation }),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "what programs of another version recorded cannot be read: open sessions are found in /proc"
                );
                discard(&generation);
                None
            }
        }
    }

    /// See [`Probes::generation`].
    pub fn generation(&self) -> String {
        self.generation.name()
    }

    /// See [`Probes::resume_at`].
    pub fn resume_at(&mut self, position: u64) -> bool {
        self.ring.resume_at(position)
    }

    /// What descends from sessions, as these programs know it.
    pub fn descendants(&self) -> io::Result<Descendants> {
        Descendants::open(MapData::from_pin(self.generation.pin(DESCENDANTS)).map_err(io::Error::other)?)
    }

    /// See [`Probes::drain`].
    pub fn drain(&mut self, limit: usize, events: &mut Vec<Event>) {
        drain(&mut self.ring, limit, events);
    }

    /// Ends the programs.
    pub fn end(self) -> io::Result<()> {
        self.generation.remove()
    }
}

fn drain(ring: &mut Ring, limit: usize, events: &mut Vec<Event>) {
    for _ in 0..limit {
        let Some(record) = ring.next() else { break };
        match decode(record) {
            Ok(event) => events.push(event),
            Err(error) => tracing::error!(%error, "a record of the kernel programs is not understood"),
        }
    }
}

/// What tells these programs with these settings from others.
fn kind(config: &Trace) -> String {
    let mut identity = format!("{config:?}").into_bytes();
    identity.extend_from_slice(attach::OBJECT);
    format!("{CONTRACT_VERSION}-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, &identity).simple())
}

fn pin(attached: Attached, pins: &Pins, kind: &str) -> io::Result<Generation> {
    let unfinished = pins.begin(kind)?;
    pin_into(attached, &unfinished)
        .and_then(|()| pins.complete(&unfinished))
        // What is pinned already would record beside its successor.
        .inspect_err(|_| discard(&unfinished))
}

fn pin_into(attached: Attached, generation: &Generation) -> io::Result<()> {
    for name in [EVENTS, LOSSES, PROCESSES, DESCENDANTS] {
        let map = attached.ebpf.map(name).ok_or(io::ErrorKind::NotFound)?;
        map.pin(generation.pin(name)).map_err(io::Error::other)?;
    }
    for (hook, link) in attached.links {
        let Link::Pinnable(link) = link else {
            let why = "kernels before 5.15 cannot pin tracepoints and kprobes";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        };
        link.pin(generation.pin(&link_pin(hook))).map_err(io::Error::other)?;
    }
    Ok(())
}

/// The pin of the link of a hook.
fn link_pin(hook: &str) -> String {
    format!("link_{}", hook.replace(' ', "_"))
}

fn discard(generation: &Generation) {
    if let Err(error) = generation.remove() {
        tracing::error!(%error, ?generation, "programs of an earlier start cannot be ended");
    }
}

fn readable<T, E: std::fmt::Display>(log: Option<Result<T, E>>) -> Option<T> {
    log?.inspect_err(|error| tracing::warn!(%error, "the kernel programs' own log cannot be read")).ok()
}

/// What is in the maps that the loader uses.
#[expect(clippy::wildcard_enum_match_arm, reason = "the loader uses no other kinds")]
fn data(map: Map) -> Option<MapData> {
    match map {
        Map::RingBuf(data) | Map::PerCpuArray(data) | Map::HashMap(data) => Some(data),
        _ => None,
    }
}
