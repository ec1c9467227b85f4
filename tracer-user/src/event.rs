//! The vocabulary of what the kernel reports: facts about processes of the sshd tree, checked and with real types.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Nanoseconds since boot, suspended time included (`CLOCK_BOOTTIME`): the clock of all kernel events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(pub u64);

/// A process, told from a later one with the same id by its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    pub start: BootTime,
}

/// One fact. As JSON it is a line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at: BootTime,
    /// The process that it is about.
    pub process: Process,
    /// Process id of its real parent.
    pub parent_pid: u32,
    /// Its real user id in the initial user namespace.
    pub uid: u32,
    pub fact: Fact,
}

/// What happened to a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// It began to execute an sshd image.
    Exec(Image),
    /// It began to execute something else; no more is heard of it.
    Leave {
        /// Its terminal, such as `pts/0`.
        tty: Option<String>,
        path: String,
    },
    /// It forked.
    Fork { child: Process },
    /// It ended.
    Exit(ExitStatus),
    /// It disarmed its real-time timer, having this title.
    TimerDisarmed { title: String },
    /// It set its user ids.
    Credentials { ruid: u32, euid: u32, suid: u32 },
    /// It holds this connection.
    Socket { peer: SocketAddr, local: SocketAddr },
}

/// An executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The last component of its path, as its directory knows it.
    pub name: String,
    /// The path that was executed.
    pub path: String,
    /// User id of its owner in the initial user namespace.
    pub owner_uid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl Image {
    /// Whether the executable can be a monitor of this host's sshd: root's, writable by nobody else, with sshd's name.
    ///
    /// Names: `sshd` up to OpenSSH 9.7, `sshd-session` since 9.8. `sshd-auth` (10.x) is the unprivileged child's.
    pub fn is_trusted_sshd(&self) -> bool {
        const WRITABLE_BY_GROUP_OR_OTHERS: u32 = 0o022;
        self.owner_uid == 0
            && self.mode & WRITABLE_BY_GROUP_OR_OTHERS == 0
            && matches!(self.name.as_str(), "sshd" | "sshd-session")
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    Code(u8),
    Signal(u8),
}

impl ExitStatus {
    /// From a status as `wait(2)` gives it.
    pub fn from_wait_status(status: u32) -> Self {
        let [low, code, ..] = status.to_le_bytes();
        // Bit 7 says that a core was dumped.
        match low & 0x7f {
            0 => Self::Code(code),
            signal => Self::Signal(signal),
        }
    }
}
