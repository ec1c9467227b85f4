//! The queue of deliveries: what is due, claiming it, recording what came of it.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::{DeliveryState, Outbox, Rating};
use crate::notify::message::{Event, Message};
use crate::session::SessionKey;
use crate::store::StoreError;

/// Longest time that a delivery can wait for its next attempt, in microseconds: what a service may ask for, and an hour.
const FARTHEST_US: i64 = 25 * 3600 * 1_000_000;

/// How long a claim holds. No attempt takes longer ([`LONGEST_ATTEMPT`]): what is claimed for longer belongs to nobody.
pub const LEASE: Duration = Duration::from_secs(10 * 60);

/// After this time an attempt is given up, whatever the sink does. Every sink has a shorter limit of its own; this is for
/// one that fails to keep it.
pub const LONGEST_ATTEMPT: Duration = Duration::from_secs(8 * 60);

/// What a sink has to do.
#[derive(Debug)]
pub enum Due {
    Now(Box<Delivery>),
    /// Nothing before this time.
    At(Timestamp),
    Nothing,
}

/// Whether a delivery could be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is the caller's until the result is recorded, or [`LEASE`] is over.
    Held,
    /// It waits no more: somebody else claimed or dropped it.
    NotWaiting,
}

/// A delivery to be sent.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: Uuid,
    /// Number of the attempt that comes next, from 1.
    pub attempt: u32,
    /// What it is about, for ever: the session key, or store id and row number of a change without a session.
    pub subject: String,
    pub event: Event,
    /// What the session was rated; `None` for news of the tracer itself.
    pub rating: Option<Rating>,
    pub message: Message,
    /// The receipt of the first message about the same session at the same sink.
    pub first_receipt: Option<String>,
}

/// A row of the queue, as it is stored.
struct Stored {
    id: Uuid,
    attempts: u32,
    session: Option<SessionKey>,
    subject: String,
    event: String,
    message: String,
    /// Whether it tells more than one change.
    is_group: bool,
    first_receipt: Option<String>,
}

/// An attempt that came to a result.
#[derive(Debug)]
pub struct Attempt {
    pub delivery: Uuid,
    pub number: u32,
    pub started: Timestamp,
    pub took: Duration,
    /// HTTP status of the answer, where there was one.
    pub status: Option<u16>,
    /// What the service calls the message, where it took it and others may refer to it.
    pub receipt: Option<String>,
    pub result: Recorded,
}

/// What is written about an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    Delivered,
    Retry { at: Timestamp, why: String },
    Parked { why: String },
}

impl Outbox {
    /// The next delivery of a sink, nothing while it is on hold. A session's changes go to a sink in their order: none
    /// before the ones before it are at their end. A message that cannot be read any more is parked on the way.
    pub fn due(&mut self, sink: &str, now: Timestamp) -> Result<Due, StoreError> {
        self.due_of(sink, now, "1")
    }

    /// [`Outbox::due`] among those that a condition on `d`, a row of `deliveries`, lets through.
    pub(super) fn due_of(&mut self, sink: &str, now: Timestamp, condition: &str) -> Result<Due, StoreError> {
        if self.hold(sink)?.is_some() {
            return Ok(Due::Nothing);
        }
        loop {
            let Some(stored) = self.first_due(sink, now, condition).map_err(|source| self.error(source))?
            else {
                return self.next_time(sink, now).map_err(|source| self.error(source));
            };
            let words = serde_json::from_str(&stored.message);
            match words.and_then(|message| Ok((message, serde_json::from_str(&stored.event)?))) {
                Ok((message, event)) => {
                    // What several sessions are told in has no one's rating, and is about none of them.
                    let session = stored.session.filter(|_| !stored.is_group);
                    let rating = session.map(|session| self.rating(session)).transpose()?;
                    return Ok(Due::Now(Box::new(Delivery {
                        id: stored.id,
                        attempt: stored.attempts.saturating_add(1),
                        subject: if stored.is_group {
                            format!("group/{}", stored.id)
                        } else {
                            stored.subject
                        },
                        event,
                        rating: rating.flatten(),
                        message,
                        first_receipt: stored.first_receipt.filter(|_| !stored.is_group),
                    })));
                }
                Err(error) => {
                    tracing::error!(delivery = %stored.id, %error, "a stored message cannot be read; it is parked");
                    self.park_unreadable(stored.id, now)?;
                }
            }
        }
    }

