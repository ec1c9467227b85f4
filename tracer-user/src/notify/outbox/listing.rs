//! The queues and their deliveries, as people are shown them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::holds::SinkHold;
use super::{DeliveryRow, Reader, delivery_row, timestamp};
use crate::notify::message::Message;
use crate::session::SessionKey;
use crate::store::StoreError;

/// The columns of [`delivery_row`].
const ROW: &str = "d.id, d.sink, a.kind, d.state, d.attempts, d.last_error, d.next_us, d.finished_us";

/// One sink's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    pub sink: String,
    /// The word after `type =`; `None` for a sink that this version never knew.
    pub kind: Option<String>,
    pub is_configured: bool,
    pub held: Option<SinkHold>,
    pub waiting: u64,
    /// Being sent.
    pub sending: u64,
    /// What quiet hours hold: not in the queue yet.
    pub quiet: u64,
    /// Since when the oldest one waits.
    pub oldest: Option<Timestamp>,
    /// When the next one is due.
    pub next: Option<Timestamp>,
    pub parked: u64,
    /// How many the limits have cost, ever.
    pub expired: u64,
    pub dropped: u64,
}

/// An id, or enough of it, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRef {
    first: Uuid,
    last: Uuid,
}

impl DeliveryRef {
    /// Fewest digits that are accepted.
    const SHORTEST: usize = 4;

    /// # Errors
    /// It cannot be an id.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        let is_good = (Self::SHORTEST..=32).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let filled =
            |fill: &str| Uuid::try_parse(&format!("{digits}{}", fill.repeat(32 - digits.len()))).ok();
        let ends = if is_good { filled("0").zip(filled("f")) } else { None };
        let (first, last) = ends
            .ok_or_else(|| "expected the id of a delivery, or its first digits (four or more)".to_owned())?;
        Ok(Self { first, last })
    }
}

/// What an id may turn out to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Nothing,
    One(Uuid),
    /// The abbreviation fits several, these among them.
    Several(Vec<Uuid>),
}

/// One delivery with all that is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryDetail {
    pub row: DeliveryRow,
    pub session: Option<SessionKey>,
    /// The delivery that tells it, if that is another one.
    pub carried_by: Option<Uuid>,
    pub queued_at: Timestamp,
    /// What it says; `None` before it is rated.
    pub summary: Option<String>,
    /// Oldest first.
    pub attempts: Vec<AttemptRow>,
}

/// One attempt that came to a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    pub number: u32,
    pub started_at: Timestamp,
    pub took_us: i64,
    /// `delivered`, `failed` or `parked`.
    pub result: String,
    /// HTTP status, where there was one.
    pub status: Option<u16>,
    /// What the service said; its text.
    pub detail: Option<String>,
}

