//! Going on where an earlier trace role ended, or beginning: what the kernel kept, what the checkpoint says, what the
//! database believes, and what `/proc` shows.

use std::collections::HashSet;
use std::io;

use anyhow::Context as _;

use super::{BATCH, Clock, Earlier, Role};
use crate::event::{BootTime, Process, Service};
use crate::reconcile::descent::{self, Member};
use crate::reconcile::{self, Found};
use crate::session::End;

/// How often processes are looked for until no new one is found. A look takes milliseconds; a listener that forks in
/// each of them is under attack, and what it forks from then on is followed from its birth.
const LOOKS: usize = 20;

impl Role {
    /// Takes over from the last role: its state, the events that it did not live to take in, and sessions that began or
    /// ended while nothing recorded.
    pub(super) fn go_on(&mut self, mut earlier: Vec<Earlier>) -> anyhow::Result<()> {
        // Before the handover: what they gain from here on is told by both, and counted once.
        for programs in &earlier {
            let inherited =
                programs.descendants().and_then(|known| self.probes.descendants().inherit(&known));
            if let Err(error) = inherited {
                tracing::warn!(%error, "what closed sessions left behind is not followed any more");
            }
        }
        // The new programs record by now: what is older than this is told by their predecessors.
        let handover = Clock::now().boot();
        let found = self.follow_all()?;
        for session in self.journal.live_sessions()? {
            let monitor = Process { pid: session.sshd.pid, start: BootTime(session.sshd_start_boot_ns) };
            if session.boot_id == self.boot_id {
                self.journal.resume(monitor, session);
            }
        }
        let checkpoint =
            self.checkpoints.as_ref().and_then(|file| file.load(&self.boot_id)).unwrap_or_default();
        self.tracker = checkpoint.tracker;
        self.journal.take_over(checkpoint.pending);
        self.since = checkpoint.since;
        reconcile::introduce(&mut self.tracker, &found);
        let is_of = |generation: &str| generation == checkpoint.generation;
        if self.probes.generation().as_deref().is_some_and(is_of) {
            self.probes.resume_at(checkpoint.position);
        } else if let Some(last) =
            earlier.iter().position(|programs| is_of(&programs.generation())).or(earlier.len().checked_sub(1))
        {
            let mut programs = earlier.remove(last);
            if is_of(&programs.generation()) {
                programs.resume_at(checkpoint.position);
            }
            self.take_in_earlier(&mut programs, handover);
            self.since = handover;
            // From here on they are not needed: what they told is written down.
            self.checkpoint();
            end(programs);
        }
        earlier.into_iter().for_each(end);
        self.reconcile()?;
        self.checkpoint();
        Ok(())
    }

    /// Everything that programs of an earlier version recorded before the present ones did.
    fn take_in_earlier(&mut self, programs: &mut Earlier, until: BootTime) {
        let mut events = Vec::new();
        loop {
            events.clear();
            programs.drain(BATCH, &mut events);
            let is_last = events.len() < BATCH;
            events.retain(|event| event.at >= self.since && event.at < until);
            self.take_in_batch(&events);
            if is_last {
                break;
            }
        }
    }

    /// Compares what is known with `/proc`: sessions that nobody saw begin or end, and processes to be followed.
    pub(super) fn reconcile(&mut self) -> anyhow::Result<()> {
        let found = self.follow_all()?;
        // First who is there, so that the tracker understands what happened to them; then what happened.
        reconcile::introduce(&mut self.tracker, &found);
        self.take_in_events();
        self.end_what_vanished();
        let clock = Clock::now();
        self.compare_with_store(&found, clock)?;
        reconcile::recover(&mut self.tracker, &found, clock.boot());
        if let Err(error) = self.follow_descendants() {
            // Whoever runs as many processes as can be followed must not keep sessions from being seen.
            tracing::warn!(%error, "user ids that are gained in some of the open sessions will not be told");
        }
        self.take_findings(clock);
        self.journal.commit();
        Ok(())
    }

    /// Has the kernel follow all processes of doors, and returns them.
    fn follow_all(&mut self) -> anyhow::Result<Vec<Found>> {
        let mut found = Vec::new();
        for _ in 0..LOOKS {
            found = reconcile::doors(&self.services);
            // The kernel may know better whose they are: what a closed session left behind is still of that.
            let descendants = self.probes.descendants();
            found.retain(|door| !door.service.is_local() || descendants.root_of(door.pid).is_none());
            let mut any = false;
            for process in &found {
                let follow = self.probes.follow(process.pid, process.service);
                any |= follow.context("cannot follow a process that runs a door already")?;
            }
            // Children that a process had before it was followed are found by the next look.
            if !any {
                break;
            }
        }
        Ok(found)
    }

