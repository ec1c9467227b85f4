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

/// Those that descend from one of `roots`, which are not among them.
pub fn below(roots: &[u32], members: &[Member]) -> Vec<Member> {
    let mut children: HashMap<u32, Vec<&Member>> = HashMap::new();
    for member in members {
        children.entry(member.parent_pid).or_default().push(member);
    }
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut next = roots.to_vec();
    while let Some(pid) = next.pop() {
        // The snapshot may say that two processes are each other's child.
        if seen.insert(pid)
            && let Some(children) = children.get(&pid)
        {
            next.extend(children.iter().map(|child| child.pid));
            found.extend(children.iter().filter(|child| !roots.contains(&child.pid)).map(|m| (*m).clone()));
        }
    }
    found
}

fn member(pid: u32) -> Option<Member> {
    let directory = Path::new("/proc").join(pid.to_string());
    let (parent_pid, _) = super::parse_stat(&fs::read_to_string(directory.join("stat")).ok()?)?;
    let uids = uids(&fs::read_to_string(directory.join("status")).ok()?)?;
    let path = fs::read_link(directory.join("exe")).ok()?.to_string_lossy().into_owned();
    let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    Some(Member { pid, parent_pid, uids, name })
}

/// The first three numbers of the line `Uid:` of `proc_pid_status(5)`.
fn uids(status: &str) -> Option<[u32; 3]> {
    let mut numbers = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace();
    let mut next = || numbers.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(pid: u32, parent_pid: u32) -> Member {
        Member { pid, parent_pid, uids: [1001; 3], name: "sh".to_owned() }
    }

    #[test]
    fn descent_is_followed_over_generations() {
        let all = [member(10, 1), member(11, 10), member(12, 11), member(20, 1), member(21, 20)];
        let mut found: Vec<u32> = below(&[10], &all).iter().map(|member| member.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [11, 12]);
        assert!(below(&[99], &all).is_empty());
    }

    #[test]
    fn circles_end() {
        let all = [member(10, 11), member(11, 10), member(12, 12)];
        assert_eq!(below(&[10], &all), [member(11, 10)]);
        assert_eq!(below(&[12], &all), []);
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
