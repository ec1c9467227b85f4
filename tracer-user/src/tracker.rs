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
//! Other doors have other rules: those of Dropbear are in `dropbear`, those of login, su and sudo in `local`.
//!
//! None of the conditions can be left out: children that end with 0 are also seen for refused logins, and timers are
//! also disarmed by the C library. Promises: no order, loss or repetition of events panics, opens a session twice, or
//! closes one that is not open.

mod adoption;
mod attempt;
mod auth;
mod dropbear;
mod dropbear_log;
pub mod escalation;
mod foreign;
mod local;
mod pairs;
pub(crate) mod sshd_log;
pub(crate) mod title;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use self::adoption::OpenSession;
pub use self::attempt::Attempt;
use self::attempt::Course;
use self::auth::Accepted;
use self::escalation::Escalations;
use self::foreign::Foreign;
use self::local::Entered;
pub(crate) use self::local::is_the_users_program;
use crate::event::{BootTime, Doubt, Escalated, Event, ExitStatus, Fact, Image, Process, Service};
use crate::session::{Auth, End, FirstCommand};

/// How many closed sessions are remembered against repeated events; more than a batch of events can close.
const CLOSED_REMEMBERED: usize = 4096;

/// What the tracker found. Times are those of the events. As JSON it is a line of `replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// A session began; it is known by its monitor.
    Opened {
        monitor: Process,
        at: BootTime,
        #[serde(skip_serializing_if = "Service::is_ssh")]
        service: Service,
        user: Option<String>,
        /// Where the kernel said so before anybody named the user.
        #[serde(skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// The user id of whoever became the user.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tty: Option<String>,
        connection: Option<Connection>,
        /// How the user proved who they are, if sshd has said so already.
        auth: Option<Box<Auth>>,
        /// Path of the monitor's executable.
        exe: String,
    },
    /// A session was found open that nobody saw begin: before `at`, and not before its monitor.
    Recovered {
        monitor: Process,
        at: BootTime,
        #[serde(skip_serializing_if = "Service::is_ssh")]
        service: Service,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<u32>,
        user: Option<String>,
        uid: Option<u32>,
        tty: Option<String>,
        connection: Option<Connection>,
        exe: String,
    },
    /// More became known.
    Identified { monitor: Process, at: BootTime, uid: Option<u32>, tty: Option<String> },
    /// It became known how the user of a session proved who they are; `user` if their name was not known.
    Authenticated { monitor: Process, at: BootTime, user: Option<String>, auth: Box<Auth> },
    /// What a session executed first.
    Began { monitor: Process, at: BootTime, first: Box<FirstCommand> },
    /// A session ended.
    Closed { monitor: Process, at: BootTime, end: End },
    /// A process inside of a session gained a user id; the session may be closed by then.
    Escalated {
        monitor: Process,
        at: BootTime,
        process: Process,
        how: Escalated,
        /// It stands for so many, of which it is the last.
        count: u64,
    },
    /// A process executes what is called like an ssh server, and is not this host's.
    ForeignSshd { process: Process, at: BootTime, uid: u32, image: Image, doubt: Doubt },
    /// A connection ended without a session.
    Attempt(Box<Attempt>),
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
    /// The processes of the doors, by process id.
    nodes: HashMap<u32, Node>,
    /// The open sessions, by monitor.
    #[serde(with = "pairs")]
    sessions: HashMap<Process, Live>,
    /// The monitors of the last sessions that were closed, oldest first: an event that is repeated opens none anew.
    closed: VecDeque<Process>,
    #[serde(default)]
    escalations: Escalations,
    #[serde(default)]
    foreign: Foreign,
    #[serde(skip)]
    findings: VecDeque<Finding>,
}

