//! What descends from the processes of open sessions, for a tracer that begins while they are open.
//!
//! A snapshot with holes, too: whoever follows what is found here looks again until there is nothing new. A process
//! whose parent has ended is not found: nothing says any more whose descendant it is.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// A process of this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub pid: u32,
    pub parent_pid: u32,
    /// As in [`super::Found`].
    pub start_ticks: u64,
    /// Real, effective and saved user id.
    pub uids: [u32; 3],
    /// Name of its executable.
    pub name: String,
}

/// All processes of this moment that can be read.
pub fn members() -> Vec<Member> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(member).collect()
}

impl Member {
    /// Whether it exists, be it that nobody has waited for it yet.
    pub fn exists(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid));
        stat.is_ok_and(|stat| super::parse_stat(&stat).is_some_and(|(_, start)| start == self.start_ticks))
    }
}

/// Those that descend from `root`, each after its parent. What is among `known`, as `root` is, is not among them, and
/// neither is what descends from it.
pub fn below<'a>(root: u32, known: &HashSet<u32>, children: &Children<'a>) -> Vec<&'a Member> {
    let (mut found, mut next) = (Vec::new(), vec![root]);
    // The snapshot may say that two processes are each other's child.
    let mut seen = HashSet::new();
    while let Some(pid) = next.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if !known.contains(&child.pid) && seen.insert(child.pid) {
                next.push(child.pid);
                found.push(*child);
            }
        }
    }
    found
}

/// Processes by their parents.
pub type Children<'a> = HashMap<u32, Vec<&'a Member>>;

/// See [`Children`].
pub fn by_parent(members: &[Member]) -> Children<'_> {
    let mut children = Children::new();
    for member in members {
        children.entry(member.parent_pid).or_default().push(member);
    }
    children
}

/// The process that has this id now.
fn member(pid: u32) -> Option<Member> {
    let directory = Path::new("/proc").join(pid.to_string());
    let (parent_pid, start_ticks) = super::parse_stat(&fs::read_to_string(directory.join("stat")).ok()?)?;
    let uids = uids(&fs::read_to_string(directory.join("status")).ok()?)?;
    let path = fs::read_link(directory.join("exe")).ok()?.to_string_lossy().into_owned();
    let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    Some(Member { pid, parent_pid, start_ticks, uids, name })
}

/// The first three numbers of the line `Uid:` of `proc_pid_status(5)`.
pub(super) fn uids(status: &str) -> Option<[u32; 3]> {
    let mut numbers = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace();
    let mut next = || numbers.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(pid: u32, parent_pid: u32) -> Member {
        Member { pid, parent_pid, start_ticks: 1, uids: [1001; 3], name: "sh".to_owned() }
    }

    #[test]
    fn descent_is_followed_over_generations() {
        let all = [member(10, 1), member(11, 10), member(12, 11), member(20, 1), member(21, 20)];
        assert_eq!(pids_below(10, &[10, 20], &all), [11, 12]);
        assert!(pids_below(99, &[], &all).is_empty());
    }

    #[test]
    fn what_is_known_has_descendants_of_its_own() {
        let all = [member(10, 1), member(11, 10), member(12, 11), member(13, 12), member(14, 10)];
        assert_eq!(pids_below(10, &[10, 12], &all), [11, 14]);
        assert_eq!(pids_below(12, &[10, 12], &all), [13]);
    }

    #[test]
    fn circles_end() {
        let all = [member(10, 11), member(11, 10), member(12, 12)];
        assert_eq!(pids_below(10, &[10], &all), [11]);
        assert!(pids_below(12, &[12], &all).is_empty());
        assert_eq!(pids_below(10, &[], &all), [10, 11]);
    }

    fn pids_below(root: u32, known: &[u32], all: &[Member]) -> Vec<u32> {
        let known = known.iter().copied().collect();
        let mut pids: Vec<_> = below(root, &known, &by_parent(all)).iter().map(|member| member.pid).collect();
        pids.sort_unstable();
        pids
    }

    #[test]
    fn user_ids_are_read() {
        assert_eq!(uids("Name:\tsudo\nUid:\t1001\t0\t0\t0\n"), Some([1001, 0, 0]));
        assert_eq!(uids("Uid:\t1001\n"), None);
        assert_eq!(uids(""), None);
        let own = super::member(std::process::id()).expect("this process");
        assert_eq!(own.parent_pid, std::os::unix::process::parent_id());
    }
}
