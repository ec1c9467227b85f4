//! One process for each role and state directory: two writers of one database would undo each other's work.
//!
//! The lock belongs to an open file and ends with the process, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{Permanent, Role};
use crate::notify::outbox;

/// How long a starting process waits: `login-tracer check` holds a lock for a moment, a predecessor may be ending.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// What a lock is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    Supervisor,
    Role(Role),
}

impl Holder {
    fn path(self, state_dir: &Path) -> std::path::PathBuf {
        match self {
            Self::Supervisor => state_dir.join("run.lock"),
            Self::Role(Role::Trace) => state_dir.join("trace.lock"),
            Self::Role(Role::Notify) => state_dir.join(outbox::DIRECTORY).join("notify.lock"),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Supervisor => "run",
            Self::Role(role) => role.as_str(),
        }
    }
}

/// Takes the lock, creating its file.
///
/// # Errors
/// [`Permanent`] if another process holds it.
pub fn acquire(holder: Holder, state_dir: &Path) -> anyhow::Result<Lock> {
    let path = holder.path(state_dir);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o640)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    // Whoever may read the directory may ask whether the role runs.
    let group = fs::metadata(state_dir).map(|dir| dir.gid());
    if let Err(error) = group.and_then(|group| fchown(&file, None, Some(group))) {
        tracing::debug!(%error, path = %path.display(), "the lock keeps its group");
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let (verb, dir) = (holder.as_str(), state_dir.display());
                let text = format!("another `login-tracer {verb}` already uses {dir}; end that one first");
                return Err(Permanent(text).into());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
}

/// Whether a process holds the lock.
///
/// # Errors
/// The file is there but may not be read.
pub fn is_held(holder: Holder, state_dir: &Path) -> io::Result<bool> {
    let file = match File::open(holder.path(state_dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_and_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let holder = Holder::Role(Role::Trace);
        assert!(!is_held(holder, dir.path()).unwrap());
        let lock = acquire(holder, dir.path()).unwrap();
        assert!(is_held(holder, dir.path()).unwrap());
        assert!(!is_held(Holder::Supervisor, dir.path()).unwrap());
        let error = acquire(holder, dir.path()).unwrap_err();
        assert!(error.is::<Permanent>(), "{error:#}");
        drop(lock);
        assert!(!is_held(holder, dir.path()).unwrap());
        acquire(holder, dir.path()).unwrap();
    }
}
