//! `/proc` against what events and the database said: at start, and after events were lost.
//!
//! Reading `/proc` is a snapshot with holes: processes come and go meanwhile. So it only ever answers two questions:
//! which processes execute sshd now, and whether a process that was known still exists.

pub mod descent;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::event::{BootTime, Image, Process};

/// A process of an sshd tree, as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub pid: u32,
    pub parent_pid: u32,
    /// Start of the process in clock ticks since boot: all that `/proc` tells.
    pub start_ticks: u64,
    /// Real user id.
    pub uid: u32,
    pub image: Image,
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

/// All processes that execute an image named like sshd's.
pub fn sshd_processes() -> Vec<Found> {
    let Ok(entries) = fs::read_dir("/proc") else {
        tracing::error!("cannot read /proc: sessions that are open already cannot be found");
        return Vec::new();
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(sshd_process).collect()
}

/// The process with this id, if it executes an image named like sshd's.
pub fn sshd_process(pid: u32) -> Option<Found> {
    let directory = Path::new("/proc").join(pid.to_string());
    let exe = directory.join("exe");
    let path = fs::read_link(&exe).ok()?.to_string_lossy().into_owned();
    // The kernel adds this when the file was replaced, as an upgrade does under open sessions.
    let path = path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned();
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    if !name.starts_with("sshd") {
        return None;
    }
    // Through the link: the file that is executed, whatever has its path by now.
    let file = fs::metadata(&exe).ok()?;
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    let (parent_pid, start_ticks) = parse_stat(&stat)?;
    let uid = real_uid(&fs::read_to_string(directory.join("status")).ok()?)?;
    let image = Image { name, path, owner_uid: file.uid(), mode: file.mode() & 0o7777 };
    Some(Found { pid, parent_pid, start_ticks, uid, image })
}

/// Parent and start (fields 4 and 22 of `proc_pid_stat(5)`). The name in field 2 may hold anything, also `)`.
fn parse_stat(stat: &str) -> Option<(u32, u64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some((parent, start))
}

/// The first number of the line `Uid:` of `proc_pid_status(5)`.
fn real_uid(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()
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
    fn status_tells_the_real_uid() {
        assert_eq!(real_uid("Name:\tsshd\nUid:\t1001\t0\t0\t0\n"), Some(1001));
        assert_eq!(real_uid("Name:\tsshd\n"), None);
    }

    #[test]
    fn a_process_is_known_by_its_rounded_start() {
        let image = Image { name: "sshd".into(), path: "/usr/sbin/sshd".into(), owner_uid: 0, mode: 0o755 };
        let found = Found { pid: 7, parent_pid: 1, start_ticks: 12, uid: 0, image };
        let tick = nanoseconds_per_tick();
        let at = |start| Process { pid: 7, start: BootTime(start) };
        assert!(found.is(at(12 * tick)) && found.is(at(13 * tick - 1)));
        assert!(!found.is(at(13 * tick)));
        assert!(!found.is(Process { pid: 8, start: BootTime(12 * tick) }));
    }
}
