//! Where a role says that it is ready: the protocol of `sd_notify(3)`, with the supervisor in systemd's place.
//!
//! The socket has a path, because the trace role leaves the network namespace, and abstract names stay behind in it.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::net::UnixDatagram;

use super::Role;
use super::privileges::Account;

/// More than any message of a role.
const MESSAGE_BYTES: usize = 4096;

/// A socket that one role writes to. Its file goes when it does.
#[derive(Debug)]
pub struct ReadySocket {
    socket: UnixDatagram,
    /// The same socket, to read what is left without waiting.
    rest: StdDatagram,
    path: PathBuf,
}

impl ReadySocket {
    /// Binds the socket in `dir`, writable by nobody but this process's user and `owner`. Needs a runtime.
    pub fn bind(dir: &Path, role: Role, owner: Option<&Account>) -> anyhow::Result<Self> {
        let path = dir.join(format!("{role}.ready"));
        let bind = || {
            // A supervisor that was killed leaves its socket behind; the lock says that it is gone.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let socket = StdDatagram::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            if let Some(account) = owner {
                chown(&path, Some(account.uid), Some(account.gid))?;
            }
            socket.set_nonblocking(true)?;
            Ok((UnixDatagram::from_std(socket.try_clone()?)?, socket))
        };
        let (socket, rest) =
            bind().with_context(|| format!("cannot create the socket {}", path.display()))?;
        Ok(Self { socket, rest, path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns when the role has said that it is ready. May be dropped at any point and called again.
    pub async fn ready(&self) -> io::Result<()> {
        let mut message = [0; MESSAGE_BYTES];
        loop {
            let length = self.socket.recv(&mut message).await?;
            if says_ready(&message[..length]) {
                return Ok(());
            }
        }
    }

    /// Whether the role had said so before it ended, in a message that was not read yet. None is left for the next run.
    pub fn was_ready(&self) -> io::Result<bool> {
        let (mut message, mut is_ready) = ([0; MESSAGE_BYTES], false);
        loop {
            match self.rest.recv(&mut message) {
                Ok(length) => is_ready |= says_ready(&message[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(is_ready),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for ReadySocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the socket stays behind");
        }
    }
}

/// A message is a list of assignments, one a line.
fn says_ready(message: &[u8]) -> bool {
    message.split(|&byte| byte == b'\n').any(|line| line == b"READY=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_assignment_counts() {
        assert!(says_ready(b"READY=1"));
        assert!(says_ready(b"STATUS=watching\nREADY=1\n"));
        for other in [&b""[..], b"READY=0", b"STATUS=READY=1", b"READY=10", b"ready=1"] {
            assert!(!says_ready(other), "{other:?}");
        }
    }
}
