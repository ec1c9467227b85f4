//! What quiet hours hold: deliveries that are not in the queue yet. They hold up nothing that comes after them.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{Outbox, timestamp};
use crate::notify::route::hours;
use crate::store::StoreError;

/// What became of the deliveries that were held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// So many are in the queue now.
    pub count: usize,
    /// When the next one will be; `None` if nothing is held.
    pub next: Option<Timestamp>,
}

impl Outbox {
    /// Puts into the queue what is held and whose time has come.
    pub fn release_held(&mut self, now: Timestamp) -> Result<Released, StoreError> {
        let next = self.next_held().map_err(|source| self.error(source))?;
        // Nothing is held that long: the clock was set back.
        let farthest = now.checked_add(hours::LONGEST).unwrap_or(Timestamp::MAX);
        if next.is_none_or(|next| next > now && next <= farthest) {
            return Ok(Released { count: 0, next });
        }
        let release = "UPDATE deliveries SET state = 'queued', next_us = ?1, queued_us = ?1
                       WHERE state = 'held' AND (next_us <= ?1 OR next_us > ?2)";
        let times = params![now.as_microsecond(), farthest.as_microsecond()];
        let count = self.connection.execute(release, times).map_err(|source| self.error(source))?;
        Ok(Released { count, next: self.next_held().map_err(|source| self.error(source))? })
    }

    fn next_held(&self) -> rusqlite::Result<Option<Timestamp>> {
        let next: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(next_us) FROM deliveries WHERE state = 'held'")?
            .query_row([], |row| row.get(0))?;
        next.map(timestamp).transpose()
    }
}

/// What is told of a session at once takes with it what is held of the same session: it would make no sense alone.
pub(super) fn release_session(
    connection: &Connection,
    session: Uuid,
    sink: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'queued', next_us = ?3, queued_us = ?3
             WHERE session_key = ?1 AND sink = ?2 AND state = 'held'",
        )?
        .execute(params![session, sink, now.as_microsecond()])
        .map(drop)
}
