//! Users who come in through Dropbear.
//!
//! It serves each connection by one process that runs as root (since 2022.82 one that executes Dropbear anew), with no child of fewer rights before the user is in and no
//! timer to disarm. So a session opens by one of two signs:
//!
//! 1. The process says so in its log line, about the connection that the kernel shows.
//! 2. Where there is no line to be had (`dropbear -E`, no log hook, a container with other process ids), its own child
//!    executes a program for good as somebody else than root; or as root in the way in which Dropbear starts programs for
//!    its users and nothing else: a shell by its bare name, as a login shell or with `-c`.
//!
//! Without a line is not seen: a connection that runs nothing (`ssh -N`), and an attempt, since it may have been one of these.
//! A session **ends** with the process of its connection.

use serde::{Deserialize, Serialize};

use super::local::Entered;
use super::sshd_log::Said;
use super::{Connection, Finding, Live, Node, Tracker};
use crate::event::{BootTime, Event, Image, Process, Service};
use crate::session::Auth;

/// What is known of a session when it opens, beside its monitor and its time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arrival {
    pub(super) service: Service,
    pub(super) user: Option<String>,
    pub(super) uid: Option<u32>,
    pub(super) by: Option<u32>,
    pub(super) tty: Option<String>,
    pub(super) auth: Option<Box<Auth>>,
    pub(super) connection: Option<Connection>,
}

impl Tracker {
    /// A process of Dropbear's said this, running as root.
    pub(super) fn dropbear_says(&mut self, event: &Event, said: Said<'_>) {
        let Some(node) = self.nodes.get_mut(&event.process.pid) else {
            return;
        };
        let peer = node.candidate.connection.map(|connection| connection.peer);
        let Said::Accepted { user, origin, auth } = said else {
            if let Some(course) = &mut node.candidate.course {
                course.hear(&said, peer);
            }
            return;
        };
        // Only of the connection that it serves; a line that names none is nobody's.
        let (None, Some(connection)) = (node.session, node.candidate.connection) else {
            return;
        };
        if origin != Some(connection.peer) {
            return;
        }
        let arrival = Arrival {
            service: Service::Dropbear,
            user: Some(user.to_owned()),
            auth: Some(Box::new(auth)),
            connection: Some(connection),
            ..Arrival::default()
        };
        self.open(event.process, event.at, arrival);
    }

    /// Since 2022.82 the process of a connection executes the listener's file anew, by its descriptor: the path says nothing
    /// then, and what the process has shown so far still counts. Only what is Dropbear already can do this.
    pub(super) fn goes_on_as_dropbear(&self, event: &Event, image: &Image) -> bool {
        let is_by_descriptor =
            ["/dev/fd/", "/proc/self/fd/"].iter().any(|folder| image.path.starts_with(folder));
        let node = self.nodes.get(&event.process.pid).filter(|node| node.process == event.process);
        let is_same = |before: &Image| {
            before.trusted_service() == Some(Service::Dropbear)
                && (&before.name, before.owner_uid, before.mode) == (&image.name, image.owner_uid, image.mode)
        };
        is_by_descriptor
            && event.uid == 0
            && node.is_some_and(|node| node.image.as_ref().is_some_and(is_same))
    }

    /// A process left the image of a door and executes a program as this user in every place.
    pub(super) fn executes_as(&mut self, event: &Event, uid: u32, path: &str, arguments: &[String]) {
        let pid = event.process.pid;
        let Some(node) = self.nodes.get(&pid) else {
            return;
        };
        if let Some(monitor) = node.session {
            let is_dropbear =
                self.sessions.get(&monitor).is_some_and(|live| live.service == Service::Dropbear);
            if is_dropbear {
                self.became_user(pid, uid, event.at);
            }
            return;
        }
        // The kernel's word: an orphan has another parent than the one that forked it.
        if event.parent_pid != node.parent_pid {
            return;
        }
        let Some((monitor, arrival)) = self
            .let_in_by_dropbear(node, uid, path, arguments)
            .or_else(|| self.let_in_here(node, uid, arguments))
        else {
            return;
        };
        if !self.open(monitor, event.at, arrival) {
            return;
        }
        if let Some(node) = self.nodes.get_mut(&pid) {
            node.session = Some(monitor);
            node.became = Some(uid);
        }
    }

    /// The session that opens since a child of Dropbear's process executes a program.
    fn let_in_by_dropbear(
        &self,
        child: &Node,
        uid: u32,
        path: &str,
        arguments: &[String],
    ) -> Option<(Process, Arrival)> {
        let server = self.nodes.get(&child.parent_pid)?;
        let is_dropbear = server.service() == Some(Service::Dropbear);
        let connection = server.candidate.connection.filter(|_| is_dropbear)?;
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_program_of_user = match arguments {
            [first, ..] if first.strip_prefix('-') == Some(name) => true,
            [first, flag, ..] => first == name && flag == "-c",
            _ => false,
        };
        let arrival = Arrival {
            service: Service::Dropbear,
            uid: Some(uid),
            connection: Some(connection),
            ..Arrival::default()
        };
        (uid != 0 || is_program_of_user).then_some((server.process, arrival))
    }

    /// A session opens, unless it is known already. Says whether it does.
    pub(super) fn open(&mut self, monitor: Process, at: BootTime, arrival: Arrival) -> bool {
        let is_known = self.is_known(monitor);
        let Some(node) = self.nodes.get_mut(&monitor.pid).filter(|_| !is_known) else {
            return false;
        };
        node.session = Some(monitor);
        node.candidate.course = None;
        let exe = node.image.as_ref().map(|image| image.path.clone()).unwrap_or_default();
        let Arrival { service, user, uid, by, tty, auth, connection } = arrival;
        let live = Live {
            service,
            uid,
            user: user.clone(),
            tty_known: tty.is_some(),
            auth_known: auth.is_some(),
            ..Live::default()
        };
        self.sessions.insert(monitor, live);
        self.findings.push_back(Finding::Opened {
            monitor,
            at,
            service,
            user,
            uid,
            by,
            tty,
            connection,
            auth,
            exe,
        });
        true
    }
}

impl Node {
    /// That it began to execute login, su or sudo, and which of them it is.
    pub(super) fn local_door(&self) -> Option<(&Entered, Service)> {
        let service = self.service().filter(|service| service.is_local())?;
        Some((self.entered.as_deref()?, service))
    }
}