/// A process that executes the image of a door.
#[derive(Debug, Serialize, Deserialize)]
struct Node {
    process: Process,
    /// Its start is only known as `/proc` tells it, until the first event about it.
    start_is_rounded: bool,
    parent_pid: u32,
    image: Option<Image>,
    /// Its beginning was an event: nothing that it did was missed.
    seen_from_start: bool,
    /// It descends from the monitor of a connection, whose attempt or session is not its own.
    below_monitor: bool,
    /// The user that it became for good, by its last word.
    became: Option<u32>,
    /// The session that it belongs to: as monitor, or as a descendant of it.
    session: Option<Process>,
    /// What it did as a candidate monitor, since it began to execute a server.
    candidate: Candidate,
    /// That it began to execute login, su or sudo.
    #[serde(default)]
    entered: Option<Box<Entered>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Candidate {
    first_child: Option<u32>,
    preauth_passed: bool,
    connection: Option<Connection>,
    /// What its log line says of whom it let in.
    accepted: Option<Box<Accepted>>,
    /// What happens on its connection while nobody was let in.
    course: Option<Box<Course>>,
}

/// An open session.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Live {
    #[serde(default)]
    service: Service,
    /// The child of the monitor that runs the protocol as the user, while it lives.
    postauth: Option<u32>,
    uid: Option<u32>,
    user: Option<String>,
    tty_known: bool,
    auth_known: bool,
    command_known: bool,
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
            Fact::Exec(image) => {
                self.findings.extend(self.foreign.executes(event, image));
                self.exec(event, image);
            }
            Fact::ForeignExec(image) => self.findings.extend(self.foreign.executes(event, image)),
            Fact::Enter { image, tty } => self.enter(event, image, tty.as_deref()),
            Fact::Leave { tty, path, arguments, user } => {
                if let Some(uid) = *user {
                    self.executes_as(event, uid, path, arguments);
                }
                self.found_command(event, path, arguments);
                self.found_tty(pid, tty.as_deref(), event.at);
                self.may_be_root(event.process);
                self.remove(pid, event.at, End::Unseen);
            }
            Fact::Fork { child } => self.fork(event.process, *child, event.at),
            Fact::Exit(status) => self.exit(event, *status),
            Fact::TimerDisarmed { title } => self.timer_disarmed(event, title),
            Fact::Credentials { ruid, euid, suid } if ruid == euid && euid == suid => {
                self.became_user(pid, *ruid, event.at);
                self.may_be_root(event.process);
            }
            Fact::Credentials { .. } => {}
            Fact::Socket { peer, local } => {
                self.found_connection(event, Connection { peer: *peer, local: *local });
            }
            Fact::Escalated(how) => self.findings.extend(self.escalations.gained(event, how)),
            Fact::LogLine { text } => self.log_line(event, text),
        }
    }

    /// The oldest finding that was not taken yet.
    pub fn next_finding(&mut self) -> Option<Finding> {
        self.findings.pop_front()
    }

    fn exec(&mut self, event: &Event, image: &Image) {
        let pid = event.process.pid;
        if self.goes_on_as_dropbear(event, image) {
            return;
        }
        let session = self.nodes.get(&pid).and_then(|node| node.session);
        let adopted_at = session.and_then(|monitor| self.sessions.get(&monitor)?.adopted_at);
        if adopted_at.is_some_and(|adopted_at| event.at < adopted_at) {
            return;
        }
        // A monitor that executes sshd anew is a new candidate: what it did before does not count.
        if image.is_trusted_server() {
            self.remove(pid, event.at, End::Unseen);
        }
        let node = self.nodes.entry(pid).or_insert_with(|| Node::new(event.process, event.parent_pid));
        node.seen_from_start = true;
        node.image = (event.uid == 0).then(|| image.clone());
    }

    fn fork(&mut self, parent: Process, child: Process, at: BootTime) {
        self.forget_earlier_owner_of_pid(child, at);
        let Some(node) = self.nodes.get_mut(&parent.pid) else {
            return;
        };
        node.candidate.first_child.get_or_insert(child.pid);
        let (image, session) = (node.image.clone(), node.session);
        let below_monitor = node.below_monitor || node.candidate.course.is_some();
        let node =
            Node { image, session, below_monitor, seen_from_start: true, ..Node::new(child, parent.pid) };
        self.nodes.insert(child.pid, node);
    }

    fn exit(&mut self, event: &Event, status: ExitStatus) {
        let pid = event.process.pid;
        self.attempt_ended(event, status);
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
        let is_known = self.is_known(event.process);
        let Some(node) = self.nodes.get_mut(&event.process.pid) else {
            return;
        };
        let Some(image) = node.image.clone().filter(Image::is_trusted_sshd) else {
            return;
        };
        let monitor = event.process;
        let agrees = event.uid == 0 && node.candidate.preauth_passed;
        if !agrees || is_known {
            return;
        }
        node.session = Some(monitor);
        let title = title::user(title);
        let said = node.candidate.accepted.take().map(|accepted| accepted.into_auth(title.as_deref()));
        let (logged, auth) = said.unzip();
        let user = title.or(logged.flatten());
        let auth_known = auth.is_some();
        self.findings.push_back(Finding::Opened {
            monitor,
            at: event.at,
            service: Service::Ssh,
            user: user.clone(),
            uid: None,
            by: None,
            tty: None,
            connection: node.candidate.connection,
            auth: auth.map(Box::new),
            exe: image.path,
        });
        self.sessions.insert(monitor, Live { user, auth_known, ..Live::default() });
    }

    /// Whether a session of this monitor was opened already.
    fn is_known(&self, monitor: Process) -> bool {
        self.sessions.contains_key(&monitor) || self.closed.contains(&monitor)
    }

    /// A child of the monitor became a user for good: the postauth child, or root's shell before OpenSSH 9.8.
    fn became_user(&mut self, pid: u32, uid: u32, at: BootTime) {
        let Some(node) = self.nodes.get_mut(&pid) else {
            return;
        };
        node.became = Some(uid);
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

    /// A process of a session became a user, or the user's program: what descends from it belongs to the session.
    fn may_be_root(&mut self, process: Process) {
        if let Some(monitor) = self.nodes.get(&process.pid).and_then(|node| node.session) {
            self.escalations.add_root(process, monitor);
        }
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
            self.findings.extend(self.escalations.close(monitor));
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
        Self {
            process,
            start_is_rounded: false,
            parent_pid,
            image: None,
            seen_from_start: false,
            below_monitor: false,
            became: None,
            session: None,
            candidate: Candidate::default(),
            entered: None,
        }
    }

    /// Whether it may be a monitor or a listener of an ssh server of this host.
    fn is_trusted(&self) -> bool {
        self.image.as_ref().is_some_and(Image::is_trusted_server)
    }

    /// The service that lets users in by it.
    fn service(&self) -> Option<Service> {
        self.image.as_ref().and_then(Image::trusted_service)
    }

    /// Whether it accepts connections for others: it serves none itself.
    fn is_listener(&self) -> bool {
        self.is_trusted() && !self.below_monitor && self.session.is_none() && self.candidate.course.is_none()
    }
}