    fn first_due(&self, sink: &str, now: Timestamp, condition: &str) -> rusqlite::Result<Option<Stored>> {
        let stored = |row: &Row<'_>| {
            Ok(Stored {
                id: row.get("id")?,
                attempts: row.get("attempts")?,
                session: row.get::<_, Option<Uuid>>("session_key")?.map(SessionKey),
                subject: row.get("subject")?,
                event: row.get("event")?,
                message: row.get("message")?,
                is_group: row.get("is_group")?,
                first_receipt: row.get("first_receipt")?,
            })
        };
        self.connection
            .prepare_cached(&format!(
                "SELECT d.id, d.attempts, d.session_key, a.subject, coalesce(d.group_event, a.event) AS event,
                     coalesce(d.group_message, d.message, a.message) AS message,
                     d.group_message IS NOT NULL AS is_group,
                     (SELECT e.receipt FROM deliveries e
                      WHERE e.session_key = d.session_key AND e.sink = d.sink
                          AND e.announcement < d.announcement AND e.receipt IS NOT NULL
                      ORDER BY e.announcement LIMIT 1) AS first_receipt
                 FROM deliveries d JOIN announcements a ON a.id = d.announcement
                 WHERE d.sink = ?1 AND d.state = 'queued' AND d.next_us <= ?2 AND a.message IS NOT NULL
                     AND NOT EXISTS (
                         SELECT 1 FROM deliveries e
                         WHERE e.session_key = d.session_key AND e.sink = d.sink
                             AND e.announcement < d.announcement AND e.state IN ('queued', 'claimed', 'carried'))
                     AND ({condition})
                 ORDER BY d.next_us, d.announcement LIMIT 1",
            ))?
            .query_row(params![sink, now.as_microsecond()], stored)
            .optional()
    }

    fn next_time(&self, sink: &str, now: Timestamp) -> rusqlite::Result<Due> {
        let now_us = now.as_microsecond();
        let later: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT min(next_us) FROM deliveries WHERE sink = ?1 AND state = 'queued' AND next_us > ?2",
            )?
            .query_row(params![sink, now_us], |row| row.get(0))?;
        let Some(later) = later else { return Ok(Due::Nothing) };
        if later - now_us > FARTHEST_US {
            // No wait is that long: the clock was set back. What was due then is due now.
            let bring_back =
                "UPDATE deliveries SET next_us = ?2 WHERE sink = ?1 AND state = 'queued' AND next_us > ?2";
            self.connection.execute(bring_back, params![sink, now_us])?;
            return Ok(Due::At(now));
        }
        Ok(Due::At(Timestamp::from_microsecond(later).unwrap_or(now)))
    }

    /// Marks a delivery as being sent until [`LEASE`] is over, and counts the attempt.
    ///
    /// This is the one write that is not synced: a power cut that undoes it costs one number, and an attempt must not
    /// wait for a disk.
    pub fn claim(&mut self, delivery: Uuid, now: Timestamp) -> Result<Claim, StoreError> {
        let until = now.as_microsecond().saturating_add(micros(LEASE));
        let claim = |connection: &Connection| {
            connection.pragma_update(None, "synchronous", "normal")?;
            let claimed = connection
                .prepare_cached(
                    "UPDATE deliveries SET state = 'claimed', attempts = attempts + 1, lease_us = ?2
                     WHERE id = ?1 AND state = 'queued'",
                )
                .and_then(|mut statement| statement.execute(params![delivery, until]));
            connection.pragma_update(None, "synchronous", "full")?;
            claimed
        };
        match claim(&self.connection).map_err(|source| self.error(source))? {
            0 => Ok(Claim::NotWaiting),
            _ => Ok(Claim::Held),
        }
    }

    /// Puts back into the queue what a sink claimed longer ago than any attempt can take, except for what is known to
    /// be under way still; says how many.
    pub fn release_expired(
        &mut self,
        sink: &str,
        now: Timestamp,
        under_way: impl Fn(&Uuid) -> bool,
    ) -> Result<usize, StoreError> {
        let now_us = now.as_microsecond();
        let release = |connection: &Connection| {
            // A lease that ends later than any can: the clock was set back.
            let mut expired = connection.prepare_cached(
                "SELECT id FROM deliveries WHERE state = 'claimed' AND sink = ?1
                     AND (lease_us IS NULL OR lease_us <= ?2 OR lease_us > ?3)",
            )?;
            let farthest = now_us.saturating_add(micros(LEASE));
            let expired: Vec<Uuid> = expired
                .query_map(params![sink, now_us, farthest], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let mut released = 0;
            for delivery in expired.iter().filter(|delivery| !under_way(delivery)) {
                released += connection
                    .prepare_cached(
                        "UPDATE deliveries SET state = 'queued' WHERE id = ?1 AND state = 'claimed'",
                    )?
                    .execute([delivery])?;
            }
            Ok(released)
        };
        release(&self.connection).map_err(|source| self.error(source))
    }

    /// Writes the results of attempts, all in one transaction, and makes them durable.
    ///
    /// An attempt that is no longer the one that holds the claim is written down, but changes nothing, unless it says
    /// that the message has arrived: then it is not sent again.
    pub fn record(&mut self, attempts: &[Attempt]) -> Result<(), StoreError> {
        self.write(|connection| attempts.iter().try_for_each(|attempt| record(connection, attempt)))
    }

    /// Parks a delivery that nobody can send.
    fn park_unreadable(&mut self, delivery: Uuid, now: Timestamp) -> Result<(), StoreError> {
        self.write(|connection| {
            connection
                .prepare_cached(
                    "UPDATE deliveries SET state = 'parked', finished_us = ?2,
                         last_error = 'its stored message cannot be read' WHERE id = ?1",
                )?
                .execute(params![delivery, now.as_microsecond()])
                .map(drop)
        })
    }

    /// How long ago the newest attempts of a sink began, newest first, at most so many and so old.
    pub fn ages_of_attempts(
        &self,
        sink: &str,
        now: Timestamp,
        oldest: Duration,
        count: u32,
    ) -> Result<Vec<Duration>, StoreError> {
        let read = || {
            // The newest attempts of all sinks, as far as they may matter; row numbers follow the time.
            let mut statement = self.connection.prepare(
                "SELECT ?2 - a.started_us FROM (SELECT delivery, started_us FROM attempts ORDER BY id DESC LIMIT 10000) a
                 JOIN deliveries d ON d.id = a.delivery
                 WHERE d.sink = ?1 AND a.started_us BETWEEN ?2 - ?3 AND ?2 ORDER BY a.started_us DESC LIMIT ?4",
            )?;
            let ages = statement
                .query_map(params![sink, now.as_microsecond(), micros(oldest), count], |row| row.get(0))?;
            ages.map(|age| age.map(Duration::from_micros)).collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.error(source))
    }

    /// Puts back into the queue what was being sent when the last process ended, due at once; says how many.
    pub fn release_claims(&mut self) -> Result<usize, StoreError> {
        let release = "UPDATE deliveries SET state = 'queued' WHERE state = 'claimed'";
        self.connection.execute(release, []).map_err(|source| self.error(source))
    }

    /// How many deliveries wait in the queue for sinks that are not in the list.
    pub fn orphaned(&self, sinks: &[&str]) -> Result<Vec<(String, u64)>, StoreError> {
        let read = || {
            let mut statement = self.connection.prepare(
                "SELECT sink, count(*) FROM deliveries WHERE state = 'queued' GROUP BY sink ORDER BY sink",
            )?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, u64)>>>()
        };
        let mut waiting = read().map_err(|source| self.error(source))?;
        waiting.retain(|(sink, _)| !sinks.contains(&sink.as_str()));
        Ok(waiting)
    }
}

