//! Connections that end without a session: what was tried on them, as far as sshd says so in its log, and why they
//! came to nothing.
//!
//! One connection is one attempt, told when its monitor exits. Which process is a monitor follows from its place: it
//! holds a connection since it began to execute sshd, or it was forked by a listener; what it forks serves the same
//! connection. A connection that was there before events began, or whose end no event told, is told as no attempt: it may
//! have been a session.
//!
//! Everything that strangers choose is bounded.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::sshd_log::{Name, Said};
use super::{Connection, Finding, Node, Tracker};
use crate::event::{BootTime, Event, ExitStatus, Process, Service};
use crate::session::{Reason, Tried, TriedUser};

/// Names that are kept of one connection. sshd lets a client change the name only by breaking the connection.
const USERS_KEPT: usize = 8;
/// Bytes that are kept of a name; sshd logs a hundred, and writes some of them as four.
const USER_LEN: usize = 128;
/// Methods that are kept, and bytes of each: OpenSSH has six.
const METHODS_KEPT: usize = 8;
const METHOD_LEN: usize = 32;

/// A connection that ended without a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The monitor; `None` if the listener dropped the connection before there was one.
    pub monitor: Option<Process>,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub began_at: BootTime,
    pub ended_at: BootTime,
    pub tried: Tried,
    pub reason: Reason,
}

/// What is known of a connection while nobody was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Course {
    began_at: BootTime,
    users: Vec<TriedUser>,
    methods: Vec<String>,
    /// Refused credentials by lines `Failed ...`, except for those that PAM tells of as well.
    failures: u32,
    /// Refused answers by lines `Failed keyboard-interactive...`, which come late or never.
    answers_failed: u32,
    /// Refused answers by PAM's lines.
    pam_failures: u32,
    is_password_refused: bool,
    is_key_refused: bool,
    is_unknown_user: bool,
    is_not_allowed: bool,
    is_too_many: bool,
    is_timed_out: bool,
    is_protocol_error: bool,
    /// A line told of the end while no user was named.
    is_ended_unnamed: bool,
    /// A line was understood.
    #[serde(default)]
    is_heard: bool,
}

impl Tracker {
    /// The process holds this connection.
    pub(super) fn found_connection(&mut self, event: &Event, connection: Connection) {
        let pid = event.process.pid;
        let Some(parent_pid) = self.nodes.get(&pid).map(|node| node.parent_pid) else {
            return;
        };
        let is_forked_by_listener = self.nodes.get(&parent_pid).is_some_and(Node::is_listener);
        let Some(node) = self.nodes.get_mut(&pid) else {
            return;
        };
        node.candidate.connection = Some(connection);
        let is_monitor = node.is_trusted()
            && node.seen_from_start
            && node.session.is_none()
            && !node.below_monitor
            && (node.candidate.first_child.is_none() || is_forked_by_listener);
        if is_monitor {
            node.candidate.course.get_or_insert_with(|| Box::new(Course::new(event.at)));
        }
    }

    /// The listener closed a connection as soon as it had accepted it.
    pub(super) fn dropped(&mut self, event: &Event, peer: SocketAddr, local: SocketAddr, is_penalty: bool) {
        let is_listener = self.nodes.get(&event.process.pid).is_some_and(Node::is_listener);
        if is_listener {
            self.findings.push_back(Finding::Attempt(Box::new(Attempt {
                monitor: None,
                peer,
                local,
                began_at: event.at,
                ended_at: event.at,
                tried: Tried::default(),
                reason: if is_penalty { Reason::DroppedPenalty } else { Reason::DroppedMaxStartups },
            })));
        }
    }

    /// A process exits: if it was the monitor of a connection on which nobody was let in, that was an attempt.
    pub(super) fn attempt_ended(&mut self, event: &Event, status: ExitStatus) {
        let monitor = event.process;
        let was_session = self.is_known(monitor);
        let Some(node) = self.nodes.get_mut(&monitor.pid).filter(|_| !was_session) else {
            return;
        };
        let (None, Some(course), Some(connection)) =
            (node.session, node.candidate.course.take(), node.candidate.connection)
        else {
            return;
        };
        // Dropbear lets in those who want no program by its words alone: of one that says nothing nobody knows.
        if node.service() == Some(Service::Dropbear) && !course.is_heard {
            return;
        }
        let has_forked = node.candidate.first_child.is_some();
        let is_told_by_status = node.image.as_ref().is_some_and(|image| image.name == "sshd-session");
        let by_status =
            if is_told_by_status { by_status(status) } else { by_early_status(status, has_forked) };
        let mut reason = course.reason().unwrap_or(by_status);
        // Nothing was logged that tells a key from nothing at all; since 9.8 the status does.
        if reason == Reason::WrongKey && !course.is_key_refused && by_status == Reason::NoAuthentication {
            reason = by_status;
        }
        self.findings.push_back(Finding::Attempt(Box::new(Attempt {
            monitor: Some(monitor),
            peer: connection.peer,
            local: connection.local,
            began_at: course.began_at,
            ended_at: event.at,
            tried: course.tried(),
            reason,
        })));
    }
}

/// Exit codes of `sshd-session` (OpenSSH 9.8 and later, `sshd.h`).
fn by_status(status: ExitStatus) -> Reason {
    match status {
        ExitStatus::Code(3) => Reason::TimedOut,
        ExitStatus::Code(5) => Reason::Refused,
        ExitStatus::Code(7) => Reason::UnknownUser,
        ExitStatus::Code(255) => Reason::NoAuthentication,
        ExitStatus::Code(_) | ExitStatus::Signal(_) => Reason::Other,
    }
}