impl Reader {
    /// Every queue: the sinks that are or were configured, and those that something waits for.
    pub fn queues(&self) -> Result<Vec<QueueRow>, StoreError> {
        let read = |connection: &Connection| {
            let mut statement = connection.prepare(
                "WITH names AS (
                     SELECT name FROM sinks WHERE is_configured = 1 OR hold IS NOT NULL
                     UNION SELECT sink FROM deliveries WHERE state = 'queued'
                     UNION SELECT sink FROM deliveries WHERE state = 'held'
                     UNION SELECT sink FROM deliveries WHERE state = 'parked')
                 SELECT n.name, s.type, s.is_configured, s.hold, s.since_us, s.why,
                     coalesce(s.expired, 0) AS expired, coalesce(s.dropped, 0) AS dropped,
                     (SELECT count(*) FROM deliveries WHERE sink = n.name AND state = 'queued') AS waiting,
                     (SELECT count(*) FROM deliveries WHERE sink = n.name AND state = 'claimed') AS sending,
                     (SELECT count(*) FROM deliveries WHERE sink = n.name AND state = 'held') AS quiet,
                     (SELECT min(queued_us) FROM deliveries WHERE sink = n.name AND state = 'queued') AS oldest_us,
                     (SELECT min(next_us) FROM deliveries WHERE sink = n.name AND state = 'queued') AS next_us,
                     (SELECT count(*) FROM deliveries WHERE sink = n.name AND state = 'parked') AS parked
                 FROM names n LEFT JOIN sinks s ON s.name = n.name ORDER BY n.name",
            )?;
            statement.query_map([], queue_row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.database.read(read)
    }

    /// The deliveries of a sink that are not at their end, or parked, as they are due; at most `limit`.
    pub fn deliveries_at(&self, sink: &str, limit: u32) -> Result<Vec<DeliveryRow>, StoreError> {
        let read = |connection: &Connection| {
            let mut statement = connection.prepare(&format!(
                "SELECT {ROW} FROM deliveries d JOIN announcements a ON a.id = d.announcement
                 WHERE d.id IN (SELECT id FROM deliveries WHERE sink = ?1 AND state = 'queued'
                     UNION SELECT id FROM deliveries WHERE sink = ?1 AND state = 'claimed'
                     UNION SELECT id FROM deliveries WHERE sink = ?1 AND state = 'held'
                     UNION SELECT id FROM deliveries WHERE sink = ?1 AND state = 'parked')
                 ORDER BY d.state, d.next_us, d.announcement LIMIT ?2"
            ))?;
            statement.query_map(params![sink, limit], delivery_row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.database.read(read)
    }

    /// The delivery of an id that may be abbreviated.
    pub fn find(&self, wanted: &DeliveryRef) -> Result<Found, StoreError> {
        let read = |connection: &Connection| {
            let mut statement = connection
                .prepare("SELECT id FROM deliveries WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 5")?;
            let ids = statement.query_map([wanted.first, wanted.last], |row| row.get(0))?;
            ids.collect::<rusqlite::Result<Vec<Uuid>>>()
        };
        let ids = self.database.read(read)?;
        Ok(match ids.as_slice() {
            [] => Found::Nothing,
            [id] => Found::One(*id),
            [..] => Found::Several(ids),
        })
    }

    /// Everything about one delivery.
    pub fn delivery(&self, id: Uuid) -> Result<Option<DeliveryDetail>, StoreError> {
        let read = |connection: &Connection| {
            let found = connection
                .prepare(&format!(
                    "SELECT {ROW}, d.session_key, d.queued_us, coalesce(d.group_message, d.message, a.message) AS message,
                         nullif(d.carried_by, d.id) AS carried_by
                     FROM deliveries d JOIN announcements a ON a.id = d.announcement WHERE d.id = ?1"
                ))?
                .query_row([id], detail)
                .optional()?;
            let Some(mut found) = found else { return Ok(None) };
            let mut attempts = connection.prepare(
                "SELECT number, started_us, duration_us, result, status, detail FROM attempts
                 WHERE delivery = ?1 ORDER BY id",
            )?;
            found.attempts = attempts.query_map([id], attempt_row)?.collect::<rusqlite::Result<_>>()?;
            Ok(Some(found))
        };
        self.database.read(read)
    }

    /// The sinks that something waits for, or was being sent to, and how much.
    pub fn unfinished(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let queues = self.queues()?;
        let left = |row: QueueRow| (row.sink, row.waiting + row.sending);
        Ok(queues.into_iter().map(left).filter(|(_, count)| *count > 0).collect())
    }
}

fn queue_row(row: &Row<'_>) -> rusqlite::Result<QueueRow> {
    let time = |column: &str| row.get::<_, Option<i64>>(column)?.map(timestamp).transpose();
    Ok(QueueRow {
        sink: row.get("name")?,
        kind: row.get("type")?,
        is_configured: row.get::<_, Option<bool>>("is_configured")?.unwrap_or(false),
        held: SinkHold::of(row)?,
        waiting: row.get("waiting")?,
        sending: row.get("sending")?,
        quiet: row.get("quiet")?,
        oldest: time("oldest_us")?,
        next: time("next_us")?,
        parked: row.get("parked")?,
        expired: row.get("expired")?,
        dropped: row.get("dropped")?,
    })
}

fn detail(row: &Row<'_>) -> rusqlite::Result<DeliveryDetail> {
    // A message that cannot be read is no reason to show nothing.
    let message: Option<Message> =
        row.get::<_, Option<String>>("message")?.and_then(|message| serde_json::from_str(&message).ok());
    Ok(DeliveryDetail {
        row: delivery_row(row)?,
        session: row.get::<_, Option<Uuid>>("session_key")?.map(SessionKey),
        carried_by: row.get("carried_by")?,
        queued_at: timestamp(row.get("queued_us")?)?,
        summary: message.map(|message| message.summary),
        attempts: Vec::new(),
    })
}

fn attempt_row(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        number: row.get("number")?,
        started_at: timestamp(row.get("started_us")?)?,
        took_us: row.get("duration_us")?,
        result: row.get("result")?,
        status: row.get("status")?,
        detail: row.get("detail")?,
    })
}
