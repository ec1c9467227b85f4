//! From facts about processes to sessions. Pure: no clock, no I/O, no async.
//!
//! The rule, in the order in which things happen:
//!
//! 1. A process executes a trusted sshd image as real uid 0, or is forked by one that does: a candidate *monitor*.
//! 2. Its first child since then (the unprivileged *preauth child*) ends with status 0, still executing sshd, with
//!    another uid than 0: the user has authenticated as far as the child knows.
//! 3. The monitor, still uid 0, disarms its real-time timer: it agrees. The session is **open**.
//! 4. Of the monitor and its *postauth child* (which runs the protocol as the user) the last one ends: **closed**.
//!
//! None of the conditions can be left out: children that end with 0 are also seen for refused logins, and timers are
//! also disarmed by the C library. Promises: no order, loss or repetition of events panics, opens a session twice, or
//! closes one that is not open.

mod adoption;
mod pairs;
pub(crate) mod title;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use self::adoption::OpenSession;
use crate::event::{BootTime, Event, ExitStatus, Fact, Image, Process};
use crate::session::End;

/// How many closed sessions are remembered against repeated events; more than a batch of events can close.
const CLOSED_REMEMBERED: usize = 4096;

/// What the tracker found. Times are those of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A session began; it is known by its monitor.
    Opened {
        monitor: Process,
        at: BootTime,
        user: Option<String>,
        connection: Option<Connection>,
        /// Path of the monitor's executable.
        exe: String,
    },
    /// A session was found open that nobody saw begin: before `at`, and not before its monitor.
    Recovered {
        monitor: Process,
        at: BootTime,
        user: Option<String>,
        uid: Option<u32>,
        tty: Option<String>,
        connection: Option<Connection>,
        exe: String,
    },
    /// More became known.
    Identified { monitor: Process, at: BootTime, uid: Option<u32>, tty: Option<String> },
    /// A session ended.
    Closed { monitor: Process, at: BootTime, end: End },
}

/// Both ends of the TCP connection that a monitor serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub peer: SocketAddr,
    pub local: SocketAddr,
}

/// The state machine: events go in by [`Tracker::handle`], findings come out by [`Tracker::next_finding`].
///
/// Serialized it is what a later process needs to go on in its place. Findings are no part of that: take them first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tracker {
    /// The processes of the sshd trees, by process id.
    nodes: HashMap<u32, Node>,
    /// The open sessions, by monitor.
    #[serde(with = "pairs")]
    sessions: HashMap<Process, Live>,
    /// The monitors of the last sessions that were closed, oldest first: an event that is repeated opens none anew.
    closed: VecDeque<Process>,
    #[serde(skip)]
    findings: VecDeque<Finding>,
}

/// A process that executes an sshd image.
#[derive(Debug, Serialize, Deserialize)]
struct Node {
    process: Process,
    /// Its start is only known as `/proc` tells it, until the first event about it.
    start_is_rounded: bool,
    parent_pid: u32,
    image: Option<Image>,
    /// The session that it belongs to: as monitor, or as a descendant of it.
    session: Option<Process>,
    /// What it did as a candidate monitor, since it began to execute sshd.
    candidate: Candidate,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Candidate {
    first_child: Option<u32>,
    preauth_passed: bool,
    connection: Option<Connection>,
}

/// An open session.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Live {
    /// The child of the monitor that runs the protocol as the user, while it lives.
    postauth: Option<u32>,
    uid: Option<u32>,
    tty_known: bool,
    /// How the monitor ended, if the postauth child outlives it.
    monitor_ended: Option<End>,
    /// When it was taken over from `/proc`; events may still come that are older.
    adopted_at: Option<BootTime>,
}

impl Tracker {
    /// Takes one event in. Findings it leads to are in [`Tracker::next_finding`].
    pub fn handle(&mut self, event: &Event) {
        self.forget_earlier_owner_of_pid(event.process, event.at);
        let pid = event.process.pid;
        match &event.fact {
            Fact::Exec(image) => self.exec(event, image),
            Fact::Leave { tty, .. } => {
                self.found_tty(pid, tty.as_deref(), event.at);
                self.remove(pid, event.at, End::Unseen);
            }
            Fact::Fork { child } => self.fork(event.process, *child, event.at),
            Fact::Exit(status) => self.exit(event, *status),
            Fact::TimerDisarmed { title } => self.timer_disarmed(event, title),
            Fact::Credentials { ruid, euid, suid } if ruid == euid && euid == suid => {
                self.became_user(pid, *ruid, event.at);
            }
            Fact::Credentials { .. } => {}
            Fact::Socket { peer, local } => {
                if let Some(node) = self.nodes.get_mut(&pid) {
                    node.candidate.connection = Some(Connection { peer: *peer, local: *local });
                }
            }
        }
    }

    /// The oldest finding that was not taken yet.
    pub fn next_finding(&mut self) -> Option<Finding> {
        self.findings.pop_front()
    }

    fn exec(&mut self, event: &Event, image: &Image) {
        let pid = event.process.pid;
        let session = self.nodes.get(&pid).and_then(|node| node.session);
        let adopted_at = session.and_then(|monitor| self.sessions.get(&monitor)?.adopted_at);
        if adopted_at.is_some_and(|adopted_at| event.at < adopted_at) {
            return;
        }
        // A monitor that executes sshd anew is a new candidate: what it did before does not count.
        if image.is_trusted_sshd() {
            self.remove(pid, event.at, End::Unseen);
        }
        let node = self.nodes.entry(pid).or_insert_with(|| Node::new(event.process, event.parent_pid));
        node.image = (event.uid == 0).then(|| image.clone());
    }

