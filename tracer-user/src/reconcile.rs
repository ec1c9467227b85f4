//! `/proc` against what events and the database said: at start, after events were lost, and when somebody asks.
//!
//! Reading `/proc` is a snapshot with holes: processes come and go meanwhile. So it only ever answers which processes
//! execute the program of a door now and what they show of themselves, and whether a process that was known still exists.

mod connection;
mod local;
mod standing;
mod terminal;

pub mod descent;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use self::standing::Standing;
use crate::event::{BootTime, Image, Process, Service};
use crate::kernel;
use crate::tracker::{OpenSession, Tracker};

pub use self::local::doors;

/// A process of a door, as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub pid: u32,
    pub parent_pid: u32,
    /// Start of the process in clock ticks since boot: all that `/proc` tells.
    pub start_ticks: u64,
    /// Real user id.
    pub uid: u32,
    pub euid: u32,
    /// Its controlling terminal.
    pub tty: Option<String>,
    /// The door, by the name of the program.
    pub service: Service,
    pub image: Image,
    /// Its title: the first string of its argument area.
    pub title: String,
}

impl Found {
    /// Whether this is `process`, of which the kernel told the exact start.
    pub fn is(&self, process: Process) -> bool {
        self.pid == process.pid && self.start_ticks == ticks(process.start)
    }

    /// The process with its start as exact as `/proc` knows it.
    pub fn process(&self) -> Process {
        Process { pid: self.pid, start: BootTime(self.start_ticks.saturating_mul(nanoseconds_per_tick())) }
    }
}

/// Tells the tracker of the processes that it does not know: listeners, monitors, and the preauth children of clients
/// who are authenticating; and of those who are at login, su or sudo. `all` are the processes of [`doors`].
pub fn introduce(tracker: &mut Tracker, all: &[Found]) {
    for found in all {
        if tracker.knows(found.process()) {
            continue;
        }
        if found.service.is_local() {
            let (process, tty) = (found.process(), found.tty.clone());
            tracker.adopt_entered(process, found.parent_pid, found.image.clone(), local::by(found), tty);
            continue;
        }
        if found.uid != 0 {
            continue;
        }
        tracker.adopt(found.process(), found.parent_pid, found.image.clone());
        if found.service == Service::Dropbear {
            tracker.adopt_connection(found.pid, connection::connection(found.pid));
        }
        if let Standing::Authenticating { preauth } = standing::standing(found, all)
            && let Some(child) = all.iter().find(|child| child.pid == preauth)
        {
            tracker.adopt(child.process(), found.pid, child.image.clone());
            tracker.adopt_candidate(found.pid, preauth, connection::connection(found.pid));
        }
    }
}

/// Tells the tracker of sessions that are open although no event said so. It has taken in all events that were there
/// when `all` were looked for.
pub fn recover(tracker: &mut Tracker, all: &[Found], now: BootTime) {
    let others = all.iter().any(|found| found.service != Service::Ssh);
    let members = if others { descent::members() } else { Vec::new() };
    let children = descent::by_parent(&members);
    for found in all {
        let Some(monitor) = tracker.without_session(found.process()) else { continue };
        if found.service != Service::Ssh {
            if let Some(open) = local::open_session(found, monitor, &children) {
                tracker.recover_session(open, now);
            }
            continue;
        }
        let Standing::Open { user, uid, tty, postauth } = standing::standing(found, all) else { continue };
        let postauth = postauth.and_then(|pid| all.iter().find(|child| child.pid == pid));
        let open = OpenSession {
            monitor,
            service: Service::Ssh,
            by: None,
            postauth: postauth.map(Found::process),
            user: Some(user),
            uid: Some(uid),
            tty,
            connection: connection::connection(found.pid),
            exe: found.image.path.clone(),
        };
        tracker.recover_session(open, now);
    }
}

/// Whether a process exists, be it that nobody has waited for it yet. The events of one that does not are all in the
/// ring buffer: the kernel reports an end before anybody can learn of it.
pub fn exists(process: Process) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid));
    stat.is_ok_and(|stat| parse_stat(&stat).is_some_and(|(_, start)| start == ticks(process.start)))
}

/// The process with this id, if it executes an image named like a door's.
fn door_process(pid: u32) -> Option<Found> {
    let directory = Path::new("/proc").join(pid.to_string());
    let exe = directory.join("exe");
    let path = fs::read_link(&exe).ok()?.to_string_lossy().into_owned();
    // The kernel adds this when the file was replaced, as an upgrade does under open sessions.
    let path = path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned();
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    let service = kernel::service_of(&name)?;
    // Through the link: the file that is executed, whatever has its path by now.
    let file = fs::metadata(&exe).ok()?;
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    let (parent_pid, start_ticks) = parse_stat(&stat)?;
    let tty = terminal::of(&stat);
    let [uid, euid, _] = descent::uids(&fs::read_to_string(directory.join("status")).ok()?)?;
    let image = Image { name, path, owner_uid: file.uid(), mode: file.mode() & 0o7777 };
    let arguments = fs::read(directory.join("cmdline")).ok()?;
    let title = arguments.split(|byte| *byte == 0).next().unwrap_or_default();
    let title = String::from_utf8_lossy(title).into_owned();
    Some(Found { pid, parent_pid, start_ticks, uid, euid, tty, service, image, title })
}

/// Parent and start (fields 4 and 22 of `proc_pid_stat(5)`). The name in field 2 may hold anything, also `)`.
fn parse_stat(stat: &str) -> Option<(u32, u64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some((parent, start))
}

/// The kernel rounds the exact start down to ticks (`nsec_to_clock_t`).
fn ticks(start: BootTime) -> u64 {
    start.0 / nanoseconds_per_tick()
}

fn nanoseconds_per_tick() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_the_name() {
        let stat = "77 (a) b) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 2 3";
        assert_eq!(parse_stat(stat), Some((1, 4242)));
        assert_eq!(parse_stat("77 (a"), None);
        assert_eq!(parse_stat("77 (a) S"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn status_tells_the_user_ids() {
        assert_eq!(descent::uids("Name:\tsshd\nUid:\t1001\t0\t2\t3\n"), Some([1001, 0, 2]));
        assert_eq!(descent::uids("Name:\tsshd\n"), None);
    }

    #[test]
    fn a_process_is_known_by_its_rounded_start() {
        let image = Image { name: "sshd".into(), path: "/usr/sbin/sshd".into(), owner_uid: 0, mode: 0o755 };
        let title = String::new();
        let service = Service::Ssh;
        let found = Found {
            pid: 7,
            parent_pid: 1,
            start_ticks: 12,
            uid: 0,
            euid: 0,
            tty: None,
            service,
            image,
            title,
        };
        let tick = nanoseconds_per_tick();
        let at = |start| Process { pid: 7, start: BootTime(start) };
        assert!(found.is(at(12 * tick)) && found.is(at(13 * tick - 1)));
        assert!(!found.is(at(13 * tick)));
        assert!(!found.is(Process { pid: 8, start: BootTime(12 * tick) }));
    }
}
