//! Which session a gained user id belongs to, and how much is told of many.
//!
//! The kernel names the root of the descent: the process of sshd that became the user. Roots are known as long as their
//! session is open, and for the last closed sessions: what a session leaves behind still belongs to it. Roots that are of
//! no session (helpers that sshd starts before it lets anybody in) are not known here, so their gains are of nobody.
//!
//! The first [`TOLD_EACH`] gains of a session are told one by one. Of a storm of them the last of ever more is told,
//! with how many it stands for: 1,000,000 gains are 64 + 14 findings.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::event::{BootTime, Escalated, Event, Process};

/// So many gains of a session are told one by one.
pub const TOLD_EACH: u32 = 64;

/// So many closed sessions are remembered for what they leave behind.
const CLOSED_REMEMBERED: usize = 4096;
/// So many roots of one session are known; it has one where user ids are reported, and one a channel otherwise.
const ROOTS_OF_SESSION: usize = 256;
/// So many gains are remembered against repetition. The kernel repeats few.
const RECENT: usize = 64;
/// So many programs of a session that gave a user id are known by their path.
const PROGRAMS: usize = 16;

/// What is known of the descendants of sessions.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Escalations {
    /// In the order of the roots.
    roots: Vec<Root>,
    /// In the order of the monitors.
    sessions: Vec<Inside>,
    /// The monitors of closed sessions that are among [`Self::sessions`], oldest first.
    closed: VecDeque<Process>,
}

/// A process whose descendants belong to a session.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Root {
    process: Process,
    monitor: Process,
}

/// What happened inside of one session.
#[derive(Debug, Serialize, Deserialize)]
struct Inside {
    monitor: Process,
    /// Oldest first.
    roots: VecDeque<Process>,
    told: u32,
    /// Those of the storm that were not told yet.
    waiting: u64,
    /// How many must wait for the next finding.
    patience: u64,
    last: Option<Gained>,
    recent: VecDeque<(Process, u32)>,
    /// Paths of programs that gave a user id when they were executed. What they do later comes without a path.
    programs: VecDeque<String>,
}

/// One gain.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Gained {
    at: BootTime,
    process: Process,
    how: Escalated,
}

impl Escalations {
    /// The descendants of `root` belong to the session of `monitor`.
    pub(super) fn add_root(&mut self, root: Process, monitor: Process) {
        let Err(place) = self.roots.binary_search_by_key(&root, |root| root.process) else {
            return;
        };
        self.roots.insert(place, Root { process: root, monitor });
        let index = match self.sessions.binary_search_by_key(&monitor, |inside| inside.monitor) {
            Ok(index) => index,
            Err(index) => {
                self.sessions.insert(index, Inside::new(monitor));
                index
            }
        };
        let Some(inside) = self.sessions.get_mut(index) else { return };
        inside.roots.push_back(root);
        // The first one is the user's own process of sshd, from which all others descend where user ids are reported.
        if inside.roots.len() > ROOTS_OF_SESSION
            && let Some(second) = inside.roots.remove(1)
        {
            self.forget_root(second);
        }
    }

    /// A process gained a user id.
    pub(super) fn gained(&mut self, event: &Event, how: &Escalated) -> Option<Finding> {
        let root = self.roots.binary_search_by_key(&how.root, |root| root.process).ok()?;
        let monitor = self.roots.get(root)?.monitor;
        let inside = self.inside(monitor)?;
        if inside.recent.contains(&(event.process, how.to)) {
            return None;
        }
        if inside.recent.len() >= RECENT {
            inside.recent.pop_front();
        }
        inside.recent.push_back((event.process, how.to));
        let how = inside.with_path(how.clone());
        inside.last = Some(Gained { at: event.at, process: event.process, how });
        inside.waiting += 1;
        if inside.told < TOLD_EACH {
            inside.told += 1;
            return inside.tell();
        }
        if inside.waiting < inside.patience {
            return None;
        }
        inside.patience = inside.patience.saturating_mul(2);
        inside.tell()
    }

    /// A session was closed. Tells what has waited so far.
    pub(super) fn close(&mut self, monitor: Process) -> Option<Finding> {
        let found = self.inside(monitor)?.tell();
        self.closed.push_back(monitor);
        if self.closed.len() > CLOSED_REMEMBERED
            && let Some(oldest) = self.closed.pop_front()
            && let Ok(index) = self.sessions.binary_search_by_key(&oldest, |inside| inside.monitor)
        {
            for root in self.sessions.remove(index).roots {
                self.forget_root(root);
            }
        }
        found
    }

    fn inside(&mut self, monitor: Process) -> Option<&mut Inside> {
        let index = self.sessions.binary_search_by_key(&monitor, |inside| inside.monitor).ok()?;
        self.sessions.get_mut(index)
    }

    fn forget_root(&mut self, process: Process) {
        if let Ok(index) = self.roots.binary_search_by_key(&process, |root| root.process) {
            self.roots.remove(index);
        }
    }
}

impl Inside {
    fn new(monitor: Process) -> Self {
        Self {
            monitor,
            roots: VecDeque::new(),
            told: 0,
            waiting: 0,
            patience: u64::from(TOLD_EACH),
            last: None,
            recent: VecDeque::new(),
            programs: VecDeque::new(),
        }
    }

    /// Learns the path of a program that gave a user id, or adds it where the program has become somebody else since.
    fn with_path(&mut self, mut how: Escalated) -> Escalated {
        match &how.path {
            Some(path) if !self.programs.contains(path) => {
                if self.programs.len() >= PROGRAMS {
                    self.programs.pop_front();
                }
                self.programs.push_back(path.clone());
            }
            None if how.is_granted => {
                let is_it = |path: &&String| path.rsplit('/').next() == Some(&how.name);
                how.path = self.programs.iter().rev().find(is_it).cloned();
            }
            Some(_) | None => {}
        }
        how
    }

    /// The last gain, for all those that wait; `None` if none does.
    fn tell(&mut self) -> Option<Finding> {
        let count = std::mem::take(&mut self.waiting);
        let Gained { at, process, how } = self.last.clone().filter(|_| count > 0)?;
        Some(Finding::Escalated { monitor: self.monitor, at, process, how, count })
    }
}
