//! How old and how many the messages of a queue may become, and what that costs.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use super::queue::micros;
use super::{News, Outbox};
use crate::store::StoreError;

/// The limits of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub max_age: Duration,
    pub max_queued: u32,
}

/// Messages that were given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loss {
    /// Because they were too old.
    pub expired: u64,
    /// Because there were too many.
    pub dropped: u64,
}

impl Loss {
    pub fn total(self) -> u64 {
        self.expired + self.dropped
    }
}

/// How many messages are given up in one transaction.
const STEP: u64 = 1000;

/// Losses of one sink are told once in so long a time; what is lost meanwhile is told then.
const TELL_EVERY: SignedDuration = SignedDuration::from_hours(24);

impl Outbox {
    /// Gives up what is beyond the limits, the oldest first, in one bounded step; says what it was. As long as that is
    /// something, there may be more.
    pub fn enforce(&mut self, sink: &str, limits: Limits, now: Timestamp) -> Result<Loss, StoreError> {
        let waiting = "SELECT count(*), min(queued_us) FROM deliveries WHERE sink = ?1 AND state = 'queued'";
        let (count, oldest): (u64, Option<i64>) = self
            .connection
            .prepare_cached(waiting)
            .and_then(|mut statement| statement.query_row([sink], |row| Ok((row.get(0)?, row.get(1)?))))
            .map_err(|source| self.error(source))?;
        let before = now.as_microsecond().saturating_sub(micros(limits.max_age));
        let beyond = count.saturating_sub(u64::from(limits.max_queued)).min(STEP);
        if beyond == 0 && oldest.is_none_or(|oldest| oldest > before) {
            return Ok(Loss::default());
        }
        let lost = std::cell::Cell::new(Loss::default());
        self.write(|connection| {
            let expired = give_up(connection, "expired", sink, before, STEP, now)?;
            // What expired makes room as well.
            let dropped =
                give_up(connection, "dropped", sink, i64::MAX, beyond.saturating_sub(expired), now)?;
            connection
                .prepare_cached(
                    "UPDATE sinks SET expired = expired + ?2, dropped = dropped + ?3 WHERE name = ?1",
                )?
                .execute(params![sink, expired, dropped])?;
            lost.set(Loss { expired, dropped });
            Ok(())
        })?;
        Ok(lost.get())
    }

    /// What was lost of a sink's queue and not told yet, if it is time to tell it.
    pub fn untold_loss(&self, sink: &str, now: Timestamp) -> Result<Option<Loss>, StoreError> {
        let now_us = now.as_microsecond();
        let long_ago = now_us.saturating_sub(i64::try_from(TELL_EVERY.as_micros()).unwrap_or(i64::MAX));
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT expired - told_expired AS expired, dropped - told_dropped AS dropped FROM sinks
                 WHERE name = ?1 AND (expired > told_expired OR dropped > told_dropped)
                     AND (told_us IS NULL OR told_us NOT BETWEEN ?2 AND ?3)",
            )?;
            let mut rows = statement.query(params![sink, long_ago, now_us])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            Ok(Some(Loss { expired: row.get("expired")?, dropped: row.get("dropped")? }))
        };
        read().map_err(|source| self.error(source))
    }

    /// Tells a loss, once.
    pub fn tell_loss(
        &mut self,
        sink: &str,
        loss: Loss,
        news: &News,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|connection| {
            news.insert(connection, now)?;
            connection
                .prepare_cached(
                    "UPDATE sinks SET told_us = ?2, told_expired = told_expired + ?3,
                         told_dropped = told_dropped + ?4 WHERE name = ?1",
                )?
                .execute(params![sink, now.as_microsecond(), loss.expired, loss.dropped])
                .map(drop)
        })
    }
}

/// Ends the oldest waiting messages that came into the queue at or before a time; says how many, with
/// those that they carry.
fn give_up(
    connection: &Connection,
    state: &str,
    sink: &str,
    until_us: i64,
    at_most: u64,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    if at_most == 0 {
        return Ok(0);
    }
    let before = connection.total_changes();
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = ?1, finished_us = ?5 WHERE id IN (
                 SELECT id FROM deliveries WHERE sink = ?2 AND state = 'queued' AND queued_us <= ?3
                 ORDER BY queued_us, announcement LIMIT ?4)",
        )?
        .execute(params![state, sink, until_us, at_most, now.as_microsecond()])?;
    Ok(connection.total_changes().saturating_sub(before))
}