/// Before 9.8 the status is 255 for everything but `LoginGraceTime`. Up to 9.9 clients are greeted before the monitor
/// forks the child that knows more.
fn by_early_status(status: ExitStatus, has_forked: bool) -> Reason {
    match status {
        ExitStatus::Code(1) => Reason::TimedOut,
        ExitStatus::Code(255) if !has_forked => Reason::NoAuthentication,
        ExitStatus::Code(_) | ExitStatus::Signal(_) => Reason::Other,
    }
}

impl Course {
    fn new(began_at: BootTime) -> Self {
        Self {
            began_at,
            users: Vec::new(),
            methods: Vec::new(),
            failures: 0,
            answers_failed: 0,
            pam_failures: 0,
            is_password_refused: false,
            is_key_refused: false,
            is_unknown_user: false,
            is_not_allowed: false,
            is_too_many: false,
            is_timed_out: false,
            is_protocol_error: false,
            is_ended_unnamed: false,
            is_heard: false,
        }
    }

    /// Takes in what sshd says. A line about another connection than `peer` is not about this one.
    pub(super) fn hear(&mut self, said: &Said<'_>, peer: Option<SocketAddr>) {
        let is_other = |origin: &Option<SocketAddr>| matches!((origin, peer), (Some(a), Some(b)) if *a != b);
        self.is_heard = true;
        match said {
            Said::UnknownUser => self.is_unknown_user = true,
            Said::Failed { method, user, origin } if !is_other(origin) => self.failed(method, *user),
            Said::PamFailed { user } => {
                self.name(*user);
                self.method("keyboard-interactive/pam");
                self.pam_failures = self.pam_failures.saturating_add(1);
                self.is_password_refused = true;
            }
            Said::InvalidUser { name, origin } if !is_other(origin) => {
                self.name(Name { name, is_known: false });
                self.is_unknown_user = true;
            }
            Said::NotAllowed { name } => {
                // It exists, whatever other lines call it from now on.
                self.name(Name { name: name.unwrap_or("root"), is_known: true });
                self.is_not_allowed = true;
            }
            Said::TooMany { user } => {
                self.is_too_many = true;
                if let Some(user) = user {
                    self.name(*user);
                }
            }
            Said::Ended { user, origin } if !is_other(origin) => match user {
                Some(user) => self.name(*user),
                None => self.is_ended_unnamed = true,
            },
            Said::TimedOut => self.is_timed_out = true,
            Said::ProtocolError => self.is_protocol_error = true,
            Said::Greeted { .. }
            | Said::Failed { .. }
            | Said::InvalidUser { .. }
            | Said::Ended { .. }
            | Said::Accepted { .. }
            | Said::Dropped { .. } => {}
        }
    }

    fn failed(&mut self, method: &str, user: Name<'_>) {
        self.name(user);
        // Every client asks without any credential first, to learn what there is.
        if method == "none" {
            return;
        }
        self.method(method);
        if method.starts_with("keyboard-interactive") {
            self.answers_failed = self.answers_failed.saturating_add(1);
            self.is_password_refused = true;
        } else {
            self.failures = self.failures.saturating_add(1);
            self.is_password_refused |= method == "password";
            self.is_key_refused |= method != "password";
        }
    }

    fn name(&mut self, Name { name, is_known }: Name<'_>) {
        self.is_unknown_user |= !is_known && !self.is_not_allowed;
        let name = bounded(name, USER_LEN);
        let has_room = self.users.len() < USERS_KEPT;
        match self.users.iter_mut().find(|user| user.name == name) {
            // Once a line says that there is no such account, only that it may not log in shows that there is.
            Some(user) => user.is_known |= is_known && self.is_not_allowed,
            None if has_room => {
                self.users.push(TriedUser { name: name.to_owned(), is_known });
            }
            None => {}
        }
    }

    fn method(&mut self, method: &str) {
        let method = bounded(method, METHOD_LEN);
        if self.methods.len() < METHODS_KEPT && !self.methods.iter().any(|known| known == method) {
            self.methods.push(method.to_owned());
        }
    }

    /// By what the lines say; `None` if they say nothing that decides.
    fn reason(&self) -> Option<Reason> {
        let table = [
            (self.is_too_many, Reason::TooMany),
            (self.is_timed_out, Reason::TimedOut),
            (self.is_not_allowed, Reason::NotAllowed),
            (self.is_unknown_user, Reason::UnknownUser),
            (self.is_password_refused, Reason::WrongPassword),
            (self.is_key_refused, Reason::WrongKey),
            (self.is_protocol_error, Reason::ProtocolError),
            (!self.users.is_empty(), Reason::WrongKey),
            (self.is_ended_unnamed, Reason::NoAuthentication),
        ];
        table.into_iter().find(|(applies, _)| *applies).map(|(_, reason)| reason)
    }

    fn tried(self) -> Tried {
        let failures = self.failures.saturating_add(self.answers_failed.max(self.pam_failures));
        Tried { users: self.users, methods: self.methods, failures }
    }
}

fn bounded(text: &str, length: usize) -> &str {
    text.get(..text.floor_char_boundary(length)).unwrap_or(text)
}
