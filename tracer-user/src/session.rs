//! The vocabulary of what is stored: sessions, and the changes that happen to them.
//!
//! A [`Session`] is one authenticated connection, or one user who was let in on this host: opened once, closed once. A [`Change`] is one durable fact
//! about it. Changes are append-only and are the queue that the notify role reads.

mod attempt;
mod auth;

use std::fmt;
use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::attempt::{Attempt, AttemptKey, Reason, Tried, TriedUser};
pub use self::auth::{Auth, AuthKey, Certificate, CommandKind, FirstCommand};
use crate::event::Doubt;
pub use crate::event::{AccountState, Container, Service};

/// The identity of a session on this host and boot, the same after every restart of the tracer.
///
/// A version 5 UUID over machine id, boot id, monitor pid and monitor start time, so that neither the machine id
/// (which `machine-id(5)` asks to keep confidential) nor anything else can be read back from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(pub Uuid);

impl SessionKey {
    /// The namespace of session keys; an arbitrary constant that must never change.
    const NAMESPACE: Uuid = Uuid::from_u128(0x5d1c_6c2e_0a3b_4a58_9f0e_7be5_7f1a_53d1);

    /// `start_boot_ns` is the monitor's start in nanoseconds since boot, suspended time included.
    pub fn new(machine_id: &str, boot_id: &str, monitor_pid: u32, start_boot_ns: u64) -> Self {
        let name = format!("{machine_id}/{boot_id}/{monitor_pid}/{start_boot_ns}");
        Self(Uuid::new_v5(&Self::NAMESPACE, name.as_bytes()))
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One session as it is stored.
///
/// Every text in it was chosen by strangers (user, tty, exe) and must go through [`crate::sanitize`] on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Row number in this database: short, for people to type.
    pub id: i64,
    /// Stable identity, see [`SessionKey`].
    pub key: SessionKey,
    /// Name of this host as configured, when the session was opened.
    pub host: String,
    /// The door through which the user came in.
    pub service: Service,
    /// Account name as sshd gave it; `None` until known.
    pub user: Option<String>,
    /// User id in the initial user namespace; `None` until known.
    pub uid: Option<u32>,
    /// Who became the user, with su and sudo; `None` for those who come from elsewhere.
    pub by: Option<Identity>,
    /// The client's end of the connection; `None` where there is none: at a terminal of this host, or where sshd runs
    /// without a socket (`sshd -i` on pipes).
    pub peer: Option<SocketAddr>,
    /// Our end of the connection.
    pub local: Option<SocketAddr>,
    /// How the user proved who they are; `None` where sshd logs nothing, or not to the system log.
    pub auth: Option<Auth>,
    /// The process that holds the session: sshd's monitor, or the process of the service that takes its place.
    pub sshd: Sshd,
    /// First terminal of the session, such as `pts/0`; `None` without one.
    pub tty: Option<String>,
    /// What was executed first; `None` until then, and where nothing is: without a channel, or with sshd's own sftp.
    pub first_command: Option<FirstCommand>,
    /// When the monitor let the user in.
    pub opened_at: Timestamp,
    /// Nobody saw it begin: it was found open. `opened_at` is then the start of the connection.
    pub recovered: bool,
    /// When and why it ended; `None` while it is open.
    pub closed: Option<Closed>,
    /// What the last process that gained a user id has gained; `None` while none has. Root's id is kept over others.
    pub escalated_to: Option<u32>,
    /// Where its sshd runs, if not among the host's own processes.
    pub container: Option<Container>,
    /// How the account stood when the session opened, or was found; `None` where that could not be read: in containers, and
    /// of accounts that are not in the host's own files.
    pub account: Option<AccountState>,
}

impl Session {
    /// How long the session lasted, in seconds; `None` while it is open.
    pub fn duration_s(&self) -> Option<f64> {
        let closed = self.closed?;
        let microseconds = closed.at.as_microsecond() - self.opened_at.as_microsecond();
        // Exact up to 285 years: an f64 holds 53 bits of microseconds.
        Some(microseconds as f64 / 1e6)
    }
}

/// The process that holds a session: the monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sshd {
    pub pid: u32,
    /// Path of its executable, as far as it could be read.
    pub exe: Option<String>,
}

/// The end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub at: Timestamp,
    pub end: End,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The monitor exited by itself: logout, or the client went away.
    #[serde(rename = "logout")]
    Logout,
    /// The monitor was ended by a signal.
    #[serde(rename = "killed")]
    Killed,
    /// The host was restarted while the session was open; the time is the start of the next boot.
    #[serde(rename = "host restarted")]
    HostRestarted,
    /// It ended while nothing watched; the time is when that was noticed.
    #[serde(rename = "unseen")]
    Unseen,
}

impl End {
    /// The word in the database, in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Killed => "killed",
            Self::HostRestarted => "host restarted",
            Self::Unseen => "unseen",
        }
    }

    /// The inverse of [`End::as_str`]; `None` for a word that is not ours.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Logout, Self::Killed, Self::HostRestarted, Self::Unseen]
            .into_iter()
            .find(|end| end.as_str() == word)
    }
}

/// One durable fact, in the order in which it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Position in the queue: grows by every change, never reused within one database.
    pub id: i64,
    /// Row number of the session; `None` where the change is about the tracer itself.
    pub session_id: Option<i64>,
    /// Number of the change within its session, from 1; part of the delivery id.
    pub seq: u32,
    pub kind: ChangeKind,
    /// When it happened (not when it was stored).
    pub at: Timestamp,
    /// How many, where the kind counts something: lost events, gained user ids.
    pub count: Option<u64>,
    /// Of [`ChangeKind::Escalated`].
    pub escalation: Option<Escalation>,
    /// Of [`ChangeKind::ForeignSshd`].
    pub foreign: Option<ForeignSshd>,
}

