//! What the notify role has to tell about itself, written into the queue like any change.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::writer::json;
use crate::notify::message::{Event, Message};

/// The namespace of the ids of these deliveries; an arbitrary constant that must never change.
const NEWS: Uuid = Uuid::from_u128(0x51d2_77ab_0c3e_4f61_9d0a_e4b8_2f13_86c5);

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewsKind {
    /// A sink is gone; its messages wait.
    SinkSuspended,
    /// Messages were given up.
    MessagesLost,
}

impl NewsKind {
    const ALL: [Self; 2] = [Self::SinkSuspended, Self::MessagesLost];

    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SinkSuspended => "sink_suspended",
            Self::MessagesLost => "messages_lost",
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
    pub message: Message,
    /// Who is told.
    pub sinks: Vec<String>,
}

impl News {
    /// Writes it with its deliveries, unless it was written before.
    pub(super) fn insert(&self, connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        let (kind, at) = (self.kind.as_str(), now.as_microsecond());
        let id: Option<i64> = connection
            .prepare_cached(
                "INSERT INTO announcements (subject, kind, seq, event, message) VALUES (?1, ?2, 1, ?3, ?4)
                 ON CONFLICT (subject, kind, seq) DO NOTHING RETURNING id",
            )?
            .query_row(params![self.subject, kind, json(&self.event)?, json(&self.message)?], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(id) = id else { return Ok(()) };
        for sink in &self.sinks {
            let delivery = Uuid::new_v5(&NEWS, format!("{}/{kind}/{sink}", self.subject).as_bytes());
            connection
                .prepare_cached(
                    "INSERT INTO deliveries (id, announcement, sink, state, attempts, next_us, queued_us)
                     VALUES (?1, ?2, ?3, 'queued', 0, ?4, ?4)",
                )?
                .execute(params![delivery, id, sink, at])?;
        }
        Ok(())
    }
}
