//! What the notify role has to tell about itself, written into the queue like any change.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::Finished;
use super::writer::{insert_deliveries, json};
use crate::notify::message::Event;

/// The namespace of the ids of these deliveries; an arbitrary constant that must never change.
const NEWS: Uuid = Uuid::from_u128(0x51d2_77ab_0c3e_4f61_9d0a_e4b8_2f13_86c5);

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewsKind {
    /// A sink is gone; its messages wait.
    SinkSuspended,
    /// Messages were given up.
    MessagesLost,
    /// What happened in a day or a week.
    Summary,
}

impl NewsKind {
    const ALL: [Self; 3] = [Self::SinkSuspended, Self::MessagesLost, Self::Summary];

    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SinkSuspended => "sink_suspended",
            Self::MessagesLost => "messages_lost",
            Self::Summary => "summary",
        }
    }

    /// The inverse of [`NewsKind::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One piece of news.
#[derive(Debug, Clone)]
pub struct News {
    pub kind: NewsKind,
    /// What it is about, for ever: together with the kind it is told once.
    pub subject: String,
    pub event: Event,
    /// What is said, and to whom.
    pub finished: Finished,
}

impl News {
    /// The id of the delivery to a sink, the same whenever it is made again.
    pub fn delivery_id(kind: NewsKind, subject: &str, sink: &str) -> Uuid {
        Uuid::new_v5(&NEWS, format!("{subject}/{}/{sink}", kind.as_str()).as_bytes())
    }

    /// Writes it with its deliveries, unless it was written before.
    pub(super) fn insert(&self, connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        let finished = &self.finished;
        let (message, verdict) = (json(&finished.message)?, json(&finished.verdict)?);
        let id: Option<i64> = connection
            .prepare_cached(
                "INSERT INTO announcements (subject, kind, seq, event, message, verdict)
                 VALUES (?1, ?2, 1, ?3, ?4, ?5)
                 ON CONFLICT (subject, kind, seq) DO NOTHING RETURNING id",
            )?
            .query_row(
                params![self.subject, self.kind.as_str(), json(&self.event)?, message, verdict],
                |row| row.get(0),
            )
            .optional()?;
        let Some(id) = id else { return Ok(()) };
        insert_deliveries(connection, id, None, &finished.deliveries, now)
    }
}