/// A process that executes what is called like sshd, and is not this host's. Account and path are strangers' text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignSshd {
    pub pid: u32,
    pub run_by: Identity,
    /// Path of the executable.
    pub exe: String,
    pub doubt: Doubt,
}

/// A process inside of a session has a user id that it had not.
///
/// The names come from the account database that the process saw, the executable from the file system: strangers' text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    pub pid: u32,
    /// The user id of the process before.
    pub from: Identity,
    /// What it gained.
    pub to: Identity,
    /// Path of the executable by which it did, or its name where the path is not known.
    pub exe: String,
}

/// A user id and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub uid: u32,
    /// `None` where the account database does not list the user id.
    pub user: Option<String>,
}

/// What a change says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A session began.
    Opened,
    /// A session was found open that nobody saw begin.
    Recovered,
    /// More became known about a session: who it is, how they came in, the terminal, what ran first.
    Identified,
    /// A session ended.
    Closed,
    /// A process of a session, or one that a session left behind, gained a user id.
    Escalated,
    /// An sshd was started that is not this host's. It has no session.
    ForeignSshd,
    /// A connection ended without a session. It belongs to no session, and is forgotten with its attempt.
    Attempt,
    /// The risk of a session rose. The notify role alone says so; it is never in `sessions.db`.
    Raised,
    /// Kernel events were lost: sessions may be missing or may stay open until reconciled.
    EventsLost,
}

impl ChangeKind {
    const ALL: [Self; 9] = [
        Self::Opened,
        Self::Recovered,
        Self::Identified,
        Self::Closed,
        Self::Escalated,
        Self::Attempt,
        Self::ForeignSshd,
        Self::Raised,
        Self::EventsLost,
    ];

    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Recovered => "recovered",
            Self::Identified => "identified",
            Self::Closed => "closed",
            Self::Escalated => "escalated",
            Self::ForeignSshd => "foreign sshd",
            Self::Attempt => "attempt",
            Self::Raised => "risk raised",
            Self::EventsLost => "events lost",
        }
    }

    /// The inverse of [`ChangeKind::as_str`]; `None` for a word of a newer version.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What the trace role asks the store to write: the effect of one change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Update {
    /// A session began. Ignored by the store if it knows the key already.
    Opened(Box<Opening>),
    /// More became known. `None` leaves a value as it is.
    Identified { key: SessionKey, at: Timestamp, user: Option<String>, uid: Option<u32>, tty: Option<String> },
    /// It became known how the user proved who they are, and with it perhaps who they are. Ignored if it was known.
    Authenticated { key: SessionKey, at: Timestamp, user: Option<String>, auth: Box<Auth> },
    /// It became known what was executed first. Ignored if it was known.
    Began { key: SessionKey, at: Timestamp, first: Box<FirstCommand> },
    /// It became known how the account stands. Ignored if it was known.
    Account { key: SessionKey, at: Timestamp, account: AccountState },
    /// A connection ended without a session. Ignored if the key is known.
    Attempt(Box<Attempt>),
    /// A session ended. Ignored by the store if it is closed already.
    Closed { key: SessionKey, closed: Closed },
    /// A process gained a user id; so many did, of which this is the last. Ignored by the store if it knows it already.
    Escalated {
        key: SessionKey,
        at: Timestamp,
        /// The same time in nanoseconds since boot: tells this gain from others.
        boot_ns: u64,
        escalation: Box<Escalation>,
        count: u64,
    },
    /// An sshd was started that is not this host's. Ignored by the store if it knows the process already, which
    /// `key` names like a monitor.
    ForeignSshd { key: SessionKey, at: Timestamp, foreign: Box<ForeignSshd> },
    /// So many kernel events were lost since the last such change.
    EventsLost {
        at: Timestamp,
        count: u64,
        /// The counter of the kernel that says so, and what it says now. The store keeps it, so that no loss is told twice.
        counter: LossCounter,
    },
}

/// What a counter of lost events showed. Counters begin at zero with each generation of programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossCounter {
    /// Which one: the boot and the generation.
    pub name: String,
    pub value: u64,
}

/// A session as it is when it opens, or when it is found open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub key: SessionKey,
    pub host: String,
    #[serde(default)]
    pub service: Service,
    /// See [`Session::by`].
    #[serde(default)]
    pub by: Option<Identity>,
    /// The boot that the session belongs to, from `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    pub user: Option<String>,
    pub uid: Option<u32>,
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub auth: Option<Auth>,
    /// Known already only of a session that was found open, or that is at a terminal of this host.
    pub tty: Option<String>,
    pub sshd: Sshd,
    /// Start of the monitor in nanoseconds since boot, as the kernel keeps it.
    pub sshd_start_boot_ns: u64,
    pub at: Timestamp,
    /// See [`Session::recovered`].
    pub recovered: bool,
    /// See [`Session::container`].
    pub container: Option<Container>,
    /// See [`Session::account`].
    #[serde(default)]
    pub account: Option<AccountState>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_stable_and_tell_processes_apart() {
        let key = SessionKey::new("m", "b", 1, 2);
        assert_eq!(key.to_string(), SessionKey::new("m", "b", 1, 2).to_string());
        assert_ne!(key, SessionKey::new("m", "b", 12, 2));
        assert_ne!(key, SessionKey::new("m", "b", 1, 22));
        assert_ne!(key, SessionKey::new("m", "c", 1, 2));
    }

    #[test]
    fn words_are_inverse() {
        for kind in ChangeKind::ALL {
            assert_eq!(ChangeKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(End::parse("host restarted"), Some(End::HostRestarted));
        assert_eq!(End::parse("no such end"), None);
    }
}
