//! The user id of an account name, without asking a name service: the trace role has no network.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

/// Accounts are looked for in so much of the file; a hundred thousand of them fit.
const READ_AT_MOST: u64 = 16 << 20;

/// Looks `name` up in the `/etc/passwd` that process `pid` sees: a container's sshd has its own.
///
/// `None` where it is not listed: the account comes from a directory service, and the kernel will tell its id. Of a
/// process that is gone already only root's is known, which has the same one everywhere.
pub fn uid_of(name: &str, pid: u32) -> Option<u32> {
    let Ok(file) = File::open(format!("/proc/{pid}/root/etc/passwd")) else {
        return (name == "root").then_some(0);
    };
    let mut lines = BufReader::new(file.take(READ_AT_MOST));
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        if let Some(uid) = uid_in_line(&line, name) {
            return Some(uid);
        }
    }
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
    fn root_is_known_here() {
        assert_eq!(uid_of("root", std::process::id()), Some(0));
        assert_eq!(uid_of("no such:account", std::process::id()), None);
        // No process has this id: the kernel's are below 2^22.
        assert_eq!(uid_of("root", u32::MAX), Some(0));
        assert_eq!(uid_of("daemon", u32::MAX), None);
    }
}
