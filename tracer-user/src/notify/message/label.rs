//! What the lines of a message are about.

use serde::{Deserialize, Serialize};

use crate::words;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    User,
    Host,
    Time,
    Opened,
    Ended,
    Duration,
    /// How they came in, if not by OpenSSH.
    Through,
    Gained,
    Program,
    Address,
    Method,
    Network,
    Place,
    Risk,
    Lost,
    Doubt,
    Refused,
    /// How many attempts are told together.
    Attempts,
    /// Whatever a template says that is about nothing else; an earlier version said here what it had not told.
    #[serde(alias = "untold")]
    Note,
    Sink,
    Remedy,
    Changes,
    Users,
    Addresses,
    Worst,
    Before,
    Logins,
    /// Logins that somebody should look at.
    Riskiest,
    /// Sessions that are open.
    Open,
    /// Escalations, counted.
    Escalations,
    /// Sshds that are not this host's, counted.
    Findings,
    /// What became of messages, counted.
    Messages,
    /// Logins by time.
    Chart,
}

impl Label {
    /// Those that templates know; the others are of messages that no template rewords.
    pub const ALL: [Self; 24] = [
        Self::User,
        Self::Host,
        Self::Time,
        Self::Opened,
        Self::Ended,
        Self::Duration,
        Self::Through,
        Self::Gained,
        Self::Program,
        Self::Address,
        Self::Method,
        Self::Network,
        Self::Place,
        Self::Risk,
        Self::Lost,
        Self::Doubt,
        Self::Refused,
        Self::Sink,
        Self::Remedy,
        Self::Before,
        Self::Attempts,
        Self::Users,
        Self::Addresses,
        Self::Note,
    ];

    /// The word that people read.
    pub fn as_str(self) -> &'static str {
        words::label(self)
    }
}