fn record(connection: &Connection, attempt: &Attempt) -> rusqlite::Result<()> {
    let ended = attempt.started.as_microsecond().saturating_add(micros(attempt.took));
    let (state, next, finished, why) = match &attempt.result {
        Recorded::Delivered => (DeliveryState::Delivered, None, Some(ended), None),
        Recorded::Retry { at, why } => (DeliveryState::Queued, Some(at.as_microsecond()), None, Some(why)),
        Recorded::Parked { why } => (DeliveryState::Parked, None, Some(ended), Some(why)),
    };
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, next_us = coalesce(?3, next_us), finished_us = ?4,
                 last_error = ?5, receipt = coalesce(?6, receipt), lease_us = NULL
             WHERE id = ?1 AND (state = 'claimed' AND attempts = ?7
                 OR ?2 = 'delivered' AND state IN ('queued', 'claimed'))",
        )?
        .execute(params![
            attempt.delivery,
            state.as_str(),
            next,
            finished,
            why,
            attempt.receipt,
            attempt.number
        ])?;
    let result = match state {
        DeliveryState::Delivered | DeliveryState::Parked => state.as_str(),
        DeliveryState::Held
        | DeliveryState::Carried
        | DeliveryState::Queued
        | DeliveryState::Claimed
        | DeliveryState::Dropped
        | DeliveryState::Expired => "failed",
    };
    connection
        .prepare_cached(
            "INSERT INTO attempts (delivery, number, started_us, duration_us, result, status, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            attempt.delivery,
            attempt.number,
            attempt.started.as_microsecond(),
            micros(attempt.took),
            result,
            attempt.status,
            why
        ])
        .map(drop)
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
