//! The trace role: kernel -> tracker -> `sessions.db`. Needs privileges, and leaves the network before it begins.
//!
//! Promises: a session is durable before anything else happens with it; while one batch is synced to the disk the
//! kernel collects the next one. Whenever the role ends, however it ends, the kernel goes on recording, and the next
//! one misses nothing and tells nothing twice: an event leaves the kernel only after a [checkpoint](checkpoint).

mod checkpoint;
mod mask;
mod recorder;
mod start;

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

use self::checkpoint::{Checkpoint, CheckpointFile};
use self::recorder::Recorder;
use super::Permanent;
use super::journal::Journal;
use super::priority::run_at_once;
use crate::config::Config;
use crate::event::{BootTime, Event, Service};
use crate::kernel::{Clock, Earlier, Identity, Pins, Probes};
use crate::tracker::Tracker;

/// Events that share a transaction at most: bounds the time between an event and its row.
const BATCH: usize = 4096;

/// How long to wait before writing again to a store that failed.
const RETRY: Duration = Duration::from_secs(1);

/// How long events stay in the kernel after they were written, where nothing asks for their room.
const REST: Duration = Duration::from_secs(1);

/// What the role has just done, for tests that end it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Read a batch of events from the kernel.
    Drain,
    /// Found out what they mean.
    Track,
    /// Written it.
    Commit,
    /// Written down how far it is.
    Checkpoint,
    /// Let the events go.
    Release,
}

/// Is told every step.
pub type OnStep = Box<dyn Fn(Step)>;

/// What a trace role is started with.
#[derive(Debug)]
pub struct Setup<'a> {
    pub config: &'a Config,
    pub state_dir: &'a Path,
    /// Members of this group may read the sessions.
    pub group: Option<u32>,
    /// Every kernel event is appended to this file as a line of JSON.
    pub record: Option<&'a Path>,
    /// Whether names and addresses are replaced in it.
    pub mask: bool,
}

/// Runs until it is told to end by SIGTERM or SIGINT. SIGUSR1 makes it compare `/proc` with what it knows.
pub fn run(setup: &Setup<'_>) -> anyhow::Result<()> {
    run_observed(setup, Box::new(|_| {}))
}

/// As [`run`]; `on_step` is told every step.
pub fn run_observed(setup: &Setup<'_>, on_step: OnStep) -> anyhow::Result<()> {
    let Setup { config, state_dir, group, record, mask } = *setup;
    let identity = Identity::of_this_host()?;
    let boot_id = identity.boot_id.clone();
    let host = config.host_name.clone().unwrap_or_else(|| identity.host_name.clone());
    let record = record.map(|path| Recorder::create(path, mask)).transpose()?;
    let pins = Pins::open(state_dir).inspect_err(|error| {
        tracing::warn!(%error, "no BPF file system: while the trace role does not run, nothing is recorded");
    });
    // First the programs: from here on nothing is missed, whatever the rest takes.
    let (probes, earlier) = Probes::start(&config.trace, pins.as_ref().ok())
        .context(Permanent("logins cannot be traced here".to_owned()))?;
    let checkpoints = CheckpointFile::open(state_dir).inspect_err(|error| {
        tracing::warn!(%error, "no checkpoints: what is on its way when the trace role is killed is lost");
    });
    let journal = Journal::open(state_dir, group, config.trace.keep_attempts, identity, host)?;
    leave_network();
    let counter = match probes.generation() {
        Some(generation) => format!("{boot_id}/{generation}"),
        None => format!("{boot_id}/at {}", Clock::now().boot().0),
    };
    let mut role = Role {
        losses: journal.losses_counted(&counter)?,
        counter,
        probes,
        journal,
        tracker: Tracker::default(),
        boot_id,
        services: config.trace.services.clone(),
        since: BootTime(0),
        checkpoints: checkpoints.ok(),
        record,
        on_step,
    };
    role.go_on(earlier)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(role.watch())
}

/// Ends the programs that a trace role left in the kernel. Says whether there were any. None must be running.
pub fn unload(state_dir: &Path) -> io::Result<bool> {
    let any = Pins::of(state_dir).remove_all()?;
    checkpoint::remove(state_dir)?;
    Ok(any)
}

