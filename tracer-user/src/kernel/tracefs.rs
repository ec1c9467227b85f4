//! tracefs: where the kernel describes its tracepoints.

use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};

/// Its own place, and where it is seen on systems that mount only debugfs.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Where tracefs is mounted, if it is and may be read.
pub(super) fn find() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|place| place.join("events").is_dir())
}

/// As [`find`]; mounts it at its own place where nobody has, as init systems do.
pub(super) fn find_or_mount() -> io::Result<PathBuf> {
    if let Some(place) = find() {
        return Ok(place);
    }
    let [place, _] = PLACES;
    mount("tracefs", place, "tracefs", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?;
    tracing::info!(place, "mounted tracefs");
    Ok(Path::new(place).to_owned())
}
