//! The login that is judged: what the session itself says.

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;

use crate::session::{Auth, Change, Escalation, Session};

/// Who came, how and from where, and what happened since. Its texts were chosen by strangers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user: Option<String>,
    pub uid: Option<u32>,
    pub address: Option<IpAddr>,
    pub auth: Option<Auth>,
    pub at: Timestamp,
    /// User ids that were gained inside, oldest first.
    pub escalations: Vec<Escalation>,
}

impl Login {
    /// Somebody from nowhere, at a time.
    pub const fn of_nobody(at: Timestamp) -> Self {
        Self { user: None, uid: None, address: None, auth: None, at, escalations: Vec::new() }
    }

    /// A session and what happened to it.
    pub fn of(session: &Session, changes: &[Change]) -> Self {
        Self {
            user: session.user.clone(),
            uid: session.uid,
            address: session.peer.as_ref().map(SocketAddr::ip),
            auth: session.auth.clone(),
            at: session.opened_at,
            escalations: changes.iter().filter_map(|change| change.escalation.clone()).collect(),
        }
    }

    pub(super) fn is_root(&self) -> bool {
        match self.uid {
            Some(uid) => uid == 0,
            None => self.user.as_deref() == Some("root"),
        }
    }

    /// Whether something that can be told, guessed or stolen by asking for it let them in.
    pub(super) fn is_by_password(&self) -> bool {
        self.auth.as_ref().is_some_and(|auth| {
            matches!(auth.method.as_str(), "password" | "none")
                || auth.method.starts_with("keyboard-interactive")
        })
    }

    /// The fingerprints that stand for them: of the key, and of the authority that certified it.
    pub(super) fn fingerprints(&self) -> Vec<&str> {
        let Some(auth) = &self.auth else { return Vec::new() };
        let key = auth.key.as_ref().map(|key| key.fingerprint.as_str());
        let authority = auth.certificate.as_ref().map(|certificate| certificate.ca.fingerprint.as_str());
        key.into_iter().chain(authority).collect()
    }
}
