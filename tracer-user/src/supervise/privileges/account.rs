//! The account of the notify role.

use std::ffi::{CStr, CString};
use std::io;
use std::ptr;

use anyhow::Context as _;

use crate::config::Config;
use crate::supervise::Permanent;

/// Takes the place of an account that is missing: every host has it, and it owns nothing.
pub const FALLBACK: &str = "nobody";

/// Enough for any entry; larger ones (a huge member list is no part of it) are refused.
const ENTRY_BYTES: usize = 1 << 16;

/// An account of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    /// Its primary group; members of it may read the databases.
    pub gid: u32,
    /// Whether it is [`FALLBACK`] in the place of the configured one, which does not exist.
    pub is_fallback: bool,
}

/// The account that the notify role runs as, and whose group may read.
///
/// # Errors
/// [`Permanent`] if it is root, or if there is not even the fallback.
pub fn notify_account(config: &Config) -> anyhow::Result<Account> {
    let wanted = &config.notify.user;
    let account = match find(wanted)? {
        Some(account) => account,
        None => {
            let fallback = find(FALLBACK)?.ok_or_else(|| {
                Permanent(format!("there is neither an account {wanted} nor {FALLBACK}; create {wanted}"))
            })?;
            Account { is_fallback: true, ..fallback }
        }
    };
    if account.uid == 0 || account.gid == 0 {
        let text = format!("[notify] user: {wanted} is root; the role that talks to the network must not be");
        return Err(Permanent(text).into());
    }
    Ok(account)
}

fn find(name: &str) -> anyhow::Result<Option<Account>> {
    let c_name = CString::new(name).context("no account name")?;
    let found = look_up(&c_name).with_context(|| format!("cannot look up the account {name}"))?;
    Ok(found.map(|(uid, gid)| Account { name: name.to_owned(), uid, gid, is_fallback: false }))
}

/// User and group id of an account, from wherever the host keeps its accounts; `None` if there is no such account.
///
/// # Errors
/// The name service cannot say.
pub fn look_up(name: &CStr) -> io::Result<Option<(u32, u32)>> {
    let mut buffer = vec![0 as libc::c_char; ENTRY_BYTES];
    // SAFETY: an all-zero passwd is a valid value: numbers and null pointers.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found: *mut libc::passwd = ptr::null_mut();
    // SAFETY: all pointers are valid for the call; the buffer is as long as said. The entry's pointers into the buffer
    // are not used.
    let error = unsafe {
        libc::getpwnam_r(name.as_ptr(), &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    match error {
        // "Not found" has many faces, see getpwnam_r(3).
        0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => {
            Ok((!found.is_null()).then_some((entry.pw_uid, entry.pw_gid)))
        }
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_account_falls_back_and_says_so() {
        let account = notify_account(&with_user("login-tracer-test-no-such-account")).unwrap();
        assert_eq!((account.name.as_str(), account.is_fallback), (FALLBACK, true));
        let account = notify_account(&with_user("daemon")).unwrap();
        assert_eq!((account.name.as_str(), account.is_fallback), ("daemon", false));
        assert_ne!(account.uid, 0);
    }

    #[test]
    fn root_is_refused() {
        let error = notify_account(&with_user("root")).unwrap_err();
        assert!(error.is::<Permanent>(), "{error:#}");
    }

    fn with_user(name: &str) -> Config {
        let mut config = Config::default();
        config.notify.user = name.to_owned();
        config
    }
}
