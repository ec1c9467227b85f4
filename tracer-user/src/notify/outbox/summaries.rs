//! Summaries that were told, and what there is to tell of the queue itself.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{DeliveryState, News, Outbox, Reader, timestamp};
use crate::notify::summary::Messages;
use crate::store::StoreError;

impl Outbox {
    /// The end of what the last summary of a schedule covers. A schedule that is new counts as told up to `now`; so does
    /// one that was told in the future: the clock was set back since.
    pub fn summarized(&mut self, schedule: &str, now: Timestamp) -> Result<Timestamp, StoreError> {
        let read = || {
            let query = "SELECT told_us FROM summaries WHERE schedule = ?1";
            let told: Option<i64> =
                self.connection.prepare_cached(query)?.query_row([schedule], |row| row.get(0)).optional()?;
            told.map(timestamp).transpose()
        };
        match read().map_err(|source| self.error(source))? {
            Some(told) if told <= now => Ok(told),
            Some(_) | None => {
                self.write(|connection| told_until(connection, schedule, now))?;
                Ok(now)
            }
        }
    }

    /// Tells a summary that covers everything up to `until`, once.
    pub fn tell_summary(
        &mut self,
        schedule: &str,
        until: Timestamp,
        news: &News,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|connection| {
            news.insert(connection, now)?;
            told_until(connection, schedule, until)
        })
    }
}

fn told_until(connection: &rusqlite::Connection, schedule: &str, until: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO summaries (schedule, told_us) VALUES (?1, ?2)
             ON CONFLICT (schedule) DO UPDATE SET told_us = excluded.told_us",
        )?
        .execute(params![schedule, until.as_microsecond()])
        .map(drop)
}

impl Reader {
    /// What became of deliveries from `from` on and before `until`, and how many wait now.
    pub fn fates(&self, from: Timestamp, until: Timestamp) -> Result<Messages, StoreError> {
        let read = |connection: &Connection| {
            let mut messages = Messages::default();
            let mut ended = connection.prepare_cached(
                "SELECT state, count(*) FROM deliveries WHERE finished_us >= ?1 AND finished_us < ?2 GROUP BY state",
            )?;
            let mut rows = ended.query([from.as_microsecond(), until.as_microsecond()])?;
            while let Some(row) = rows.next()? {
                let (state, count): (String, u64) = (row.get(0)?, row.get(1)?);
                match DeliveryState::parse(&state) {
                    Some(DeliveryState::Delivered) => messages.delivered += count,
                    Some(DeliveryState::Parked | DeliveryState::Dropped | DeliveryState::Expired) => {
                        messages.given_up += count;
                    }
                    Some(
                        DeliveryState::Held
                        | DeliveryState::Queued
                        | DeliveryState::Claimed
                        | DeliveryState::Carried,
                    )
                    | None => {}
                }
            }
            let waiting = "SELECT count(*) FROM deliveries WHERE state IN ('queued', 'held')";
            messages.waiting = connection.query_row(waiting, [], |row| row.get(0))?;
            Ok(messages)
        };
        self.database.read(read)
    }
}
