//! To which groups accounts of this host belong, for the routes that ask for it.
//!
//! The name service may be a network away, or hang. It is asked beside everything else, for a bounded time and by a bounded
//! number of threads; what it does not say in time is not known, and matches no route.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::message::Event;
use super::route::Groups;
use crate::config::Rules;
use crate::supervise::privileges;

/// How long a batch of changes waits for the name service.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long an answer is used again, also none.
const FRESH: Duration = Duration::from_secs(60);
/// Threads that may wait for the name service at a time.
const MAX_ASKING: usize = 8;
/// Accounts that are remembered; there are few on a host, but their names are strangers' text.
const MAX_KNOWN: usize = 4096;
/// More groups than Linux allows a process (NGROUPS_MAX).
const MAX_GROUPS: usize = 1 << 17;
/// Enough for the entry of a group with very many members.
const ENTRY_BYTES: usize = 1 << 20;

/// The groups that routes ask for, and what is known of who is in them.
pub(super) struct Directory {
    wanted: Arc<[String]>,
    known: RefCell<HashMap<String, (Instant, Groups)>>,
    asking: Arc<AtomicUsize>,
}

impl Directory {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { wanted: wanted(rules).into(), known: RefCell::default(), asking: Arc::default() }
    }

    /// Finds out what is not known of these accounts, as far as that is possible in time.
    pub(super) async fn ask(&self, users: impl IntoIterator<Item = String>) {
        if self.wanted.is_empty() {
            return;
        }
        let deadline = Instant::now() + DEADLINE;
        for user in users {
            if self.known.borrow().get(&user).is_some_and(|(at, _)| at.elapsed() < FRESH) {
                continue;
            }
            let groups = self.ask_for(user.clone(), deadline).await;
            let mut known = self.known.borrow_mut();
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert(user, (Instant::now(), groups));
        }
    }

    async fn ask_for(&self, user: String, deadline: Instant) -> Groups {
        if Instant::now() >= deadline || self.asking.load(Ordering::Relaxed) >= MAX_ASKING {
            return Groups::Unknown;
        }
        self.asking.fetch_add(1, Ordering::Relaxed);
        let (wanted, asking) = (Arc::clone(&self.wanted), Arc::clone(&self.asking));
        let answer = tokio::task::spawn_blocking(move || {
            let groups = groups_of(&user, &wanted);
            asking.fetch_sub(1, Ordering::Relaxed);
            groups
        });
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(Ok(groups))) => Groups::Known(groups),
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "the groups of an account cannot be looked up; routes by group do not match it");
                Groups::Unknown
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the look-up of groups broke off");
                Groups::Unknown
            }
            Err(_) => {
                tracing::warn!("the name service did not answer in time; routes by group do not match");
                Groups::Unknown
            }
        }
    }

    /// What is known of the user of an event.
    pub(super) fn at_hand(&self, event: &Event) -> Groups {
        let Some(user) = user_of(event).filter(|_| !self.wanted.is_empty()) else {
            return Groups::Known(Vec::new());
        };
        self.known.borrow().get(user).map_or(Groups::Unknown, |(_, groups)| groups.clone())
    }
}

/// Whose groups count.
pub(super) fn user_of(event: &Event) -> Option<&str> {
    match event {
        Event::Opened(subject)
        | Event::Closed { subject, .. }
        | Event::Escalated { subject, .. }
        | Event::Raised { subject, .. } => subject.user.as_deref(),
        Event::ForeignSshd { foreign, .. } => foreign.run_by.user.as_deref(),
        Event::EventsLost { .. }
        | Event::SinkSuspended { .. }
        | Event::MessagesLost { .. }
        | Event::Attempted { .. }
        | Event::Stormed { .. }
        | Event::Summary { .. }
        | Event::Group { .. } => None,
    }
}

