//! Users who come in on this host itself: by login(1) at a terminal, or by su(1) and sudo(8) from outside of any session.
//! Inside of one they are a part of it (`escalation`), and the kernel does not tell of them as doors.
//!
//! All three stay while the session lasts, to close it with PAM, and have a child execute the user's program. Which of the
//! programs that they execute is the user's, and not the helper of a PAM module or a mail about a refusal:
//!
//! - It is executed by a child, of sudo's also by a child's child (which it makes for a terminal of its own): the
//!   mail that sudo sends when it refuses somebody comes from further below.
//! - With real, effective and saved user id the same.
//! - login: under a name that begins with `-`, as login shells do.
//! - su, sudo: as somebody else than whoever started it. su: under a bare name; helpers have their whole path.
//!
//! The session **opens** then, and **ends** with the process of login, su or sudo. One that executes the program in its
//! own place (BusyBox; sudo without PAM) leaves nothing that could end a session, and opens none.

use serde::{Deserialize, Serialize};

use super::dropbear::Arrival;
use super::{Node, Tracker};
use crate::event::{Event, Image, Process, Service};
use crate::session::End;

/// A process began to execute login, su or sudo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entered {
    /// The real user id of whoever did.
    pub(super) by: u32,
    pub(super) tty: Option<String>,
}

impl Tracker {
    /// A process began to execute login, su or sudo.
    pub(super) fn enter(&mut self, event: &Event, image: &Image, tty: Option<&str>) {
        self.remove(event.process.pid, event.at, End::Unseen);
        let entered = Entered { by: event.uid, tty: tty.map(str::to_owned) };
        let node = Node {
            image: Some(image.clone()),
            seen_from_start: true,
            entered: Some(Box::new(entered)),
            ..Node::new(event.process, event.parent_pid)
        };
        self.nodes.insert(event.process.pid, node);
    }

    /// Tells of a process that executes login, su or sudo since before events began, and lets somebody in or may do so.
    pub fn adopt_entered(
        &mut self,
        process: Process,
        parent_pid: u32,
        image: Image,
        by: u32,
        tty: Option<String>,
    ) {
        self.adopt(process, parent_pid, image);
        if let Some(node) = self.nodes.get_mut(&process.pid) {
            node.entered.get_or_insert_with(|| Box::new(Entered { by, tty }));
        }
    }

    /// The session that opens since a process that descends from login, su or sudo executes a program as `uid`.
    pub(super) fn let_in_here(
        &self,
        node: &Node,
        uid: u32,
        arguments: &[String],
    ) -> Option<(Process, Arrival)> {
        let parent = self.nodes.get(&node.parent_pid)?;
        let (door, is_child) = match parent.local_door() {
            Some(_) => (parent, true),
            None => (self.nodes.get(&parent.parent_pid)?, false),
        };
        let (Entered { by, tty }, service) = door.local_door()?;
        is_the_users_program(service, is_child, *by, uid, arguments).then(|| {
            let by = (service != Service::Login).then_some(*by);
            (door.process, Arrival { service, uid: Some(uid), by, tty: tty.clone(), ..Arrival::default() })
        })
    }
}

/// Whether a program is what `by` was let in for; `uid` are all user ids of the process that executes it.
pub(crate) fn is_the_users_program(
    service: Service,
    is_child: bool,
    by: u32,
    uid: u32,
    arguments: &[String],
) -> bool {
    let name = arguments.first().map_or("", String::as_str);
    match service {
        Service::Ssh | Service::Dropbear => false,
        Service::Login => is_child && name.starts_with('-'),
        Service::Su => is_child && by != uid && !name.contains('/'),
        Service::Sudo => by != uid,
    }
}
