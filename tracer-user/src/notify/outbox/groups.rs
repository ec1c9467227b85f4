//! Changes that are told together.
//!
//! A change waits for the window of its sink; then all that wait, up to [`MOST`], become one message. The first of them
//! is the delivery that carries it: its id is that of the message. Members and words are fixed in one transaction, before
//! it is claimed. What is urgent does not wait, nor does what waits of the same session before it: changes of high risk
//! (unless they are to wait), news of the tracer itself, and whatever was tried before by itself.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::queue::micros;
use super::writer::json;
use super::{Due, Outbox, invalid};
use crate::notify::message::{Event, Message};
use crate::store::StoreError;

/// Most changes that one message tells; what is left over becomes another one.
const MOST: u32 = 1000;

/// How a sink's changes are told together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    pub window: Duration,
    /// Whether those of high risk wait as well.
    pub red_waits: bool,
}

impl Grouping {
    /// Whether `row` need not wait for others: a condition in SQL.
    fn urgent(self, row: &str) -> String {
        let red = if self.red_waits {
            "0".to_owned()
        } else {
            // Itself, or one of the same session that must not overtake it.
            format!(
                "EXISTS (SELECT 1 FROM deliveries r JOIN announcements ra ON ra.id = r.announcement
                     WHERE r.session_key = {row}.session_key AND r.sink = {row}.sink AND r.state = 'queued'
                         AND r.announcement >= {row}.announcement
                         AND json_extract(ra.message, '$.level') = 'high')"
            )
        };
        format!("({row}.attempts > 0 OR {row}.carried_by IS NOT NULL OR {row}.session_key IS NULL OR {red})")
    }
}

/// A change that waits for others.
struct Waiting {
    id: Uuid,
    event: Event,
    message: Message,
}

impl Outbox {
    /// [`Outbox::due`] of a sink whose changes are told together; `words` makes one message of several.
    pub fn due_grouped(
        &mut self,
        sink: &str,
        now: Timestamp,
        grouping: Grouping,
        words: impl Fn(&[(Event, Message)]) -> (Event, Message),
    ) -> Result<Due, StoreError> {
        let urgent = grouping.urgent("d");
        let due = self.due_of(sink, now, &urgent)?;
        if matches!(due, Due::Now(_)) || self.hold(sink)?.is_some() {
            return Ok(due);
        }
        let oldest = self.oldest_waiting(sink, &urgent).map_err(|source| self.error(source))?;
        let Some(oldest) = oldest else { return Ok(due) };
        let (oldest_us, now_us) = (oldest, now.as_microsecond());
        let until_us = oldest_us.saturating_add(micros(grouping.window));
        // One that came in the future: the clock was set back, and it has waited long enough.
        if until_us > now_us && oldest_us <= now_us {
            let until = Timestamp::from_microsecond(until_us).unwrap_or(now);
            return Ok(Due::At(match due {
                Due::At(at) if at > now => at.min(until),
                Due::At(_) | Due::Now(_) | Due::Nothing => until,
            }));
        }
        if !self.form(sink, now, grouping, words)? {
            // What waits must let something else go first.
            return Ok(due);
        }
        self.due_of(sink, now, &urgent)
    }

    /// Since when the oldest change has waited for others.
    fn oldest_waiting(&self, sink: &str, urgent: &str) -> rusqlite::Result<Option<i64>> {
        self.connection
            .prepare_cached(&format!(
                "SELECT d.queued_us FROM deliveries d JOIN announcements a ON a.id = d.announcement
                 WHERE d.sink = ?1 AND d.state = 'queued' AND a.message IS NOT NULL AND NOT {urgent}
                 ORDER BY d.queued_us, d.announcement LIMIT 1"
            ))?
            .query_row([sink], |row| row.get(0))
            .optional()
    }

    /// Makes one message of all that wait; whether there was anything.
    fn form(
        &mut self,
        sink: &str,
        now: Timestamp,
        grouping: Grouping,
        words: impl Fn(&[(Event, Message)]) -> (Event, Message),
    ) -> Result<bool, StoreError> {
        let waiting = self.waiting(sink, now, grouping).map_err(|source| self.error(source))?;
        let Some(carrier) = waiting.first().map(|first| first.id) else { return Ok(false) };
        let members: Vec<Uuid> = waiting.iter().map(|waiting| waiting.id).collect();
        let told: Vec<_> = waiting.into_iter().map(|waiting| (waiting.event, waiting.message)).collect();
        let group = (told.len() > 1).then(|| words(&told));
        self.write(|connection| {
            for member in members.iter().skip(1) {
                connection
                    .prepare_cached("UPDATE deliveries SET state = 'carried', carried_by = ?2 WHERE id = ?1")?
                    .execute(params![member, carrier])?;
            }
            let (event, message) = match &group {
                Some((event, message)) => (Some(json(event)?), Some(json(message)?)),
                None => (None, None),
            };
            connection
                .prepare_cached(
                    "UPDATE deliveries SET carried_by = id, group_event = ?2, group_message = ?3 WHERE id = ?1",
                )?
                .execute(params![carrier, event, message])
                .map(drop)
        })?;
        Ok(true)
    }

    /// What waits for others and need not let anything else of its session go first, in the order in which it happened.
    fn waiting(&self, sink: &str, now: Timestamp, grouping: Grouping) -> rusqlite::Result<Vec<Waiting>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT d.id, a.event, a.message FROM deliveries d JOIN announcements a ON a.id = d.announcement
             WHERE d.sink = ?1 AND d.state = 'queued' AND d.next_us <= ?2 AND a.message IS NOT NULL
                 AND NOT {}
                 AND NOT EXISTS (
                     SELECT 1 FROM deliveries e
                     WHERE e.session_key = d.session_key AND e.sink = d.sink AND e.announcement < d.announcement
                         AND (e.state IN ('claimed', 'carried') OR e.state = 'queued' AND {}))
             ORDER BY d.announcement LIMIT {MOST}",
            grouping.urgent("d"),
            grouping.urgent("e"),
        ))?;
        let waiting = |row: &Row<'_>| {
            let (event, message): (String, String) = (row.get("event")?, row.get("message")?);
            Ok(Waiting {
                id: row.get("id")?,
                event: serde_json::from_str(&event).map_err(|_| invalid("event"))?,
                message: serde_json::from_str(&message).map_err(|_| invalid("message"))?,
            })
        };
        statement.query_map(params![sink, now.as_microsecond()], waiting)?.collect()
    }
}
