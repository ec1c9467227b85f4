//! How an account stands by `/etc/shadow`, which root alone may read.

use std::fs::File;

use jiff::Timestamp;

use super::account_file::{self, own, seen_by};
use crate::event::AccountState;

const FILE: &str = "shadow";
/// Seconds of a day: the file counts days.
const DAY_S: i64 = 86_400;

/// Looks an account up in the `/etc/shadow` that process `pid` sees or, if the process is gone, that this process sees.
///
/// `None` where it is not listed, or the file cannot be read.
pub fn account_state(name: &str, pid: u32, now: Timestamp) -> Option<AccountState> {
    find(seen_by(pid, FILE).or_else(|| own(FILE))?, name, now)
}

fn find(file: File, name: &str, now: Timestamp) -> Option<AccountState> {
    let today = now.as_second().div_euclid(DAY_S);
    account_file::find(file, |line| AccountState::of_shadow_line(line, name, today))
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
        let find = |name, day: i64| {
            find(account_file::open(&path).unwrap(), name, Timestamp::from_second(day * DAY_S).unwrap())
        };
        assert_eq!(find("root", 1), Some(AccountState::NoPassword));
        assert_eq!(find("alice", 1), Some(AccountState::Locked));
        assert_eq!(
            (find("bob", 19_999), find("bob", 20_000)),
            (Some(AccountState::Usable), Some(AccountState::Expired))
        );
        assert_eq!((find("mallory", 1), find("", 1)), (None, None));
    }
}
