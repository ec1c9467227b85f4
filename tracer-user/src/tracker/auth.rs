//! Who came and how, from sshd's own words: its log lines, taken at the system call of the monitor.
//!
//! The line `Accepted ...` comes shortly before the session opens or shortly after. It counts only as the word of the
//! monitor itself, which runs as root, about its own connection. Absent lines (`LogLevel QUIET`, `sshd -e`, a container
//! whose process ids are others than ours) cost only what they would have told.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::dropbear_log;
use super::sshd_log::{self, Line, Said};
use super::{Finding, Node, Tracker};
use crate::event::{Event, Service};
use crate::session::{Auth, CommandKind, FirstCommand};

/// What the monitor said of whom it let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Accepted {
    user: String,
    auth: Auth,
}

impl Accepted {
    /// The user and how they proved it. The title's name is trusted more; the log's is kept where it is another one.
    pub(super) fn into_auth(self, title: Option<&str>) -> (Option<String>, Auth) {
        let Self { user, mut auth } = self;
        match title {
            Some(title) if title != user => {
                auth.user_log = Some(user);
                (None, auth)
            }
            Some(_) => (None, auth),
            None => (Some(user), auth),
        }
    }
}

impl Tracker {
    /// A process that runs as root sent this datagram to the system log.
    pub(super) fn log_line(&mut self, event: &Event, datagram: &str) {
        let monitor = event.process;
        let Some(line) = Line::parse(datagram).filter(|line| line.pid == monitor.pid) else {
            return;
        };
        if event.uid != 0 {
            return;
        }
        let is_dropbear = self.nodes.get(&monitor.pid).and_then(Node::service) == Some(Service::Dropbear);
        if is_dropbear {
            if let Some(said) = dropbear_log::parse(line.text) {
                self.dropbear_says(event, said);
            }
            return;
        }
        let Some(said) = sshd_log::parse(line.text) else {
            return;
        };
        if let Said::Dropped { peer, local, is_penalty } = said {
            self.dropped(event, peer, local, is_penalty);
            return;
        }
        let Some(node) = self.nodes.get_mut(&monitor.pid).filter(|node| node.is_trusted()) else {
            return;
        };
        let peer = node.candidate.connection.map(|connection| connection.peer);
        let Said::Accepted { user, origin, auth } = said else {
            if let Some(course) = &mut node.candidate.course {
                course.hear(&said, peer);
            }
            return;
        };
        if !is_of(origin, peer) {
            return;
        }
        let accepted = Accepted { user: user.to_owned(), auth };
        match node.session {
            Some(session) if session == monitor => self.authenticated(event, accepted),
            Some(_) => {}
            None => node.candidate.accepted = Some(Box::new(accepted)),
        }
    }

    /// The line came after the session was opened.
    fn authenticated(&mut self, event: &Event, accepted: Accepted) {
        let monitor = event.process;
        if let Some(live) = self.sessions.get_mut(&monitor).filter(|live| !live.auth_known) {
            live.auth_known = true;
            let (user, auth) = accepted.into_auth(live.user.as_deref());
            if user.is_some() {
                live.user.clone_from(&user);
            }
            self.findings.push_back(Finding::Authenticated {
                monitor,
                at: event.at,
                user,
                auth: Box::new(auth),
            });
        }
    }

    /// A process of a session is about to execute something else: the user's program, if it is the user.
    ///
    /// That is a child of the postauth child, or before OpenSSH 9.8 root's own child of the monitor. Other children of
    /// the monitor are helpers of PAM modules; of those that run as root, root's program differs by having set its ids.
    pub(super) fn found_command(&mut self, event: &Event, path: &str, arguments: &[String]) {
        let Some(node) = self.nodes.get(&event.process.pid) else {
            return;
        };
        let Some(monitor) = node.session else {
            return;
        };
        let parent = self.nodes.get(&node.parent_pid).filter(|parent| parent.process != monitor);
        let became = node.became.or_else(|| parent.and_then(|parent| parent.became));
        let Some(live) = self.sessions.get_mut(&monitor).filter(|live| !live.command_known) else {
            return;
        };
        let is_the_users = match became {
            // Helpers of sshd's are root, too; root's program differs by having set its ids.
            Some(0) if live.service == Service::Ssh => live.user.as_deref() == Some("root"),
            Some(uid) => live.uid == Some(uid),
            None => false,
        };
        if is_the_users {
            live.command_known = true;
            self.findings.push_back(Finding::Began {
                monitor,
                at: event.at,
                first: Box::new(FirstCommand {
                    kind: kind(path, arguments),
                    path: path.to_owned(),
                    arguments: arguments.to_vec(),
                }),
            });
        }
    }
}

/// Whether the end of a connection that a line names may be the one that the kernel showed.
fn is_of(origin: Option<SocketAddr>, peer: Option<SocketAddr>) -> bool {
    match (origin, peer) {
        (Some(origin), Some(peer)) => origin == peer,
        (None, _) | (_, None) => true,
    }
}

/// sshd starts a login shell by a name with a dash before it, and commands and subsystems by `SHELL -c COMMAND`
/// (`do_child` in `session.c`).
fn kind(path: &str, arguments: &[String]) -> CommandKind {
    let is_sftp = |program: &str| program.rsplit('/').next() == Some("sftp-server");
    match arguments {
        [name, ..] if name.starts_with('-') => CommandKind::Shell,
        [_, flag, command, ..] if flag == "-c" => {
            let program = command.split(' ').next().unwrap_or_default();
            if is_sftp(program) { CommandKind::Sftp } else { CommandKind::Command }
        }
        _ if is_sftp(path) => CommandKind::Sftp,
        [] => CommandKind::Program,
        [..] => CommandKind::Command,
    }
}
