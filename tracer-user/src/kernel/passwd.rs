//! The user id of an account name, and the name of a user id, without asking a name service: the trace role has no network.

use super::account_file::{find, own, seen_by};

const FILE: &str = "passwd";

/// Looks `name` up in the `/etc/passwd` that process `pid` sees: a container's sshd has its own.
///
/// `None` where it is not listed: the account comes from a directory service, and the kernel will tell its id. Of a
/// process that is gone already only root's is known, which has the same one everywhere.
pub fn uid_of(name: &str, pid: u32) -> Option<u32> {
    let Some(file) = seen_by(pid, FILE) else {
        return (name == "root").then_some(0);
    };
    find(file, |line| uid_in_line(line, name))
}

/// The first account with this user id in the `/etc/passwd` that process `pid` sees, or, if the process is gone, that
/// this process sees.
pub fn name_of(uid: u32, pid: u32) -> Option<String> {
    let file = seen_by(pid, FILE).or_else(|| own(FILE))?;
    find(file, |line| name_in_line(line, uid))
}

fn name_in_line(line: &[u8], uid: u32) -> Option<String> {
    let mut fields = line.split(|byte| *byte == b':');
    let name = std::str::from_utf8(fields.next()?).ok().filter(|name| !name.is_empty())?;
    let found: u32 = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
    (found == uid).then(|| name.to_owned())
}

/// `name:password:uid:gid:...` of `passwd(5)`.
fn uid_in_line(line: &[u8], name: &str) -> Option<u32> {
    let mut fields = line.split(|byte| *byte == b':');
    if fields.next()? != name.as_bytes() {
        return None;
    }
    std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_match() {
        let line = b"alice:x:1001:1002:Alice:/home/alice:/bin/bash\n";
        assert_eq!(uid_in_line(line, "alice"), Some(1001));
        assert_eq!(uid_in_line(line, "alic"), None);
        assert_eq!(uid_in_line(line, "x"), None);
        assert_eq!(uid_in_line(b"alice:x", "alice"), None);
        assert_eq!(uid_in_line(b"alice:x:-1:0", "alice"), None);
        assert_eq!(uid_in_line(b"alice:x:\xff:0", "alice"), None);
        assert_eq!(uid_in_line(b"", ""), None);
    }

    #[test]
    fn names_are_found_by_their_number() {
        let line = b"alice:x:1001:1002:Alice:/home/alice:/bin/bash\n";
        assert_eq!(name_in_line(line, 1001).as_deref(), Some("alice"));
        assert_eq!(name_in_line(line, 1002), None);
        assert_eq!(name_in_line(b":x:1001:", 1001), None);
        assert_eq!(name_in_line(b"alice:x:", 0), None);
        assert_eq!(name_in_line(b"", 0), None);
        assert_eq!(name_of(0, std::process::id()).as_deref(), Some("root"));
        assert_eq!(name_of(0, u32::MAX).as_deref(), Some("root"));
        assert_eq!(name_of(u32::MAX, std::process::id()), None);
    }

    #[test]
    fn root_is_known_here() {
        assert_eq!(uid_of("root", std::process::id()), Some(0));
        assert_eq!(uid_of("no such:account", std::process::id()), None);
        // No process has this id: the kernel's are below 2^22.
        assert_eq!(uid_of("root", u32::MAX), Some(0));
        assert_eq!(uid_of("daemon", u32::MAX), None);
    }
}
