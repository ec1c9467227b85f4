//! What was there before events began: told by `/proc` and the database, which know less than events.

use super::{Candidate, Connection, Finding, Live, Node, Tracker};
use crate::event::{BootTime, Image, Process, Service};
use crate::session::End;

/// `/proc` counts the start of a process in ticks of `USER_HZ`, which is 100 a second; it rounds down.
const TICK_NS: u64 = 10_000_000;

/// Whether `/proc` would show the exact start as the rounded one.
pub(super) fn rounds_to(exact: BootTime, rounded: BootTime) -> bool {
    exact.0.checked_sub(rounded.0).is_some_and(|rest| rest < TICK_NS)
}

/// Whether `/proc` shows a process as this one.
fn is_shown_as(process: Process, shown: Process) -> bool {
    process.pid == shown.pid && rounds_to(process.start, shown.start)
}

/// A session that is open, by what can be seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    pub monitor: Process,
    pub service: Service,
    /// See [`Finding::Opened`].
    pub by: Option<u32>,
    pub postauth: Option<Process>,
    pub user: Option<String>,
    pub uid: Option<u32>,
    pub tty: Option<String>,
    pub connection: Option<Connection>,
    /// Path of the monitor's executable.
    pub exe: String,
}

impl Tracker {
    /// Whether a process that `/proc` shows is followed.
    pub fn knows(&self, shown: Process) -> bool {
        self.nodes.get(&shown.pid).is_some_and(|node| is_shown_as(node.process, shown))
    }

    /// A process that `/proc` shows, if it is followed and not part of a session.
    pub fn without_session(&self, shown: Process) -> Option<Process> {
        let node = self.nodes.get(&shown.pid).filter(|node| is_shown_as(node.process, shown))?;
        node.session.is_none().then_some(node.process)
    }

    /// Tells of a process that executed a server before events began.
    pub fn adopt(&mut self, process: Process, parent_pid: u32, image: Image) {
        self.nodes.entry(process.pid).or_insert_with(|| Node {
            start_is_rounded: true,
            image: Some(image),
            ..Node::new(process, parent_pid)
        });
    }

    /// Tells of a connection whose client was authenticating when events began: the preauth child of a monitor that
    /// was [adopted](Self::adopt), and the connection.
    pub fn adopt_candidate(&mut self, monitor: u32, preauth: u32, connection: Option<Connection>) {
        if let Some(node) = self.nodes.get_mut(&monitor)
            && node.candidate.first_child.is_none()
        {
            node.candidate = Candidate { first_child: Some(preauth), connection, ..Candidate::default() };
        }
    }

    /// Tells of the connection that a process of Dropbear's, which was [adopted](Self::adopt), has had since before events
    /// began. It may be a session, so that it is never an attempt.
    pub fn adopt_connection(&mut self, pid: u32, connection: Option<Connection>) {
        if let Some(node) = self.nodes.get_mut(&pid) {
            node.candidate.connection = node.candidate.connection.or(connection);
        }
    }

    /// Tells of a session of the database that goes on, and of its postauth child. What is known of it already
    /// is not reported again.
    pub fn adopt_session(
        &mut self,
        monitor: Process,
        service: Service,
        postauth: Option<Process>,
        uid: Option<u32>,
        tty_known: bool,
        now: BootTime,
    ) {
        // What was said and executed before is known, or was missed for good.
        let live = Live {
            service,
            postauth: postauth.map(|child| child.pid),
            uid,
            tty_known,
            auth_known: true,
            command_known: true,
            adopted_at: Some(now),
            ..Live::default()
        };
        self.sessions.entry(monitor).or_insert(live);
        for process in std::iter::once(monitor).chain(postauth) {
            let node = self.nodes.entry(process.pid).or_insert_with(|| Node::new(process, monitor.pid));
            node.start_is_rounded = true;
            node.session = Some(monitor);
            self.escalations.add_root(process, monitor);
        }
    }

    /// Tells of a session that is open and of which nobody knew.
    pub fn recover_session(&mut self, open: OpenSession, now: BootTime) {
        let OpenSession { monitor, service, by, postauth, user, uid, tty, connection, exe } = open;
        if self.sessions.contains_key(&monitor) {
            return;
        }
        self.adopt_session(monitor, service, postauth, uid, tty.is_some(), now);
        self.findings.push_back(Finding::Recovered {
            monitor,
            at: now,
            service,
            by,
            user,
            uid,
            tty,
            connection,
            exe,
        });
    }

    /// The monitors of all open sessions, and their postauth children.
    pub fn open_sessions(&self) -> impl Iterator<Item = (Process, Option<u32>)> {
        self.sessions.iter().map(|(monitor, live)| (*monitor, live.postauth))
    }

    /// The processes that are part of an open session, each with the session's monitor and its user id.
    pub fn processes_of_sessions(&self) -> impl Iterator<Item = (Process, Process, Option<u32>)> {
        self.nodes.values().filter_map(|node| {
            let monitor = node.session?;
            let live = self.sessions.get(&monitor)?;
            Some((node.process, monitor, live.uid))
        })
    }

    /// Tells that what descends from `root` belongs to the session of `monitor`, if that is open.
    pub fn adopt_root(&mut self, root: Process, monitor: Process) {
        if self.sessions.contains_key(&monitor) {
            self.escalations.add_root(root, monitor);
        }
    }

    /// The processes that are followed.
    pub fn processes(&self) -> impl Iterator<Item = Process> {
        self.nodes.values().map(|node| node.process)
    }

    /// Tells that a process does not exist any more, although no event said so.
    pub fn vanished(&mut self, process: Process, now: BootTime) {
        if self.nodes.get(&process.pid).is_some_and(|node| node.process == process) {
            self.remove(process.pid, now, End::Unseen);
        }
    }

    /// Tells that a session's processes are all gone, although no event said so.
    pub fn session_vanished(&mut self, monitor: Process, now: BootTime) {
        self.close(monitor, now, End::Unseen);
    }
}
