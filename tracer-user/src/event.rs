//! The vocabulary of what the kernel reports: facts about processes of the doors through which users come in, checked and with real types.

mod account;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use self::account::AccountState;

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
    /// It began to execute the image of an ssh server.
    Exec(Image),
    /// It began to execute login, su or sudo, outside of any session. Its real user id is still that of whoever did this.
    Enter {
        image: Image,
        /// As in [`Fact::Leave`].
        tty: Option<String>,
    },
    /// It began to execute something else; no more is heard of it.
    Leave {
        /// Its terminal, such as `pts/0`.
        tty: Option<String>,
        path: String,
        /// Its arguments as far as they were taken down, its own name first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<String>,
        /// The user that it is in every place: real, effective and saved; `None` for one that is several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<u32>,
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
    /// Not being root, it began to execute the image of an ssh server; no more is heard of it.
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
    /// The service whose users the executable may let in: it has that name, is root's, writable by nobody else, and where
    /// programs are installed; and is set-uid where everybody may start it.
    pub fn trusted_service(&self) -> Option<Service> {
        const SET_UID: u32 = 0o4000;
        let service = self.service().filter(|_| self.doubt().is_none())?;
        let must_be_set_uid = matches!(service, Service::Su | Service::Sudo);
        (!must_be_set_uid || self.mode & SET_UID != 0).then_some(service)
    }

    /// The service that its name promises.
    ///
    /// OpenSSH's monitor is `sshd` up to 9.7 and `sshd-session` since; `sshd-auth` (10.x) is the unprivileged child's. One
    /// file may be all of Dropbear's programs; which one it is then says the name by which it was executed.
    fn service(&self) -> Option<Service> {
        match self.name.as_str() {
            "sshd" | "sshd-session" => Some(Service::Ssh),
            "dropbear" | "dropbearmulti" if self.path.rsplit('/').next() == Some("dropbear") => {
                Some(Service::Dropbear)
            }
            "login" => Some(Service::Login),
            "su" => Some(Service::Su),
            "sudo" => Some(Service::Sudo),
            _ => None,
        }
    }

    /// Whether it can be a monitor of this host's sshd.
    pub fn is_trusted_sshd(&self) -> bool {
        self.trusted_service() == Some(Service::Ssh)
    }

    /// Whether it can serve connections for this host.
    pub fn is_trusted_server(&self) -> bool {
        matches!(self.trusted_service(), Some(Service::Ssh | Service::Dropbear))
    }

    /// Whether it has the name of an ssh server's program.
    pub fn is_named_like_server(&self) -> bool {
        self.name == "sshd-auth" || matches!(self.service(), Some(Service::Ssh | Service::Dropbear))
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

/// The door through which a user came in. In the order in which they are documented.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// OpenSSH.
    #[default]
    Ssh,
    Dropbear,
    /// login(1), at a terminal of the host.
    Login,
    /// su(1), from outside of any session.
    Su,
    /// sudo(8), from outside of any session.
    Sudo,
}

impl Service {
    pub const ALL: [Self; 5] = [Self::Ssh, Self::Dropbear, Self::Login, Self::Su, Self::Sudo];

    /// The word in the database, in JSON, in tables and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Dropbear => "dropbear",
            Self::Login => "login",
            Self::Su => "su",
            Self::Sudo => "sudo",
        }
    }

    /// The inverse of [`Service::as_str`]; `None` for a word that is not ours.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == word)
    }

    /// Whether its users are on this host already: they have no address.
    pub fn is_local(self) -> bool {
        match self {
            Self::Ssh | Self::Dropbear => false,
            Self::Login | Self::Su | Self::Sudo => true,
        }
    }

    /// For what is left out where it is the usual.
    pub(crate) fn is_ssh(&self) -> bool {
        *self == Self::Ssh
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
        for service in Service::ALL {
            assert_eq!(Service::parse(service.as_str()), Some(service));
            assert_eq!(serde_json::to_value(service).expect("JSON"), service.as_str());
        }
        assert_eq!(Service::parse("telnet"), None);
    }

    #[test]
    fn services_have_programs_that_nobody_else_can_have_made() {
        let image =
            |path: &str, name: &str, mode| Image { name: name.into(), path: path.into(), owner_uid: 0, mode };
        let trusted = |path: &str, mode| {
            image(path, path.rsplit('/').next().unwrap_or_default(), mode).trusted_service()
        };
        for (path, mode, service) in [
            ("/usr/sbin/sshd", 0o755, Service::Ssh),
            ("/usr/lib/openssh/sshd-session", 0o755, Service::Ssh),
            ("/usr/sbin/dropbear", 0o755, Service::Dropbear),
            ("/bin/login", 0o755, Service::Login),
            ("/usr/bin/su", 0o4755, Service::Su),
            ("/usr/bin/sudo", 0o4111, Service::Sudo),
        ] {
            assert_eq!(trusted(path, mode), Some(service), "{path}");
            assert_eq!(trusted(path, mode | 0o002), None, "{path} that others may write to");
            assert_eq!(trusted(&format!("/home/alice/{path}"), mode), None, "{path} of alice's");
            let hers =
                Image { owner_uid: 1001, ..image(path, path.rsplit('/').next().unwrap_or_default(), mode) };
            assert_eq!(hers.trusted_service(), None, "{path} that is not root's");
        }
        assert_eq!(trusted("/usr/bin/su", 0o755), None, "not set-uid");
        assert_eq!(trusted("/usr/bin/sudo", 0o755), None, "not set-uid");
        let multi = |path| image(path, "dropbearmulti", 0o755).trusted_service();
        assert_eq!(multi("/usr/sbin/dropbear"), Some(Service::Dropbear));
        assert_eq!(multi("/usr/bin/dbclient"), None, "the client");
        assert_eq!(image("/usr/bin/ssh", "dropbear", 0o755).trusted_service(), None, "the client");
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
