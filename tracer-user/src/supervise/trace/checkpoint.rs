//! What a trace role leaves to the next one, which may come after a `kill -9`.
//!
//! The kernel keeps every event until a checkpoint says what it led to. So at any moment the checkpoint and the events
//! after its position are the whole truth: the next role takes both, and does once more what it cannot know to be done.
//! It lives in `/run`, since it must outlive the process and not the host, must not wait for a disk and must not need one.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::event::BootTime;
use crate::kernel::pins;
use crate::session::Update;
use crate::tracker::Tracker;

/// Of root alone; systemd makes it by `RuntimeDirectory=`.
const DIRECTORY: &str = "/run/login-tracer";

/// How far the trace role was.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The boot whose events these are.
    pub(super) boot_id: String,
    /// The programs whose events these are.
    pub(super) generation: String,
    /// Where the first event is that is not in it.
    pub(super) position: u64,
    /// Earlier events of these programs are in it, wherever they are: their predecessors told them.
    pub(super) since: BootTime,
    pub(super) tracker: Tracker,
    /// What the store could not write yet.
    pub(super) pending: Vec<Update>,
}

/// The file of one instance.
#[derive(Debug)]
pub(super) struct CheckpointFile(PathBuf);

impl CheckpointFile {
    /// That of the tracer that writes to this state directory.
    ///
    /// # Errors
    /// There is no place for it.
    pub(super) fn open(state_dir: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(DIRECTORY) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let found = fs::symlink_metadata(DIRECTORY)?;
        if !found.is_dir() || found.uid() != 0 || found.mode() & 0o022 != 0 {
            let why = format!("{DIRECTORY} is not a folder that root alone writes to: remove it");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(Self::of(state_dir))
    }

    fn of(state_dir: &Path) -> Self {
        Self(Path::new(DIRECTORY).join(format!("{}.json", pins::instance(state_dir))))
    }

    /// What was saved last in this boot; `None` where there is nothing, or nothing that this version understands.
    pub(super) fn load(&self, boot_id: &str) -> Option<Checkpoint> {
        let text = match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            text => text.inspect_err(|error| tracing::warn!(%error, "the checkpoint cannot be read")).ok()?,
        };
        let checkpoint: Checkpoint = serde_json::from_slice(&text)
            .inspect_err(
                |error| tracing::warn!(%error, "the checkpoint of another version is not understood"),
            )
            .ok()?;
        (checkpoint.boot_id == boot_id).then_some(checkpoint)
    }

    /// Puts a checkpoint in the place of the last one, whole or not at all.
    pub(super) fn save(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let unfinished = self.0.with_extension("new");
        fs::write(&unfinished, serde_json::to_vec(checkpoint)?)?;
        fs::rename(&unfinished, &self.0)
    }
}

/// Removes what the tracer that writes to this state directory left for the next.
pub(in super::super) fn remove(state_dir: &Path) -> io::Result<()> {
    match fs::remove_file(CheckpointFile::of(state_dir).0) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
