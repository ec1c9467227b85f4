//! Tells when one of the owner's files may have changed, without polling.
//!
//! Folders are watched and not files: whoever writes a new file and moves it into the place of the old one leaves the old
//! one, with its watch, behind.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use inotify::{Inotify, WatchMask};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Local;

/// How long a file must be left alone: writers come in steps.
const QUIET: Duration = Duration::from_millis(100);
/// No file is waited for longer than this.
const AT_MOST: Duration = Duration::from_secs(2);

/// The watch on the folders of the files.
pub struct Watch(AsyncFd<Inotify>);

impl Watch {
    /// Watches every folder that is there. `None` if there is nothing to watch. Needs a tokio runtime.
    pub fn new(local: &Local) -> io::Result<Option<Self>> {
        let folders: BTreeSet<&Path> = local.paths().into_iter().filter_map(Path::parent).collect();
        if folders.is_empty() {
            return Ok(None);
        }
        let inotify = Inotify::init()?;
        let mask = WatchMask::CLOSE_WRITE | WatchMask::MOVED_TO | WatchMask::ATTRIB | WatchMask::ONLYDIR;
        for folder in folders {
            if let Err(error) = inotify.watches().add(folder, mask) {
                tracing::warn!(%error, folder = %folder.display(), "changes of its files go unnoticed until a restart");
            }
        }
        // SAFETY: an `Inotify` gives out the one descriptor that it owns, and closes it only when it is dropped.
        let inotify = unsafe { AsyncFd::register_with_interest(inotify, Interest::READABLE) }?;
        Ok(Some(Self(inotify)))
    }

    /// Returns when something in a folder was written, and is left alone for a moment.
    pub async fn changed(&mut self) -> io::Result<()> {
        self.event().await?;
        let quiet = async {
            while let Ok(event) = tokio::time::timeout(QUIET, self.event()).await {
                event?;
            }
            Ok(())
        };
        tokio::time::timeout(AT_MOST, quiet).await.unwrap_or(Ok(()))
    }

    async fn event(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let mut ready = self.0.readable_mut().await?;
            // Which file it was does not matter: all of them are looked at.
            let read = ready.try_io(|inotify| inotify.get_mut().read_events(&mut buffer).map(drop));
            // Otherwise there was nothing to read.
            if let Ok(read) = read {
                return read;
            }
        }
    }
}
