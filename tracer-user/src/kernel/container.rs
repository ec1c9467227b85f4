//! Whether a process belongs to the host or to a container, by what `/proc` shows of it while it lives.

use std::fs::{self, File};
use std::io::Read as _;

use crate::event::Container;

/// More than any list of control groups takes: a dozen lines of paths.
const READ_AT_MOST: u64 = 64 << 10;
/// Longest path of a control group that is kept, in bytes.
const PATH_BYTES: usize = 512;

/// The container of a process: that it has another pid namespace than this process, which shares the host's.
///
/// `None` for the host's own, and for a process that is gone.
pub fn container_of(pid: u32) -> Option<Container> {
    let own = namespace(&fs::read_link("/proc/self/ns/pid").ok()?.to_string_lossy())?;
    let pid_namespace = namespace(&fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?.to_string_lossy())?;
    if pid_namespace == own {
        return None;
    }
    let mut text = Vec::new();
    let file = File::open(format!("/proc/{pid}/cgroup")).ok();
    let read = file.and_then(|file| file.take(READ_AT_MOST).read_to_end(&mut text).ok());
    let cgroup = read.and_then(|_| cgroup(&String::from_utf8_lossy(&text)));
    Some(Container { pid_namespace, cgroup })
}

/// The number in `pid:[4026531836]`, `namespaces(7)`.
fn namespace(link: &str) -> Option<u64> {
    link.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// The path in the lines `ID:CONTROLLERS:PATH` of `cgroups(7)`: that of version 2, or else the longest, since containers
/// are not put into every hierarchy of version 1.
fn cgroup(text: &str) -> Option<String> {
    let paths = || text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let unified = text.lines().find_map(|line| line.strip_prefix("0::")).filter(|path| *path != "/");
    let path = unified.or_else(|| paths().max_by_key(|path| path.len()))?;
    Some(path[..path.floor_char_boundary(PATH_BYTES)].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_have_numbers() {
        assert_eq!(namespace("pid:[4026531836]"), Some(4_026_531_836));
        for wrong in ["", "pid:[]", "mnt:[4026531836]", "pid:[4026531836", "pid:[-1]"] {
            assert_eq!(namespace(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_unified_path_or_the_longest() {
        assert_eq!(cgroup("0::/docker/ab12\n").as_deref(), Some("/docker/ab12"));
        assert_eq!(cgroup("12:pids:/lxc/a:b\n1:name=systemd:/\n0::/\n").as_deref(), Some("/lxc/a:b"));
        assert_eq!(cgroup("0::/\n").as_deref(), Some("/"));
        assert_eq!(cgroup("nonsense"), None);
        assert_eq!(cgroup(&format!("0::/{}", "ü".repeat(400))).map(|path| path.len()), Some(511));
    }

    #[test]
    fn this_process_is_the_hosts() {
        assert_eq!(container_of(std::process::id()), None);
        assert_eq!(container_of(u32::MAX), None);
    }
}
