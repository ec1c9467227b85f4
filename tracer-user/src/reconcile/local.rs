//! The processes of all doors, and which of Dropbear's, login's, su's and sudo's hold a session.
//!
//! They show less than sshd does, whose titles speak. A session of theirs is seen by the program that runs for the user: of
//! Dropbear's connections those that run nothing are not found, until their processes say something.

use std::collections::HashMap;
use std::fs;

use super::descent::{self, Children, Member};
use super::{Found, connection, door_process};
use crate::event::{Process, Service};
use crate::kernel;
use crate::tracker::{OpenSession, is_the_users_program};

/// All processes of these services that may let somebody in. Those of login, su and sudo that were started inside of
/// something that a door let in are none.
pub fn doors(services: &[Service]) -> Vec<Found> {
    let Ok(entries) = fs::read_dir("/proc") else {
        tracing::error!("cannot read /proc: sessions that are open already cannot be found");
        return Vec::new();
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut all: Vec<_> = pids.filter_map(door_process).collect();
    all.retain(|found| services.contains(&found.service));
    if all.iter().any(|found| found.service.is_local()) {
        let parents: HashMap<u32, u32> =
            descent::members().iter().map(|member| (member.pid, member.parent_pid)).collect();
        let inside = inside(&all, &parents);
        all.retain(|found| !inside.contains(&found.pid));
    }
    all.retain(|found| {
        let has_terminal = found.tty.is_some();
        !found.service.is_local() || kernel::may_let_in(found.service, by(found), found.euid, has_terminal)
    });
    all
}

/// The processes of login, su and sudo that descend from the process of a door.
fn inside(all: &[Found], parents: &HashMap<u32, u32>) -> Vec<u32> {
    let is_door = |pid: u32| all.iter().any(|found| found.pid == pid);
    let is_inside = |found: &&Found| {
        let mut pid = found.parent_pid;
        // Bounded: the snapshot may say that two processes are each other's child.
        for _ in 0..parents.len() {
            if is_door(pid) {
                return true;
            }
            match parents.get(&pid) {
                Some(parent) if *parent != pid => pid = *parent,
                Some(_) | None => return false,
            }
        }
        false
    };
    all.iter().filter(|found| found.service.is_local()).filter(is_inside).map(|found| found.pid).collect()
}

/// Who started it. sudo takes on root's id in every place: then it is whoever its parent is.
pub(super) fn by(found: &Found) -> u32 {
    if found.service != Service::Sudo || found.uid != 0 {
        return found.uid;
    }
    let status = fs::read_to_string(format!("/proc/{}/status", found.parent_pid)).ok();
    status.and_then(|status| descent::uids(&status)).map_or(0, |[uid, ..]| uid)
}

/// The session that a process of Dropbear's, login's, su's or sudo's holds.
pub(super) fn open_session(found: &Found, monitor: Process, children: &Children<'_>) -> Option<OpenSession> {
    let service = found.image.trusted_service().filter(|service| *service == found.service)?;
    let connection = connection::connection(found.pid);
    let of = |pid: u32| children.get(&pid).into_iter().flatten().copied();
    let mut programs = of(found.pid)
        .map(|child| (child, true))
        .chain(of(found.pid).flat_map(|child| of(child.pid)).map(|grandchild| (grandchild, false)));
    let (program, _) = programs.find(|(member, is_child)| {
        let runs_something = kernel::service_of(&member.name) != Some(service) && is_one(member);
        runs_something
            && match service {
                Service::Ssh => false,
                Service::Dropbear => *is_child && connection.is_some(),
                Service::Login | Service::Su | Service::Sudo => is_the_users_program(
                    service,
                    *is_child,
                    by(found),
                    member.uids[0],
                    &arguments(member.pid),
                ),
            }
    })?;
    let is_local = service.is_local();
    let stat = fs::read_to_string(format!("/proc/{}/stat", program.pid)).unwrap_or_default();
    Some(OpenSession {
        monitor,
        service,
        by: (is_local && service != Service::Login).then(|| by(found)),
        postauth: None,
        user: None,
        uid: Some(program.uids[0]),
        tty: if is_local { found.tty.clone() } else { super::terminal::of(&stat) },
        connection: connection.filter(|_| !is_local),
        exe: found.image.path.clone(),
    })
}

/// Whether it is the same user in every place.
fn is_one(member: &Member) -> bool {
    member.uids.iter().all(|uid| *uid == member.uids[0])
}

fn arguments(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Image;

    fn found(pid: u32, parent_pid: u32, service: Service) -> Found {
        let name = service.as_str().to_owned();
        let image = Image { path: format!("/usr/bin/{name}"), name, owner_uid: 0, mode: 0o4755 };
        let (start_ticks, tty, title) = (1, None, String::new());
        Found { pid, parent_pid, start_ticks, uid: 0, euid: 0, tty, service, image, title }
    }

    #[test]
    fn what_a_door_let_in_starts_no_session_of_its_own() {
        // init, a terminal's shell with su, whose shell has sudo; dropbear's connection, whose shell has su.
        let parents = HashMap::from([
            (1, 0),
            (10, 1),
            (11, 10),
            (12, 11),
            (13, 12),
            (20, 1),
            (21, 20),
            (22, 21),
            (23, 22),
        ]);
        let all = [
            found(11, 10, Service::Su),
            found(13, 12, Service::Sudo),
            found(20, 1, Service::Dropbear),
            found(21, 20, Service::Dropbear),
            found(23, 22, Service::Su),
        ];
        assert_eq!(inside(&all, &parents), [13, 23]);
        let circle = HashMap::from([(10, 11), (11, 10)]);
        assert!(inside(&[found(12, 10, Service::Su)], &circle).is_empty());
    }
}
