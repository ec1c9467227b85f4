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
        /// Its arguments as far as they were taken down, its own name first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<String>,
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
    /// Running as root, it sent this line to the system log, `<PRI>` first.
    LogLine { text: String },
    /// It gained a user id.
    Escalated(Escalated),
    /// Not being root, it began to execute an sshd image; no more is heard of it.
    ForeignExec(Image),
}

/// How a descendant of a process of sshd gained a user id. Ids are those of the initial user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalated {
    /// The process of sshd that became a user, or the program that it started: where its descent begins.
    pub root: Process,
    pub from: u32,
    pub to: u32,
    /// A set-uid program that was root on behalf of `from` became `to` for it, as `su` and `sudo -u` do.
    #[serde(default)]
    pub is_granted: bool,
    /// Name of the executable by which it was gained.
    pub name: String,
    /// The path that was executed; `None` where nothing was.
    pub path: Option<String>,
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
    /// Whether the executable can be a monitor of this host's sshd: root's, writable by nobody else, with sshd's name,
    /// and where programs are installed.
    ///
    /// Names: `sshd` up to OpenSSH 9.7, `sshd-session` since 9.8. `sshd-auth` (10.x) is the unprivileged child's.
    pub fn is_trusted_sshd(&self) -> bool {
        self.doubt().is_none() && matches!(self.name.as_str(), "sshd" | "sshd-session")
    }

    /// Whether it has the name of one of sshd's programs.
    pub fn is_named_like_sshd(&self) -> bool {
        matches!(self.name.as_str(), "sshd" | "sshd-session" | "sshd-auth")
    }

    /// What speaks against trusting it, executed by root.
    pub fn doubt(&self) -> Option<Doubt> {
        const WRITABLE_BY_GROUP_OR_OTHERS: u32 = 0o022;
        if self.owner_uid != 0 {
            Some(Doubt::Owner)
        } else if self.mode & WRITABLE_BY_GROUP_OR_OTHERS != 0 {
            Some(Doubt::Writable)
        } else if !self.is_where_programs_are() {
            Some(Doubt::Place)
        } else {
            None
        }
    }

    /// The Filesystem Hierarchy Standard's places for programs, and those of systems that have their own. A path that
    /// does not begin at the root says nothing.
    fn is_where_programs_are(&self) -> bool {
        const PLACES: [&str; 8] =
            ["/usr/", "/opt/", "/sbin/", "/bin/", "/lib/", "/lib64/", "/nix/store/", "/gnu/store/"];
        let steps_back = self.path.split('/').any(|part| part == "..");
        !self.path.starts_with('/') || !steps_back && PLACES.iter().any(|place| self.path.starts_with(place))
    }
}

/// Why an sshd is not trusted; the first reason that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// It is not run by root of this host.
    #[serde(rename = "not run by root")]
    User,
    /// Its file is not root's.
    #[serde(rename = "file of another owner")]
    Owner,
    /// Others than root may write to its file.
    #[serde(rename = "file writable by others")]
    Writable,
    /// Its file is not where programs are installed.
    #[serde(rename = "unusual place")]
    Place,
}

impl Doubt {
    const ALL: [Self; 4] = [Self::User, Self::Owner, Self::Writable, Self::Place];

    /// The words in the database, in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "not run by root",
            Self::Owner => "file of another owner",
            Self::Writable => "file writable by others",
            Self::Place => "unusual place",
        }
    }

    /// The inverse of [`Doubt::as_str`]; `None` for words that are not ours.
    pub fn parse(words: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|doubt| doubt.as_str() == words)
    }
}

/// What tells the processes of a container from the host's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Number of the pid namespace: an inode of the kernel's, as `lsns(8)` shows it.
    pub pid_namespace: u64,
    /// Path of the control group, as whoever runs the container named it; `None` where it could not be read.
    pub cgroup: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_inverse() {
        for doubt in Doubt::ALL {
            assert_eq!(Doubt::parse(doubt.as_str()), Some(doubt));
            assert_eq!(serde_json::to_value(doubt).expect("JSON"), doubt.as_str());
        }
        assert_eq!(Doubt::parse(""), None);
    }

    #[test]
    fn programs_are_where_root_installs_them() {
        let doubt = |path: &str| {
            let image = Image { name: "sshd".into(), path: path.into(), owner_uid: 0, mode: 0o755 };
            image.doubt()
        };
        for path in
            ["/usr/sbin/sshd", "/usr/libexec/sshd-session", "/opt/openssh/sbin/sshd", "/sbin/sshd", "./sshd"]
        {
            assert_eq!(doubt(path), None, "{path}");
        }
        for path in
            ["/home/alice/sshd", "/tmp/sshd", "/usrsbin/sshd", "/usr/../tmp/sshd", "/proc/self/fd/3", "/sshd"]
        {
            assert_eq!(doubt(path), Some(Doubt::Place), "{path}");
        }
    }
}