    fn fork(&mut self, parent: Process, child: Process, at: BootTime) {
        self.forget_earlier_owner_of_pid(child, at);
        let Some(node) = self.nodes.get_mut(&parent.pid) else {
            return;
        };
        node.candidate.first_child.get_or_insert(child.pid);
        let (image, session) = (node.image.clone(), node.session);
        self.nodes.insert(child.pid, Node { image, session, ..Node::new(child, parent.pid) });
    }

    fn exit(&mut self, event: &Event, status: ExitStatus) {
        let pid = event.process.pid;
        if let Some(node) = self.nodes.get(&pid) {
            // The kernel's word on the parent: an orphan's is another one than the process that forked it.
            let monitor_pid = node.parent_pid;
            let passed = status == ExitStatus::Code(0) && event.uid != 0 && event.parent_pid == monitor_pid;
            if let Some(monitor) = self.nodes.get_mut(&monitor_pid)
                && monitor.session.is_none()
                && monitor.candidate.first_child == Some(pid)
            {
                monitor.candidate.preauth_passed = passed;
            }
        }
        let end = match status {
            ExitStatus::Code(_) => End::Logout,
            ExitStatus::Signal(_) => End::Killed,
        };
        self.remove(pid, event.at, end);
    }

    fn timer_disarmed(&mut self, event: &Event, title: &str) {
        let Some(node) = self.nodes.get_mut(&event.process.pid) else {
            return;
        };
        let Some(image) = node.image.as_ref().filter(|image| image.is_trusted_sshd()) else {
            return;
        };
        let monitor = event.process;
        let agrees = event.uid == 0 && node.candidate.preauth_passed;
        let is_known = self.sessions.contains_key(&monitor) || self.closed.contains(&monitor);
        if !agrees || is_known {
            return;
        }
        node.session = Some(monitor);
        self.findings.push_back(Finding::Opened {
            monitor,
            at: event.at,
            user: title::user(title),
            connection: node.candidate.connection,
            exe: image.path.clone(),
        });
        self.sessions.insert(monitor, Live::default());
    }

    /// A child of the monitor became a user for good: the postauth child, or root's shell before OpenSSH 9.8.
    fn became_user(&mut self, pid: u32, uid: u32, at: BootTime) {
        let Some(node) = self.nodes.get(&pid) else {
            return;
        };
        let Some(monitor) = node.session.filter(|monitor| monitor.pid == node.parent_pid) else {
            return;
        };
        let Some(live) = self.sessions.get_mut(&monitor) else {
            return;
        };
        // Helpers of PAM modules may set themselves to root before the postauth child becomes the user.
        if live.uid.is_some_and(|known| known != 0 || uid == 0) {
            return;
        }
        live.uid = Some(uid);
        live.postauth = Some(pid);
        self.findings.push_back(Finding::Identified { monitor, at, uid: Some(uid), tty: None });
    }

    /// A process of a session is about to become the user's program on this terminal.
    fn found_tty(&mut self, pid: u32, tty: Option<&str>, at: BootTime) {
        let Some(monitor) = self.nodes.get(&pid).and_then(|node| node.session) else {
            return;
        };
        if let (Some(tty), Some(live)) = (tty, self.sessions.get_mut(&monitor))
            && !live.tty_known
        {
            live.tty_known = true;
            self.findings.push_back(Finding::Identified {
                monitor,
                at,
                uid: None,
                tty: Some(tty.to_owned()),
            });
        }
    }

    /// A process is gone, by its end or by executing something else; `end` is how it ended a session as its monitor.
    fn remove(&mut self, pid: u32, at: BootTime, end: End) {
        let Some(node) = self.nodes.remove(&pid) else {
            return;
        };
        let Some((monitor, live)) =
            node.session.and_then(|monitor| self.sessions.get_mut(&monitor).map(|live| (monitor, live)))
        else {
            return;
        };
        if pid == monitor.pid {
            live.monitor_ended = Some(end);
        } else if live.postauth == Some(pid) {
            live.postauth = None;
        }
        if let (Some(end), None) = (live.monitor_ended, live.postauth) {
            self.close(monitor, at, end);
        }
    }

    fn close(&mut self, monitor: Process, at: BootTime, end: End) {
        if self.sessions.remove(&monitor).is_some() {
            if self.closed.len() >= CLOSED_REMEMBERED {
                self.closed.pop_front();
            }
            self.closed.push_back(monitor);
            self.findings.push_back(Finding::Closed { monitor, at, end });
        }
    }

    /// The process that had this pid before has ended without an event that said so: events were lost.
    fn forget_earlier_owner_of_pid(&mut self, process: Process, at: BootTime) {
        let Some(node) = self.nodes.get_mut(&process.pid) else {
            return;
        };
        let is_same = node.process == process
            || (node.start_is_rounded && adoption::rounds_to(process.start, node.process.start));
        if is_same {
            node.process = process;
            node.start_is_rounded = false;
        } else {
            self.remove(process.pid, at, End::Unseen);
        }
    }
}

impl Node {
    fn new(process: Process, parent_pid: u32) -> Self {
        let candidate = Candidate::default();
        Self { process, start_is_rounded: false, parent_pid, image: None, session: None, candidate }
    }
}