struct Role {
    probes: Probes,
    tracker: Tracker,
    journal: Journal,
    boot_id: String,
    /// The doors that are watched.
    services: Vec<Service>,
    /// Events of the programs before this were told by their predecessors.
    since: BootTime,
    /// Losses that were recorded already, and whose they are.
    losses: u64,
    counter: String,
    /// `None` where there is no place for them.
    checkpoints: Option<CheckpointFile>,
    record: Option<Recorder>,
    on_step: OnStep,
}

impl Role {
    async fn watch(mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut asked = signal(SignalKind::user_defined1())?;
        let ring = rustix::io::dup(&self.probes)?;
        // SAFETY: an `OwnedFd` that nobody else has; it stays open and the same until the `AsyncFd` is dropped.
        let mut ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }?;
        notify_ready();
        loop {
            run_at_once();
            self.take_in();
            tokio::select! {
                guard = ring.readable_mut() => guard?.clear_ready(),
                () = tokio::time::sleep(REST), if self.probes.holds_any() && self.journal.is_written() => {
                    self.checkpoint();
                }
                () = tokio::time::sleep(RETRY), if !self.journal.is_written() => {}
                _ = asked.recv() => self.reconcile()?,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        self.take_in();
        self.checkpoint();
        if !self.journal.is_written() {
            anyhow::bail!("ended with sessions that could not be written; the next start writes them");
        }
        Ok(())
    }

    /// Takes in all events, batch by batch, each into one transaction, and notices what was lost.
    fn take_in(&mut self) {
        self.take_in_events();
        let losses = self.probes.losses();
        if losses > self.losses {
            self.journal.add_loss(losses - self.losses, losses, &self.counter, Clock::now().wall());
            self.losses = losses;
            if let Err(error) = self.reconcile() {
                tracing::error!(error = &*error, "what was lost cannot be made up for");
            }
        }
    }

    fn take_in_events(&mut self) {
        let mut events = Vec::new();
        while self.journal.has_room() {
            events.clear();
            self.probes.drain(BATCH, &mut events);
            let is_last = events.len() < BATCH;
            events.retain(|event| event.at >= self.since);
            self.take_in_batch(&events);
            if self.probes.holds_many() {
                self.checkpoint();
            }
            if is_last {
                break;
            }
        }
    }

    fn take_in_batch(&mut self, events: &[Event]) {
        if !events.is_empty() {
            (self.on_step)(Step::Drain);
        }
        for event in events {
            if let Some(record) = &mut self.record {
                record.write(event);
            }
            self.tracker.handle(event);
        }
        if let Some(record) = &mut self.record {
            record.flush();
        }
        self.take_findings(Clock::now());
        if !events.is_empty() {
            (self.on_step)(Step::Track);
        }
        if self.journal.commit() {
            (self.on_step)(Step::Commit);
        }
    }

    fn take_findings(&mut self, clock: Clock) {
        while let Some(finding) = self.tracker.next_finding() {
            self.journal.add(finding, clock);
        }
    }

    /// Writes down how far it is, and lets the kernel have the room of the events until there.
    fn checkpoint(&mut self) {
        if let (Some(file), Some(generation)) = (&self.checkpoints, self.probes.generation()) {
            let checkpoint = Checkpoint {
                boot_id: self.boot_id.clone(),
                generation,
                position: self.probes.position(),
                since: self.since,
                tracker: std::mem::take(&mut self.tracker),
                pending: self.journal.pending().to_vec(),
            };
            let saved = file.save(&checkpoint);
            self.tracker = checkpoint.tracker;
            match saved {
                Ok(()) => (self.on_step)(Step::Checkpoint),
                Err(error) => {
                    tracing::error!(%error, "no checkpoint: what happened since the last is lost if the role is killed");
                }
            }
        }
        self.probes.release();
        (self.on_step)(Step::Release);
    }
}

/// The trace role speaks to nobody: an empty network namespace makes sure of it.
fn leave_network() {
    // SAFETY: it changes the namespace of this thread, the only one so far; no memory is involved.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        let error = io::Error::last_os_error();
        tracing::warn!(%error, "cannot leave the network: the trace role could reach it, though it never does");
    }
}

fn notify_ready() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "cannot tell the service manager that tracing has begun");
    }
    tracing::info!("tracing");
}
