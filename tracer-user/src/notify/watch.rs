//! Wakes when `sessions.db` may have new changes, without polling.
//!
//! The kernel tells (inotify) when the database or its write-ahead log is written. That is a moment before the commit can
//! be read: SQLite writes the log, syncs it, and only then moves the end of the log in shared memory, which nobody is
//! told about. So after each sign there are a few more looks, at growing distances, until any disk has finished.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

use inotify::{Inotify, WatchMask};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::store;

/// Distance of the first look after a sign; each further one is twice as far.
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// No further looks beyond this distance: sixteen seconds after the sign no sync is under way any more.
const LAST_LOOK: Duration = Duration::from_secs(8);
/// A look without any sign, in case one was missed.
const SAFETY_LOOK: Duration = Duration::from_secs(60);

/// The watch on the state directory.
pub(super) struct Watch {
    inotify: AsyncFd<Inotify>,
    looks: Looks,
}

impl Watch {
    /// Watches a directory, which must exist. Needs a tokio runtime.
    pub(super) fn new(state_dir: &Path) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let mask = WatchMask::CREATE
            | WatchMask::MODIFY
            | WatchMask::MOVED_TO
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        inotify.watches().add(state_dir, mask)?;
        // SAFETY: an `Inotify` gives out the one descriptor that it owns, and closes it only when it is dropped.
        let inotify = unsafe { AsyncFd::register_with_interest(inotify, Interest::READABLE) }?;
        Ok(Self { inotify, looks: Looks::default() })
    }

    /// Returns when it is time to look.
    ///
    /// # Errors
    /// The directory is gone, or inotify failed.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        tokio::select! {
            seen = written(&mut self.inotify) => {
                seen?;
                self.looks.restart();
            }
            () = tokio::time::sleep(self.looks.distance()) => self.looks.advance(),
        }
        Ok(())
    }
}

/// Returns when one of the files of the store was written.
async fn written(inotify: &mut AsyncFd<Inotify>) -> io::Result<()> {
    // Room for some fifty events with the names that occur here.
    let mut buffer = [0; 4096];
    loop {
        let mut ready = inotify.readable_mut().await?;
        let read = ready.try_io(|inotify| {
            let events = inotify.get_mut().read_events(&mut buffer)?;
            let mut seen = Ok(false);
            for event in events {
                use inotify::EventMask;
                if event.mask.intersects(EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::IGNORED) {
                    seen = Err(io::Error::new(io::ErrorKind::NotFound, "the state directory is gone"));
                } else if let Ok(seen) = &mut seen {
                    *seen |= event.mask.contains(EventMask::Q_OVERFLOW) || event.name.is_some_and(is_store);
                }
            }
            Ok(seen)
        });
        match read {
            Ok(Ok(Ok(true))) => return Ok(()),
            Ok(Ok(Ok(false))) | Err(_) => {}
            Ok(Ok(Err(gone)) | Err(gone)) => return Err(gone),
        }
    }
}

fn is_store(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.strip_prefix(store::FILE_NAME.as_bytes()).is_some_and(|rest| rest.is_empty() || rest == b"-wal")
}

/// The distances between looks. Pure.
#[derive(Debug, Default)]
struct Looks {
    next: Option<Duration>,
}

impl Looks {
    fn restart(&mut self) {
        self.next = Some(FIRST_LOOK);
    }

    fn advance(&mut self) {
        self.next = self.next.map(|distance| distance * 2).filter(|distance| *distance <= LAST_LOOK);
    }

    fn distance(&self) -> Duration {
        self.next.unwrap_or(SAFETY_LOOK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_grow_apart_and_end() {
        let mut looks = Looks::default();
        assert_eq!(looks.distance(), SAFETY_LOOK);
        looks.restart();
        let mut all = Vec::new();
        while looks.distance() != SAFETY_LOOK {
            all.push(looks.distance());
            looks.advance();
        }
        assert_eq!(all.first(), Some(&FIRST_LOOK));
        assert!(all.is_sorted() && all.len() < 16);
        assert!(all.iter().sum::<Duration>() >= Duration::from_secs(5));
        looks.advance();
        assert_eq!(looks.distance(), SAFETY_LOOK);
    }

    #[test]
    fn only_the_store_counts() {
        for (name, expected) in [
            ("sessions.db", true),
            ("sessions.db-wal", true),
            ("sessions.db-shm", false),
            ("sessions.db.damaged-20261121T090000.000000Z", false),
            ("notify", false),
            ("other.db", false),
        ] {
            assert_eq!(is_store(OsStr::new(name)), expected, "{name}");
        }
    }
}
