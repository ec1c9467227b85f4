//! Who the roles are, and what belongs to whom.
//!
//! The state directory belongs to root and lets the group of the notify role in, to read; the folder `notify` in it
//! belongs to the notify role alone. A notify role that root starts gives root up for good before it talks to
//! anybody: no privilege, no capability, no way back.

mod account;
mod state_dir;

use std::path::Path;

use anyhow::{Context as _, ensure};
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, getegid, geteuid, set_dumpable_behavior, umask};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

pub use self::account::{Account, FALLBACK, look_up as look_up_account, notify_account};
pub use self::state_dir::prepare as prepare_state_dir;
use super::Permanent;
use crate::notify::outbox;

/// Whether this process can change its user.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Becomes that account, for good. Must be called before there is any other thread.
///
/// # Errors
/// The process must not go on: it may have more rights than it should.
pub fn become_account(account: &Account) -> anyhow::Result<()> {
    ensure!(account.uid != 0, Permanent(format!("the account {} is root", account.name)));
    give_up_root(account).with_context(|| format!("cannot become {}", account.name))?;
    seal()?;
    ensure_unprivileged(account)?;
    super::tie_to_supervisor()
}

/// Keeps what this process knows to itself: it gains no privileges by executing something, leaves no core dump, and
/// no other process of the account may look into its memory.
pub fn seal() -> anyhow::Result<()> {
    set_no_new_privs(true).context("cannot forbid new privileges")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("cannot forbid core dumps")
}

/// From here on, new files are closed to accounts outside of the group, whatever the shell that started this said.
pub fn shut_out_others() {
    umask(Mode::RWXO | Mode::WGRP);
}

/// Ensures that a role can work in its folder.
///
/// # Errors
/// [`Permanent`], with what bars the way.
pub fn ensure_notify_dir(state_dir: &Path) -> anyhow::Result<()> {
    let dir = state_dir.join(outbox::DIRECTORY);
    let uid = geteuid().as_raw();
    for ancestor in dir.ancestors().collect::<Vec<_>>().into_iter().rev() {
        let access = if ancestor == dir {
            rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK
        } else {
            rustix::fs::Access::EXEC_OK
        };
        rustix::fs::access(ancestor, access).with_context(|| {
            let verb = if ancestor == dir { "write to" } else { "enter" };
            Permanent(format!("the notify role (user id {uid}) cannot {verb} {}", ancestor.display()))
        })?;
    }
    Ok(())
}

fn give_up_root(account: &Account) -> std::io::Result<()> {
    let check = |result: libc::c_int| {
        if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the pointer is valid for the one element that the call reads.
    check(unsafe { libc::setgroups(1, &raw const account.gid) })?;
    // SAFETY: takes numbers alone; the C library applies it to every thread.
    check(unsafe { libc::setresgid(account.gid, account.gid, account.gid) })?;
    // SAFETY: as above.
    check(unsafe { libc::setresuid(account.uid, account.uid, account.uid) })?;
    // Leaving uid 0 clears all sets but the inheritable one.
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}

/// Asks the kernel, and tries the way back.
fn ensure_unprivileged(account: &Account) -> anyhow::Result<()> {
    ensure!(
        geteuid().as_raw() == account.uid && getegid().as_raw() == account.gid,
        "user or group did not change"
    );
    let groups = rustix::process::getgroups().context("cannot read the groups")?;
    ensure!(groups.iter().all(|group| group.as_raw() == account.gid), "other groups are left");
    let left = capabilities(None).context("cannot read the capabilities")?;
    let none = CapabilitySet::empty();
    ensure!(
        left == CapabilitySets { effective: none, permitted: none, inheritable: none },
        "capabilities are left"
    );
    // SAFETY: takes a number alone. It must fail.
    let regained = unsafe { libc::setuid(0) } == 0;
    ensure!(!regained, "root could be regained");
    Ok(())
}
