//! What people do to the queue: send again, give up.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DeliveryState, Outbox, invalid};
use crate::store::StoreError;

/// How many deliveries are changed in one transaction: others want to write as well.
const STEP: usize = 2000;

/// Which deliveries are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    One(Uuid),
    /// All of a sink.
    Sink(String),
    /// What has waited in a sink's queue since before a time, in microseconds since 1970.
    Older {
        sink: String,
        before_us: i64,
    },
    /// What is parked, at every sink.
    AllParked,
}

impl Outbox {
    /// The state of a delivery.
    pub fn state(&self, delivery: Uuid) -> Result<Option<DeliveryState>, StoreError> {
        let read = || {
            let mut statement =
                self.connection.prepare_cached("SELECT state FROM deliveries WHERE id = ?1")?;
            let mut rows = statement.query([delivery])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let word: String = row.get("state")?;
            DeliveryState::parse(&word).map(Some).ok_or_else(|| invalid("state"))
        };
        read().map_err(|source| self.error(source))
    }

    /// Whether there is any delivery for a sink that waits or is parked.
    pub fn has_deliveries(&self, sink: &str) -> Result<bool, StoreError> {
        let read = || {
            self.connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM deliveries WHERE sink = ?1 AND state = 'queued')
                         OR EXISTS (SELECT 1 FROM deliveries WHERE sink = ?1 AND state = 'parked')",
                )?
                .query_row([sink], |row| row.get(0))
        };
        read().map_err(|source| self.error(source))
    }

    /// Makes a step of deliveries due now: one that is not delivered, a sink's that wait or are parked, all that are
    /// parked. Says how many; 0 means that there are no more.
    pub fn retry_step(&mut self, selection: &Selection, now: Timestamp) -> Result<usize, StoreError> {
        let now_us = now.as_microsecond();
        let revive =
            "UPDATE deliveries SET state = 'queued', next_us = ?1, queued_us = ?1, finished_us = NULL";
        let hurry = "UPDATE deliveries SET next_us = ?1";
        self.step(|connection| match selection {
            Selection::One(delivery) => {
                let revived = connection.execute(
                    &format!("{revive} WHERE id = ?2 AND state IN ('held', 'parked', 'dropped', 'expired')"),
                    params![now_us, delivery],
                )?;
                let hurried = connection.execute(
                    &format!("{hurry} WHERE id = ?2 AND state = 'queued' AND next_us > ?1"),
                    params![now_us, delivery],
                )?;
                Ok(revived + hurried)
            }
            Selection::Sink(sink) | Selection::Older { sink, .. } => {
                let revived = connection.execute(
                    &format!(
                        "{revive} WHERE id IN (SELECT id FROM deliveries
                         WHERE sink = ?2 AND state = 'parked' LIMIT ?3)"
                    ),
                    params![now_us, sink, STEP],
                )?;
                let hurried = connection.execute(
                    &format!(
                        "{hurry} WHERE id IN (SELECT id FROM deliveries
                         WHERE sink = ?2 AND state = 'queued' AND next_us > ?1 LIMIT ?3)"
                    ),
                    params![now_us, sink, STEP],
                )?;
                Ok(revived + hurried)
            }
            Selection::AllParked => connection.execute(
                &format!("{revive} WHERE id IN (SELECT id FROM deliveries WHERE state = 'parked' LIMIT ?2)"),
                params![now_us, STEP],
            ),
        })
    }

    /// Gives up a step of deliveries that wait or are parked, with the reason. Says how many; 0 means that there are no
    /// more.
    pub fn drop_step(
        &mut self,
        selection: &Selection,
        why: &str,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let give_up = "UPDATE deliveries SET state = 'dropped', finished_us = ?1, last_error = ?2";
        let now_us = now.as_microsecond();
        self.step(|connection| match selection {
            Selection::One(delivery) => connection.execute(
                &format!("{give_up} WHERE id = ?3 AND state IN ('held', 'queued', 'parked')"),
                params![now_us, why, delivery],
            ),
            Selection::Sink(sink) => drop_older(connection, give_up, (now_us, why), sink, i64::MAX),
            Selection::Older { sink, before_us } => {
                drop_older(connection, give_up, (now_us, why), sink, *before_us)
            }
            Selection::AllParked => connection.execute(
                &format!("{give_up} WHERE id IN (SELECT id FROM deliveries WHERE state = 'parked' LIMIT ?3)"),
                params![now_us, why, STEP],
            ),
        })
    }

    fn step(
        &mut self,
        statements: impl Fn(&Connection) -> rusqlite::Result<usize>,
    ) -> Result<usize, StoreError> {
        let changed = std::cell::Cell::new(0);
        self.write(|connection| {
            changed.set(statements(connection)?);
            Ok(())
        })?;
        Ok(changed.get())
    }
}

fn drop_older(
    connection: &Connection,
    give_up: &str,
    (now_us, why): (i64, &str),
    sink: &str,
    before_us: i64,
) -> rusqlite::Result<usize> {
    let of_state = |state: &str| {
        connection.execute(
            &format!(
                "{give_up} WHERE id IN (SELECT id FROM deliveries
                 WHERE sink = ?3 AND state = '{state}' AND queued_us < ?4 LIMIT ?5)"
            ),
            params![now_us, why, sink, before_us, STEP],
        )
    };
    Ok(of_state("queued")? + of_state("parked")?)
}
