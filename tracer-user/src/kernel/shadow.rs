//! How an account stands by `/etc/shadow`, which root alone may read: no name service is asked, and nothing is waited for.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::Timestamp;

use crate::event::AccountState;

/// Accounts are looked for in so much of the file; a hundred thousand of them fit.
const READ_AT_MOST: u64 = 16 << 20;
/// Seconds of a day: the file counts days.
const DAY_S: i64 = 86_400;

/// Looks an account up in the `/etc/shadow` that process `pid` sees or, if the process is gone, that this process sees.
///
/// `None` where it is not listed, or the file cannot be read. What is no regular file is not opened for good: a pipe would
/// hold up everything.
pub fn account_state(name: &str, pid: u32, now: Timestamp) -> Option<AccountState> {
    let seen = Path::new("/proc").join(pid.to_string()).join("root/etc/shadow");
    let file = open(&seen).or_else(|| open(Path::new("/etc/shadow")))?;
    find(file, name, now)
}

fn open(path: &Path) -> Option<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

fn find(file: File, name: &str, now: Timestamp) -> Option<AccountState> {
    let today = now.as_second().div_euclid(DAY_S);
    let mut lines = BufReader::new(file.take(READ_AT_MOST));
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        if let Some(state) = AccountState::of_shadow_line(&line, name, today) {
            return Some(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_line_of_the_account_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shadow");
        fs::write(&path, "root:*:1::::::\nalice:!$y$x:1::::::\nbob:$y$x:1:::::20000:\n").unwrap();
        let find =
            |name, day: i64| find(open(&path).unwrap(), name, Timestamp::from_second(day * DAY_S).unwrap());
        assert_eq!(find("root", 1), Some(AccountState::NoPassword));
        assert_eq!(find("alice", 1), Some(AccountState::Locked));
        assert_eq!(
            (find("bob", 19_999), find("bob", 20_000)),
            (Some(AccountState::Usable), Some(AccountState::Expired))
        );
        assert_eq!((find("mallory", 1), find("", 1)), (None, None));
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("shadow");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(open(&pipe).is_none());
        assert!(open(folder.path()).is_none());
        assert!(open(&folder.path().join("missing")).is_none());
        assert!(open(Path::new("/dev/zero")).is_none());
    }
}
