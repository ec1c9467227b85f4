//! The sinks that the role knows, and those of them that are held: nothing is sent to them, their queues wait.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{News, Outbox, invalid, timestamp};
use crate::store::StoreError;

/// Why nothing is sent to a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Somebody said so; until somebody says otherwise.
    Paused,
    /// Its service is gone or does not know us any more; until somebody has seen to it.
    Suspended,
}

impl Hold {
    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Suspended => "suspended",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Paused, Self::Suspended].into_iter().find(|hold| hold.as_str() == word)
    }
}

/// A hold with its circumstances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkHold {
    pub hold: Hold,
    pub since: Timestamp,
    /// What the service answered, or who paused it; may hold text of the service.
    pub why: String,
}

impl SinkHold {
    /// From the columns `hold`, `since_us` and `why`.
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let Some(word) = row.get::<_, Option<String>>("hold")? else { return Ok(None) };
        Ok(Some(Self {
            hold: Hold::parse(&word).ok_or_else(|| invalid("hold"))?,
            since: timestamp(row.get::<_, Option<i64>>("since_us")?.unwrap_or_default())?,
            why: row.get::<_, Option<String>>("why")?.unwrap_or_default(),
        }))
    }
}

impl Outbox {
    /// Writes down which sinks are configured, each with its type.
    pub fn register_sinks(&mut self, sinks: &[(&str, &str)]) -> Result<(), StoreError> {
        self.write(|connection| {
            connection.execute("UPDATE sinks SET is_configured = 0 WHERE is_configured = 1", [])?;
            for (name, kind) in sinks {
                connection.execute(
                    "INSERT INTO sinks (name, type, is_configured) VALUES (?1, ?2, 1)
                     ON CONFLICT (name) DO UPDATE SET type = excluded.type, is_configured = 1",
                    [name, kind],
                )?;
            }
            Ok(())
        })
    }

    /// Whether a sink is known, and what holds it.
    pub fn sink(&self, name: &str) -> Result<Option<Option<SinkHold>>, StoreError> {
        let read = || {
            self.connection
                .prepare_cached("SELECT hold, since_us, why FROM sinks WHERE name = ?1")?
                .query_row([name], SinkHold::of)
                .optional()
        };
        read().map_err(|source| self.error(source))
    }

    pub(super) fn hold(&self, name: &str) -> Result<Option<SinkHold>, StoreError> {
        Ok(self.sink(name)?.flatten())
    }

    /// Holds a sink back by hand; one that was suspended stays held when its configuration changes.
    pub fn pause(&mut self, name: &str, why: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|connection| {
            connection
                .prepare_cached(
                    "UPDATE sinks SET hold = 'paused', since_us = ?2, why = ?3, mark = NULL WHERE name = ?1",
                )?
                .execute(params![name, now.as_microsecond(), why])
                .map(drop)
        })
    }

    /// Holds a sink back because it is gone, and tells that; says whether it was not held before. The mark recognises
    /// its configuration.
    pub fn suspend(
        &mut self,
        name: &str,
        why: &str,
        mark: &[u8],
        news: &News,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let is_new = self.hold(name)?.is_none();
        self.write(|connection| {
            let held = connection
                .prepare_cached(
                    "UPDATE sinks SET hold = 'suspended', since_us = ?2, why = ?3, mark = ?4
                     WHERE name = ?1 AND hold IS NULL",
                )?
                .execute(params![name, now.as_microsecond(), why, mark])?;
            if held > 0 {
                news.insert(connection, now)?;
            }
            Ok(())
        })?;
        Ok(is_new)
    }

    /// Ends a hold: everything that waits is due at once. Says whether there was one.
    pub fn resume(&mut self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        let was_held = self.hold(name)?.is_some();
        self.write(|connection| {
            connection
                .prepare_cached(
                    "UPDATE sinks SET hold = NULL, since_us = NULL, why = NULL, mark = NULL WHERE name = ?1",
                )?
                .execute([name])?;
            connection
                .prepare_cached(
                    "UPDATE deliveries SET next_us = ?2 WHERE sink = ?1 AND state = 'queued' AND next_us > ?2",
                )?
                .execute(params![name, now.as_microsecond()])
                .map(drop)
        })?;
        Ok(was_held)
    }

    /// The sinks that are suspended, with the marks of their configurations then.
    pub fn suspended(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let read = || {
            let mut statement =
                self.connection.prepare("SELECT name, mark FROM sinks WHERE hold = 'suspended'")?;
            let mark = |row: &Row<'_>| {
                Ok((row.get("name")?, row.get::<_, Option<Vec<u8>>>("mark")?.unwrap_or_default()))
            };
            statement.query_map([], mark)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.error(source))
    }
}