/// What is known of the user of an event, asked here and now: for the command line.
///
/// # Errors
/// The name service does not answer.
pub fn look_up(event: &Event, rules: &Rules) -> io::Result<Groups> {
    let wanted = wanted(rules);
    match user_of(event) {
        Some(user) if !wanted.is_empty() => groups_of(user, &wanted).map(Groups::Known),
        Some(_) | None => Ok(Groups::Known(Vec::new())),
    }
}

/// The groups of routes that this host does not have. One that cannot be looked up is not named.
pub fn missing(rules: &Rules) -> Vec<String> {
    let is_missing =
        |group: &String| CString::new(group.as_str()).is_ok_and(|name| matches!(gid_of(&name), Ok(None)));
    wanted(rules).into_iter().filter(is_missing).collect()
}

/// All groups that routes name, each once.
fn wanted(rules: &Rules) -> Vec<String> {
    let mut groups: Vec<_> = rules.routes.iter().flat_map(|route| route.when.groups.clone()).collect();
    groups.sort();
    groups.dedup();
    groups
}

/// Which of the wanted groups an account belongs to; none for an account that does not exist.
fn groups_of(user: &str, wanted: &[String]) -> io::Result<Vec<String>> {
    // No account has such a name.
    let Ok(name) = CString::new(user) else { return Ok(Vec::new()) };
    let Some((_, primary)) = privileges::look_up_account(&name)? else { return Ok(Vec::new()) };
    let gids = gids_of(&name, primary)?;
    let mut found = Vec::new();
    for group in wanted {
        let Ok(name) = CString::new(group.as_str()) else { continue };
        if gid_of(&name)?.is_some_and(|gid| gids.contains(&gid)) {
            found.push(group.clone());
        }
    }
    Ok(found)
}

/// All groups of an account, its primary one among them.
fn gids_of(user: &CStr, primary: u32) -> io::Result<Vec<u32>> {
    let mut gids: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut count = libc::c_int::try_from(gids.len()).map_err(io::Error::other)?;
        // SAFETY: the name ends with NUL, and there is room for as many ids as `count` says.
        let filled = unsafe { libc::getgrouplist(user.as_ptr(), primary, gids.as_mut_ptr(), &raw mut count) };
        if filled >= 0 {
            gids.truncate(usize::try_from(filled).map_err(io::Error::other)?);
            return Ok(gids);
        }
        if gids.len() >= MAX_GROUPS {
            return Err(io::Error::other("the account is in too many groups"));
        }
        gids.resize(gids.len() * 2, 0);
    }
}

/// The id of a group, from wherever the host keeps them.
fn gid_of(name: &CStr) -> io::Result<Option<u32>> {
    let mut buffer = vec![0 as libc::c_char; ENTRY_BYTES];
    // SAFETY: an all-zero group is a valid value: a number and null pointers.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    let mut found: *mut libc::group = ptr::null_mut();
    // SAFETY: all pointers are valid for the call; the buffer is as long as said. The entry's pointers into the buffer
    // are not used.
    let error = unsafe {
        libc::getgrnam_r(name.as_ptr(), &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    match error {
        // "Not found" has many faces, see getgrnam_r(3).
        0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => {
            Ok((!found.is_null()).then_some(entry.gr_gid))
        }
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_in_its_own_group() {
        let wanted = ["no such:group".to_owned(), "root".to_owned()];
        assert_eq!(groups_of("root", &wanted).unwrap(), ["root"]);
        assert_eq!(groups_of("no such:account", &wanted).unwrap(), Vec::<String>::new());
        assert_eq!(groups_of("ro\0ot", &wanted).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn members_are_found_beside_the_primary_group() {
        // Whatever this host has: the first member of any group that is not their primary one.
        let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
        let member = groups.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (group, members) = (fields.next()?, fields.nth(2)?);
            let user = members.split(',').find(|user| !user.is_empty())?;
            let name = CString::new(user).ok()?;
            privileges::look_up_account(&name).ok()??;
            Some((group.to_owned(), user.to_owned()))
        });
        let Some((group, user)) = member else { return };
        assert_eq!(groups_of(&user, std::slice::from_ref(&group)).unwrap(), [group]);
    }
}
