//! The state directory and the notify role's folder in it: created, and brought into the right hands.
//!
//! Everything is done on open directories, never twice by path, so that nobody can put a link in between. The
//! directory itself must be root's already if it exists: with it, somebody else would choose what root writes to.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, mkdirat, openat, statat,
};

use super::Account;
use crate::notify::outbox;
use crate::supervise::Permanent;

/// Owner everything, group read, others nothing.
const MODE: Mode = Mode::from_raw_mode(0o750);

/// Creates what is missing. With an account (then the caller is root), also sets owners and modes.
///
/// # Errors
/// [`Permanent`] if the directory is somebody else's, or is a link.
pub fn prepare(state_dir: &Path, account: Option<&Account>) -> anyhow::Result<()> {
    let context = || format!("cannot prepare the directory {}", state_dir.display());
    create(state_dir).with_context(context)?;
    let dir = open(state_dir)
        .with_context(|| Permanent(format!("{} must be a directory and not a link", state_dir.display())))?;
    match account {
        Some(account) => hand_over(state_dir, &dir, account).with_context(context),
        None => mkdir_notify(&dir)
            .or_else(|error| match error {
                // Prepared by root for somebody else; whether this role may write there is told when it tries.
                rustix::io::Errno::ACCESS | rustix::io::Errno::ROFS => Ok(()),
                error => Err(error),
            })
            .with_context(context),
    }
}

fn create(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).create(parent)?;
    }
    match DirBuilder::new().mode(0o750).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)
}

fn hand_over(state_dir: &Path, dir: &File, account: &Account) -> anyhow::Result<()> {
    let owner = dir.metadata()?.uid();
    ensure!(
        owner == 0,
        Permanent(format!(
            "{} belongs to user id {owner}, who could replace what root writes; run `chown root {}`",
            state_dir.display(),
            state_dir.display()
        ))
    );
    assign(dir, 0, account.gid)?;
    mkdir_notify(dir)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let notify = openat(dir, outbox::DIRECTORY, flags, Mode::empty()).with_context(|| {
        Permanent(format!("{} in it must be a directory and not a link", outbox::DIRECTORY))
    })?;
    let previous = fstat(&notify)?.st_uid;
    if previous != account.uid {
        adopt(&notify, previous, account)?;
    }
    assign(&notify, account.uid, account.gid)?;
    Ok(())
}

/// Sets owner and mode where they differ: a root without `CAP_FOWNER`, as in the systemd unit, may not set the mode of
/// what is not its own, not even to what it is.
fn assign(dir: impl AsFd, uid: u32, gid: u32) -> rustix::io::Result<()> {
    let found = fstat(&dir)?;
    if Mode::from_raw_mode(found.st_mode) != MODE {
        fchmod(&dir, MODE)?;
    }
    if (found.st_uid, found.st_gid) != (uid, gid) {
        fchown(&dir, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(())
}

fn mkdir_notify(dir: impl AsFd) -> rustix::io::Result<()> {
    match mkdirat(dir, outbox::DIRECTORY, MODE) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Hands the files of the previous account to the present one: the configured account was created or changed since.
///
/// The previous account could write here: only its own plain files without a second name are handed over.
fn adopt(notify: impl AsFd, previous: u32, account: &Account) -> anyhow::Result<()> {
    for entry in Dir::read_from(&notify)? {
        let entry = entry?;
        let name = entry.file_name();
        if FileType::from_raw_mode(statat(&notify, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
            != FileType::RegularFile
        {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&notify, name, flags, Mode::empty())?;
        let found = fstat(&file)?;
        let is_plain = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        if is_plain && found.st_nlink == 1 && found.st_uid == previous {
            fchown(&file, Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(account.gid)))?;
        }
    }
    Ok(())
}