    /// Has the kernel follow what runs inside of open sessions, and the tracker know whose it is. What was gained there
    /// by processes that nobody followed is history.
    fn follow_descendants(&mut self) -> io::Result<()> {
        let known: HashSet<u32> = self.tracker.processes().map(|process| process.pid).collect();
        let sshd: Vec<_> = self.tracker.processes_of_sessions().collect();
        for _ in 0..LOOKS {
            let members = descent::members();
            let children = descent::by_parent(&members);
            let mut any = false;
            for &(process, monitor, uid) in &sshd {
                if let Some(root) = self.probes.descendants().root_of(process.pid) {
                    self.tracker.adopt_root(root, monitor);
                }
                for member in descent::below(process.pid, &known, &children) {
                    any |= self.follow_descendant(member, monitor, uid)?;
                }
            }
            // What was forked before its parent was followed is found by the next look.
            if !any {
                break;
            }
        }
        Ok(())
    }

    /// Says whether it was not followed.
    fn follow_descendant(&mut self, member: &Member, monitor: Process, uid: Option<u32>) -> io::Result<bool> {
        let descendants = self.probes.descendants();
        if let Some(root) = descendants.root_of(member.pid) {
            self.tracker.adopt_root(root, monitor);
            return Ok(false);
        }
        let root_uid = uid.unwrap_or(member.uids[0]);
        descendants.follow(member.pid, &member.name, member.uids, monitor, root_uid)?;
        // Nobody would forget what had ended before.
        if !member.exists() {
            descendants.forget(member.pid);
        }
        self.tracker.adopt_root(monitor, monitor);
        Ok(true)
    }

    /// Ends what has no process any more, although no event told.
    fn end_what_vanished(&mut self) {
        let gone: HashSet<Process> =
            self.tracker.processes().filter(|process| !reconcile::exists(*process)).collect();
        let sessions: Vec<Process> = self.tracker.open_sessions().map(|(monitor, _)| monitor).collect();
        let sessions: Vec<_> = sessions.into_iter().filter(|monitor| !reconcile::exists(*monitor)).collect();
        if gone.is_empty() && sessions.is_empty() {
            return;
        }
        // The kernel reported their ends before they could be seen to be gone.
        self.take_in_events();
        let now = Clock::now().boot();
        for process in gone {
            self.tracker.vanished(process, now);
        }
        for monitor in sessions {
            let postauth = self.tracker.open_sessions().find(|(open, _)| *open == monitor);
            // A postauth child outlives a monitor that was killed.
            if postauth.is_some_and(|(_, postauth)| postauth.is_none()) {
                self.tracker.session_vanished(monitor, now);
            }
        }
    }

    /// Sessions that the database believes to be open, and of which the tracker knows nothing.
    fn compare_with_store(&mut self, found: &[Found], clock: Clock) -> anyhow::Result<()> {
        let open: HashSet<Process> = self.tracker.open_sessions().map(|(monitor, _)| monitor).collect();
        for session in self.journal.live_sessions()? {
            let monitor = Process { pid: session.sshd.pid, start: BootTime(session.sshd_start_boot_ns) };
            if session.boot_id != self.boot_id {
                self.journal.close_stored(&session, clock.timestamp(BootTime(0)), End::HostRestarted);
                continue;
            }
            if open.contains(&monitor) || self.journal.is_closing(session.key) {
                continue;
            }
            if reconcile::exists(monitor) {
                let is_child =
                    |found: &&Found| found.parent_pid == monitor.pid && found.service == Service::Ssh;
                let child = found.iter().find(is_child).filter(|_| session.service == Service::Ssh);
                let child = child.map(Found::process);
                let (uid, tty_known) = (session.uid, session.tty.is_some());
                self.tracker.adopt_session(monitor, session.service, child, uid, tty_known, clock.boot());
                self.journal.resume(monitor, session);
            } else {
                self.journal.close_stored(&session, clock.wall(), End::Unseen);
            }
        }
        Ok(())
    }
}

/// Ends programs of an earlier version.
fn end(programs: Earlier) {
    let generation = programs.generation();
    match programs.end() {
        Ok(()) => tracing::info!(generation, "ended the programs of an earlier version"),
        Err(error) => tracing::error!(%error, generation, "programs of an earlier version cannot be ended"),
    }
}
