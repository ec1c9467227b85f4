//! Files that list the accounts of a host, one a line: `passwd(5)`, `shadow(5)`. No name service is asked, and nothing is
//! waited for: a container chooses what lies there, and what is no regular file would hold up everything.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Accounts are looked for in so much of the file; a hundred thousand of them fit.
const READ_AT_MOST: u64 = 16 << 20;

/// The file of this name in the `/etc` that process `pid` sees; `None` if there is none, or the process is gone.
pub(super) fn seen_by(pid: u32, name: &str) -> Option<File> {
    open(&Path::new("/proc").join(pid.to_string()).join("root/etc").join(name))
}

/// The file of this name in the `/etc` that this process sees.
pub(super) fn own(name: &str) -> Option<File> {
    open(&Path::new("/etc").join(name))
}

/// Opens a regular file.
pub(super) fn open(path: &Path) -> Option<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

/// What is found in the first line in which anything is.
pub(super) fn find<T>(file: File, look: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    let mut lines = BufReader::new(file.take(READ_AT_MOST));
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        if let Some(found) = look(&line) {
            return Some(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("passwd");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(open(&pipe).is_none());
        assert!(open(folder.path()).is_none());
        assert!(open(&folder.path().join("missing")).is_none());
        assert!(open(Path::new("/dev/zero")).is_none());
        assert!(seen_by(std::process::id(), "passwd").is_some() && own("passwd").is_some());
        // No process has this id: the kernel's are below 2^22.
        assert!(seen_by(u32::MAX, "passwd").is_none());
    }
}
