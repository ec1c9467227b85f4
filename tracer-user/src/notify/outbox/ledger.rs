//! What look-ups need remembered: answers, and requests for the quotas.

use std::cell::RefCell;
use std::rc::Rc;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, TransactionBehavior, params};

use super::Outbox;
use crate::enrich::Ledger;
use crate::enrich::quota::{self, Limits, Refusal, Used};

impl Ledger for Rc<RefCell<Outbox>> {
    fn answer(&self, source: &str, subject: &str, now: Timestamp) -> Option<String> {
        let outbox = self.borrow();
        let read = || {
            outbox
                .connection
                .prepare_cached(
                    "SELECT answer FROM answers WHERE source = ?1 AND subject = ?2 AND expires_us > ?3",
                )?
                .query_row(params![source, subject, now.as_microsecond()], |row| row.get(0))
                .optional()
        };
        read().unwrap_or_else(|error: rusqlite::Error| {
            tracing::warn!(%error, "remembered look-ups cannot be read");
            None
        })
    }

    fn remember(&self, source: &str, subject: &str, answer: &str, expires: Timestamp) {
        let outbox = self.borrow();
        let write = || {
            outbox
                .connection
                .prepare_cached(
                    "INSERT INTO answers (source, subject, answer, expires_us) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (source, subject)
                     DO UPDATE SET answer = excluded.answer, expires_us = excluded.expires_us",
                )?
                .execute(params![source, subject, answer, expires.as_microsecond()])
        };
        if let Err(error) = write() {
            tracing::warn!(%error, "a look-up cannot be remembered");
        }
    }

    fn spend(&self, source: &str, limits: Limits, now: Timestamp) -> Result<(), Refusal> {
        self.borrow_mut().spend(source, limits, now).unwrap_or_else(|error| {
            tracing::warn!(%error, "a look-up cannot be counted");
            Err(Refusal::Uncounted)
        })
    }
}

impl Outbox {
    /// Counts one more request before it is sent, so that no crash makes room for another.
    fn spend(
        &mut self,
        source: &str,
        limits: Limits,
        now: Timestamp,
    ) -> rusqlite::Result<Result<(), Refusal>> {
        let (at, period) = (now.as_microsecond(), limits.period.name(now));
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // A request from the future was made before the clock was set back: it says nothing about this minute.
        transaction
            .prepare_cached("DELETE FROM requests WHERE at_us <= ?1 OR at_us > ?2")?
            .execute([at.saturating_sub(quota::WINDOW_US), at])?;
        let last_minute = transaction
            .prepare_cached("SELECT count(*) FROM requests WHERE source = ?1")?
            .query_row([source], |row| row.get(0))?;
        // Months, weeks and days have names of their own: the column holds any of them.
        let this_period = transaction
            .prepare_cached("SELECT count FROM requests_by_month WHERE source = ?1 AND month = ?2")?
            .query_row(params![source, period], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        if let Err(refusal) = quota::allow(Used { last_minute, this_period }, limits) {
            return Ok(Err(refusal));
        }
        transaction
            .prepare_cached("INSERT INTO requests (source, at_us) VALUES (?1, ?2)")?
            .execute(params![source, at])?;
        transaction
            .prepare_cached(
                "INSERT INTO requests_by_month (source, month, count) VALUES (?1, ?2, 1)
                 ON CONFLICT (source, month) DO UPDATE SET count = count + 1",
            )?
            .execute(params![source, period])?;
        transaction.commit()?;
        Ok(Ok(()))
    }

    /// Forgets answers that expired.
    pub fn forget_expired(&mut self, now: Timestamp) -> rusqlite::Result<usize> {
        self.connection.execute("DELETE FROM answers WHERE expires_us <= ?1", [now.as_microsecond()])
    }
}
