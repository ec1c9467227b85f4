//! What is told of: a change, with what a message needs to know of its session.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Subject;
use crate::assess::Level;
use crate::notify::storm::{Members, Storm};
use crate::notify::summary::Summary;
use crate::session::{Attempt, End, Escalation, ForeignSshd};

/// A change that is told, with what the message needs to know of its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Opened(Subject),
    Closed {
        subject: Subject,
        at: Timestamp,
        end: End,
    },
    /// A process of the session has a user id that it had not.
    Escalated {
        subject: Subject,
        at: Timestamp,
        how: Escalation,
    },
    /// What became known of the session since makes it riskier than it was told to be.
    Raised {
        subject: Subject,
        at: Timestamp,
        /// What it was before.
        from: Level,
    },
    /// An sshd was started that is not this host's.
    ForeignSshd {
        host: String,
        at: Timestamp,
        foreign: ForeignSshd,
    },
    EventsLost {
        host: String,
        at: Timestamp,
        count: u64,
    },
    /// A connection ended without a session.
    Attempted {
        attempt: Box<Attempt>,
    },
    /// Connections that ended without a session, told together because there were so many.
    Stormed {
        host: String,
        /// When the first of them ended, and the last.
        at: Timestamp,
        until: Timestamp,
        storm: Box<Storm>,
        /// The changes that these are.
        #[serde(default)]
        members: Members,
    },
    /// A sink is gone; its messages wait.
    SinkSuspended {
        host: String,
        at: Timestamp,
        sink: String,
        why: String,
    },
    /// Messages for a sink were given up.
    MessagesLost {
        host: String,
        at: Timestamp,
        sink: String,
        /// Too old.
        expired: u64,
        /// Too many.
        dropped: u64,
    },
    /// What happened in a day or a week.
    Summary {
        /// `day` or `week`; empty where somebody asked for it.
        every: String,
        summary: Box<Summary>,
    },
    /// Several changes, told together.
    Group {
        host: String,
        /// When the first of them happened, and the last.
        at: Timestamp,
        until: Timestamp,
        count: u32,
    },
}

impl Event {
    /// The session that it is about; `None` for news of the tracer itself.
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Opened(subject)
            | Self::Closed { subject, .. }
            | Self::Escalated { subject, .. }
            | Self::Raised { subject, .. } => Some(subject),
            Self::ForeignSshd { .. }
            | Self::EventsLost { .. }
            | Self::SinkSuspended { .. }
            | Self::MessagesLost { .. }
            | Self::Attempted { .. }
            | Self::Stormed { .. }
            | Self::Summary { .. }
            | Self::Group { .. } => None,
        }
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Opened(subject) => subject.opened_at,
            Self::Closed { at, .. }
            | Self::Escalated { at, .. }
            | Self::Raised { at, .. }
            | Self::ForeignSshd { at, .. }
            | Self::EventsLost { at, .. }
            | Self::SinkSuspended { at, .. }
            | Self::MessagesLost { at, .. }
            | Self::Stormed { at, .. }
            | Self::Group { at, .. } => *at,
            Self::Attempted { attempt } => attempt.ended_at,
            // What it covers ends there.
            Self::Summary { summary, .. } => summary.until,
        }
    }

    /// The same event of a session that became better known.
    pub fn with_subject(self, known: Subject) -> Self {
        match self {
            Self::Opened(_) => Self::Opened(known),
            Self::Closed { at, end, .. } => Self::Closed { subject: known, at, end },
            Self::Escalated { at, how, .. } => Self::Escalated { subject: known, at, how },
            Self::Raised { at, from, .. } => Self::Raised { subject: known, at, from },
            Self::ForeignSshd { .. }
            | Self::EventsLost { .. }
            | Self::SinkSuspended { .. }
            | Self::MessagesLost { .. }
            | Self::Attempted { .. }
            | Self::Stormed { .. }
            | Self::Summary { .. }
            | Self::Group { .. } => self,
        }
    }
}
