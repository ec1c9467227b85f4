//! The trace role: kernel -> tracker -> `sessions.db`. Needs privileges, and leaves the network before it begins.
//!
//! Promises: a session is durable before anything else happens with it; while one batch is synced to the disk the
//! kernel collects the next one; when the role ends, what the kernel had reported by then is written.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

use super::Permanent;
use super::journal::Journal;
use crate::config::Config;
use crate::event::{BootTime, Event, Process};
use crate::kernel::{Clock, Identity, Probes};
use crate::reconcile::{self, Found};
use crate::session::End;
use crate::tracker::Tracker;

/// Events that share a transaction at most: bounds the time between an event and its row.
const BATCH: usize = 4096;

/// How long to wait before writing again to a store that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until it is told to end by SIGTERM or SIGINT. Members of `group` may read the sessions. With `record`, every
/// kernel event is appended to that file as a line of JSON.
pub fn run(
    config: &Config,
    state_dir: &Path,
    group: Option<u32>,
    record: Option<&Path>,
) -> anyhow::Result<()> {
    let identity = Identity::of_this_host()?;
    let host = config.host_name.clone().unwrap_or_else(|| identity.host_name.clone());
    let record = record.map(Recorder::create).transpose()?;
    // First the programs: from here on nothing is missed, whatever the rest takes.
    let probes =
        Probes::attach(&config.trace).context(Permanent("logins cannot be traced here".to_owned()))?;
    let journal = Journal::open(state_dir, group, config.trace.keep_attempts, identity, host)?;
    leave_network();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Role { probes, journal, tracker: Tracker::default(), losses: 0, record }.watch())
}

struct Role {
    probes: Probes,
    tracker: Tracker,
    journal: Journal,
    /// Losses that were recorded already.
    losses: u64,
    record: Option<Recorder>,
}

impl Role {
    async fn watch(mut self) -> anyhow::Result<()> {
        self.adopt_what_runs()?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let ring = rustix::io::dup(&self.probes)?;
        // SAFETY: an `OwnedFd` that nobody else has; it stays open and the same until the `AsyncFd` is dropped.
        let mut ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }?;
        notify_ready();
        loop {
            self.take_in();
            tokio::select! {
                guard = ring.readable_mut() => guard?.clear_ready(),
                () = tokio::time::sleep(RETRY), if !self.journal.is_written() => {}
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        self.take_in();
        if !self.journal.is_written() {
            anyhow::bail!("ended with sessions that could not be written");
        }
        Ok(())
    }

    /// Empties the ring buffer, batch by batch, each into one transaction.
    fn take_in(&mut self) {
        let mut events = Vec::new();
        while self.journal.has_room() {
            events.clear();
            self.probes.drain(BATCH, &mut events);
            let clock = Clock::now();
            for event in &events {
                if let Some(record) = &mut self.record {
                    record.write(event);
                }
                self.tracker.handle(event);
            }
            self.check_losses(clock);
            while let Some(finding) = self.tracker.next_finding() {
                self.journal.add(finding, clock);
            }
            self.journal.commit();
            if events.len() < BATCH {
                break;
            }
        }
        if let Some(record) = &mut self.record {
            record.flush();
        }
    }

    /// Records lost events; what they would have ended is looked up in `/proc`.
    fn check_losses(&mut self, clock: Clock) {
        let losses = self.probes.losses();
        if losses > self.losses {
            self.journal.add_loss(losses - self.losses, clock.wall());
            self.losses = losses;
            self.end_what_vanished(clock.boot());
        }
    }

    fn end_what_vanished(&mut self, now: BootTime) {
        let found = reconcile::sshd_processes();
        let vanished: Vec<Process> = self
            .tracker
            .open_sessions()
            .filter(|monitor| !found.iter().any(|found| found.is(*monitor)))
            .collect();
        for monitor in vanished {
            self.tracker.vanished(monitor, now);
        }
        self.tracker.retain_processes(now, |pid| found.iter().any(|found| found.pid == pid));
    }

    /// Finds the processes that run already: listeners are followed, stored sessions go on or are closed.
    fn adopt_what_runs(&mut self) -> anyhow::Result<()> {
        let found: Vec<Found> = reconcile::sshd_processes();
        for found in &found {
            self.probes.follow(found.pid).context("cannot follow a process that runs sshd already")?;
        }
        // Those that ended before they were followed are gone by now, and no event will tell.
        let found: Vec<Found> = found
            .into_iter()
            .filter(|found| reconcile::sshd_process(found.pid).as_ref() == Some(found))
            .collect();
        let clock = Clock::now();
        for session in self.journal.live_sessions()? {
            let opening = &session.opening;
            let monitor = Process { pid: opening.sshd.pid, start: BootTime(opening.sshd_start_boot_ns) };
            if !self.journal.is_of_this_boot(&session) {
                self.journal.close_stored(&session, clock.timestamp(BootTime(0)), End::HostRestarted);
            } else if found.iter().any(|found| found.is(monitor)) {
                let child = found.iter().find(|found| found.parent_pid == monitor.pid).map(Found::process);
                self.tracker.adopt_session(monitor, child, opening.uid, session.tty.is_some());
                self.journal.resume(monitor, session.opening);
            } else {
                self.journal.close_stored(&session, clock.wall(), End::Unseen);
            }
        }
        for found in found {
            if found.uid == 0 {
                self.tracker.adopt(found.process(), found.parent_pid, found.image);
            }
        }
        self.journal.commit();
        Ok(())
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

/// Writes events to a file, one JSON object a line.
struct Recorder(BufWriter<File>);

impl Recorder {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write the recording {}", path.display()))?;
        Ok(Self(BufWriter::new(file)))
    }

    fn write(&mut self, event: &Event) {
        let written = serde_json::to_writer(&mut self.0, event).map_err(io::Error::from);
        if let Err(error) = written.and_then(|()| self.0.write_all(b"\n")) {
            tracing::warn!(%error, "an event is missing in the recording");
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.0.flush() {
            tracing::warn!(%error, "events are missing in the recording");
        }
    }
}
