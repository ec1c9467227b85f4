//! Attempts: connections that ended without a session.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The identity of an attempt on this host and boot: written again after a crash, it is still one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptKey(pub Uuid);

impl AttemptKey {
    /// The namespace of the keys of attempts; an arbitrary constant that must never change.
    const NAMESPACE: Uuid = Uuid::from_u128(0x2f4b_90d1_6c1e_4d0a_a6a5_0b5e_93c4_7a18);

    /// Of a connection that had a monitor.
    pub fn of_monitor(machine_id: &str, boot_id: &str, monitor_pid: u32, start_boot_ns: u64) -> Self {
        let name = format!("{machine_id}/{boot_id}/{monitor_pid}/{start_boot_ns}");
        Self(Uuid::new_v5(&Self::NAMESPACE, name.as_bytes()))
    }

    /// Of a connection that the listener dropped at this time since boot, before there was a monitor.
    pub fn of_dropped(machine_id: &str, boot_id: &str, peer: SocketAddr, at_boot_ns: u64) -> Self {
        let name = format!("{machine_id}/{boot_id}/{peer}/{at_boot_ns}");
        Self(Uuid::new_v5(&Self::NAMESPACE, name.as_bytes()))
    }
}

/// A connection that ended without a session, as it is stored. Its texts were chosen by strangers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub key: AttemptKey,
    /// Name of this host as configured.
    pub host: String,
    pub peer: SocketAddr,
    /// Our end of the connection.
    pub local: Option<SocketAddr>,
    /// The monitor; `None` if the listener dropped the connection.
    pub sshd_pid: Option<u32>,
    pub began_at: Timestamp,
    pub ended_at: Timestamp,
    pub tried: Tried,
    pub reason: Reason,
}

/// What was tried on one connection: bounded, whoever tries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// In the order of their appearance.
    pub users: Vec<TriedUser>,
    /// `password`, `publickey`, `keyboard-interactive/pam`, ... as far as sshd names them.
    pub methods: Vec<String>,
    /// How many credentials sshd says it refused. Refused keys are not logged by default.
    pub failures: u32,
}

/// A name that somebody wanted to log in by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedUser {
    pub name: String,
    /// Whether this host has such an account, as sshd says. Others are best not shown: people type passwords there.
    pub is_known: bool,
}

/// Why a connection led to no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    #[serde(rename = "wrong password")]
    WrongPassword,
    /// The user was named and no password was refused: keys were, or nothing was offered at all.
    #[serde(rename = "wrong key")]
    WrongKey,
    /// Something was refused; what, sshd does not say.
    #[serde(rename = "refused")]
    Refused,
    #[serde(rename = "unknown user")]
    UnknownUser,
    /// The account exists and may not log in: root, expired, locked, excluded by configuration.
    #[serde(rename = "not allowed")]
    NotAllowed,
    #[serde(rename = "too many failures")]
    TooMany,
    #[serde(rename = "timed out")]
    TimedOut,
    /// The client left before it named a user.
    #[serde(rename = "no authentication")]
    NoAuthentication,
    /// It speaks no SSH, or none that this sshd speaks.
    #[serde(rename = "protocol error")]
    ProtocolError,
    /// By the listener: too many connections are not authenticated yet (MaxStartups, PerSourceMaxStartups).
    #[serde(rename = "dropped: max startups")]
    DroppedMaxStartups,
    /// By the listener: the address is being punished (PerSourcePenalties).
    #[serde(rename = "dropped: penalty")]
    DroppedPenalty,
    /// Anything else, or sshd does not say.
    #[serde(rename = "other")]
    Other,
}

impl Reason {
    pub const ALL: [Self; 12] = [
        Self::WrongPassword,
        Self::WrongKey,
        Self::Refused,
        Self::UnknownUser,
        Self::NotAllowed,
        Self::TooMany,
        Self::TimedOut,
        Self::NoAuthentication,
        Self::ProtocolError,
        Self::DroppedMaxStartups,
        Self::DroppedPenalty,
        Self::Other,
    ];

    /// The word in the database, in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong password",
            Self::WrongKey => "wrong key",
            Self::Refused => "refused",
            Self::UnknownUser => "unknown user",
            Self::NotAllowed => "not allowed",
            Self::TooMany => "too many failures",
            Self::TimedOut => "timed out",
            Self::NoAuthentication => "no authentication",
            Self::ProtocolError => "protocol error",
            Self::DroppedMaxStartups => "dropped: max startups",
            Self::DroppedPenalty => "dropped: penalty",
            Self::Other => "other",
        }
    }

    /// The inverse of [`Reason::as_str`]; `None` for a word of a newer version.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_connections_apart() {
        let peer = "192.0.2.7:40000".parse().expect("an address");
        let keys = [
            AttemptKey::of_monitor("m", "b", 1, 2),
            AttemptKey::of_monitor("m", "b", 12, 2),
            AttemptKey::of_dropped("m", "b", peer, 2),
            AttemptKey::of_dropped("m", "b", peer, 3),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key));
        }
        assert_eq!(keys[0], AttemptKey::of_monitor("m", "b", 1, 2));
    }

    #[test]
    fn words_are_inverse() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
            assert_eq!(serde_json::to_string(&reason).ok(), Some(format!("\"{}\"", reason.as_str())));
        }
        assert_eq!(Reason::parse("bad luck"), None);
    }
}
