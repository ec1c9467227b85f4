//! Programs that outlive the loader: pinned in the BPF file system, they go on recording while nobody reads.
//!
//! ```text
//! /sys/fs/bpf/login-tracer/INSTANCE/GENERATION/   EVENTS LOSSES PROCESSES   link_process_exec link_...
//! ```
//!
//! An *instance* belongs to one state directory. A *generation* is one set of programs: those of another version, or
//! with other settings, are another generation. Its folder has its final name only when it is complete. Only root may
//! enter; it all ends with the host, or by [`Pins::remove_all`].

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::statfs;
use rustix::mount::{MountFlags, mount};
use uuid::Uuid;

use super::clock::Clock;

/// Where systems have it.
const BPF_FS: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` of `include/uapi/linux/magic.h`.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// Of a generation that is not complete. No dots: the BPF file system refuses them.
const UNFINISHED: &str = "unfinished-";

/// The folder of one instance.
#[derive(Debug, Clone)]
pub struct Pins(PathBuf);

impl Pins {
    /// That of the tracer that writes to this state directory; creates it, and mounts the file system where nobody has.
    ///
    /// # Errors
    /// There is no BPF file system and none can be mounted, or somebody else than root has made the folder.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        if statfs(BPF_FS)?.f_type as u64 != BPF_FS_MAGIC {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            mount("bpf", BPF_FS, "bpf", flags, Some(c"mode=700"))?;
            tracing::info!(place = BPF_FS, "mounted the BPF file system");
        }
        let pins = Self::of(state_dir);
        let base = Path::new(BPF_FS).join("login-tracer");
        for folder in [&base, &pins.0] {
            match DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Ok(()) | Err(_) => {}
            }
            // Where everybody may create folders, somebody may have been first.
            let found = fs::symlink_metadata(folder)?;
            if !found.is_dir() || found.uid() != 0 || found.mode() & 0o077 != 0 {
                let why = format!("{} is not a folder of root's alone: remove it", folder.display());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
        }
        Ok(pins)
    }

    /// As [`Pins::open`], creating nothing.
    pub fn of(state_dir: &Path) -> Self {
        let instance = instance(state_dir);
        Self(Path::new(BPF_FS).join("login-tracer").join(instance))
    }

    /// All complete generations, oldest first.
    pub(super) fn generations(&self) -> Vec<Generation> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let folders = entries.flatten().map(|entry| Generation(entry.path()));
        let mut complete: Vec<_> = folders.filter(|folder| !folder.name().starts_with(UNFINISHED)).collect();
        complete.sort_by_key(Generation::began);
        complete
    }

    /// An empty folder, to be filled and then [completed](Self::complete). What an earlier start left unfinished goes.
    pub(super) fn begin(&self, kind: &str) -> io::Result<Generation> {
        for entry in fs::read_dir(&self.0)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                Generation(entry.path()).remove()?;
            }
        }
        let now = Clock::now().boot();
        let folder = self.0.join(format!("{UNFINISHED}{kind}-{}", now.0));
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Generation(folder))
    }

    /// Gives a generation its final name.
    pub(super) fn complete(&self, unfinished: &Generation) -> io::Result<Generation> {
        let name = unfinished.name();
        let complete = self.0.join(name.strip_prefix(UNFINISHED).unwrap_or(&name));
        fs::rename(&unfinished.0, &complete)?;
        Ok(Generation(complete))
    }

    /// Whether programs of this instance are in the kernel.
    pub fn are_there(&self) -> io::Result<bool> {
        match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            entries => Ok(entries.map(|_| !self.generations().is_empty())?),
        }
    }

    /// Ends all programs of this instance. Says whether there were any.
    pub fn remove_all(&self) -> io::Result<bool> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            entries => entries?,
        };
        let mut any = false;
        for entry in entries {
            Generation(entry?.path()).remove()?;
            any = true;
        }
        fs::remove_dir(&self.0)?;
        // It fails while other instances are in it.
        fs::remove_dir(Path::new(BPF_FS).join("login-tracer")).ok();
        Ok(any)
    }
}

/// The same for the same state directory, and without the characters that names must not have.
pub(crate) fn instance(state_dir: &Path) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, state_dir.as_os_str().as_encoded_bytes()).simple().to_string()
}

/// The folder of one set of programs: `KIND-BEGIN`, the latter in nanoseconds since boot, so that no two have one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generation(PathBuf);

impl Generation {
    pub(super) fn name(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What its programs and settings are.
    pub(super) fn kind(&self) -> String {
        let name = self.name();
        name.rsplit_once('-').map_or(name.clone(), |(kind, _)| kind.to_owned())
    }

    fn began(&self) -> u64 {
        let name = self.name();
        name.rsplit_once('-').and_then(|(_, began)| began.parse().ok()).unwrap_or(0)
    }

    /// Where a map or a link is pinned.
    pub(super) fn pin(&self, object: &str) -> PathBuf {
        self.0.join(object)
    }

    /// Ends its programs: first the links, then what they use.
    pub(super) fn remove(&self) -> io::Result<()> {
        let mut pins: Vec<_> = fs::read_dir(&self.0)?.flatten().map(|entry| entry.file_name()).collect();
        pins.sort_by_key(|name| !name.to_string_lossy().starts_with("link_"));
        for name in pins {
            fs::remove_file(self.0.join(name))?;
        }
        fs::remove_dir(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_told_by_their_names() {
        let generation = Generation(PathBuf::from("/x/3-abc-def-12"));
        assert_eq!((generation.kind().as_str(), generation.began()), ("3-abc-def", 12));
        let strange = Generation(PathBuf::from("/x/strange"));
        assert_eq!((strange.kind().as_str(), strange.began()), ("strange", 0));
    }

    #[test]
    fn instances_have_names_that_the_file_system_takes() {
        let name = instance(Path::new("/var/lib/login-tracer"));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(name, instance(Path::new("/var/lib/login-tracer")));
        assert_ne!(name, instance(Path::new("/tmp/x")));
    }
}
