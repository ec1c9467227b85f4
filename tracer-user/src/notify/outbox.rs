//! `notify/delivery.db`: what is to be told, to whom, and what came of it. The notify role is its only writer.
//!
//! Promises:
//! - A change is taken in together with the cursor, in one transaction that is on the disk when it returns: after a crash
//!   it is either here or will be read again. Where it goes is decided when it is rated, at once or later, and written in
//!   one transaction with its words and its deliveries.
//! - Claim, attempt, record: an attempt counts from the moment it is claimed, its result is written with
//!   `synchronous=FULL`. A crash between sending and recording repeats the delivery, with the same id and the same text.
//! - An assessment is written before the first message that shows it; a newer one takes its place together with the
//!   announcement that tells of it, if any.
//! - A claim outlives no process: there is one writer, so whatever is claimed when it starts was interrupted. Nor does it
//!   outlive its lease, which is longer than any attempt may take: what a worker forgot is due again.
//! - A sink that is held (paused by hand, or suspended because it is gone) keeps its queue; nothing of it is due.
//! - Which changes one message tells is written down with its words before it is claimed: a repetition says the same.
//! - What the limits of a queue cost is counted, listed and told; nothing vanishes silently.
//!
//! What is lost with this file (it was damaged and set aside) is what the look-ups said and which deliveries had failed;
//! sessions and changes are in `sessions.db`.

mod by_hand;
mod decisions;
mod groups;
mod held;
mod holds;
mod ledger;
mod limits;
mod listing;
mod news;
mod prune;
mod queue;
mod schema;
mod summaries;
mod told;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row};
use uuid::Uuid;

pub use self::by_hand::Selection;
pub use self::decisions::Decision;
pub use self::groups::Grouping;
pub use self::held::Released;
pub use self::holds::{Hold, SinkHold};
pub use self::limits::{Limits, Loss};
pub use self::listing::{AttemptRow, DeliveryDetail, DeliveryRef, Found, QueueRow};
pub use self::news::{News, NewsKind};
pub use self::queue::{Attempt, Claim, Delivery, Due, LEASE, LONGEST_ATTEMPT, Recorded};
pub use self::told::{Covered, Telling, Tellings};
pub use self::writer::{Finished, NewAnnouncement, NewDelivery, Outbox, Pending, Position, Rating, TakenIn};
use crate::assess::{Assessment, Level, Reason};
use crate::enrich::{Facts, Why};
use crate::session::{ChangeKind, SessionKey};
use crate::store::reading::Database;
use crate::store::{self, StoreError};

/// Folder of the notify role within the state directory; it belongs to the account of that role.
pub const DIRECTORY: &str = "notify";
/// Name of the database within [`DIRECTORY`].
pub const FILE_NAME: &str = "delivery.db";

/// Where the database lies.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(DIRECTORY).join(FILE_NAME)
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// Quiet hours keep it; at its next time it is queued.
    Held,
    /// To be sent, now or at its next time.
    Queued,
    /// Being sent; or it was, when the notify role died, and will be sent again.
    Claimed,
    /// The service confirmed it.
    Delivered,
    /// The service refused it for good; it is kept with the reason and not tried again.
    Parked,
    /// Told by another delivery, together with others; it shares that one's fate.
    Carried,
    /// Given up by hand, or because more waited than may.
    Dropped,
    /// Given up because it had waited for too long.
    Expired,
}

impl DeliveryState {
    const ALL: [Self; 8] = [
        Self::Carried,
        Self::Held,
        Self::Queued,
        Self::Claimed,
        Self::Delivered,
        Self::Parked,
        Self::Dropped,
        Self::Expired,
    ];

    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Queued => "queued",
            Self::Claimed => "claimed",
            Self::Delivered => "delivered",
            Self::Parked => "parked",
            Self::Carried => "carried",
            Self::Dropped => "dropped",
            Self::Expired => "expired",
        }
    }

    /// The inverse of [`DeliveryState::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// What a message tells: a change of `sessions.db`, or news of the notify role itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Change(ChangeKind),
    News(NewsKind),
}

impl Kind {
    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Change(kind) => kind.as_str(),
            Self::News(kind) => kind.as_str(),
        }
    }

    /// The inverse of [`Kind::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        ChangeKind::parse(word).map(Self::Change).or_else(|| NewsKind::parse(word).map(Self::News))
    }
}

/// One change on its way to one sink, as it is shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Stable id of the delivery, the same in every repetition.
    pub id: Uuid,
    /// Name of the sink.
    pub sink: String,
    /// What it tells.
    pub kind: Kind,
    pub state: DeliveryState,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Why the last attempt failed; may hold text of the service.
    pub last_error: Option<String>,
    /// When it is tried next; only while it is queued or held.
    pub next_at: Option<Timestamp>,
    /// When it came to its end; `None` while it is queued or claimed.
    pub finished_at: Option<Timestamp>,
}

/// A connection that only reads, for the command line.
#[derive(Debug)]
pub struct Reader {
    database: Database,
    /// Where verdicts are; an earlier version kept none, and its database stays as it is until the notify role runs.
    verdict_column: &'static str,
}

impl Reader {
    /// Opens the database below `state_dir`, writing nothing.
    ///
    /// # Errors
    /// [`StoreError::Missing`] as long as the notify role never ran: nothing was assessed or delivered yet.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let path = path(state_dir);
        fs::metadata(&path).map_err(|source| store::unreadable(&path, source))?;
        let database = Database::open(&path, &schema::DELIVERIES)?;
        let has_verdicts = database.read(|connection| {
            let column = "SELECT 1 FROM pragma_table_info('announcements') WHERE name = 'verdict'";
            connection.prepare(column)?.exists([])
        })?;
        Ok(Self { database, verdict_column: if has_verdicts { "verdict" } else { "NULL" } })
    }

    /// The sessions that were assessed as of this level; `None` if they are more than `at_most`.
    pub fn few_of_level(&self, level: Level, at_most: u32) -> Result<Option<Vec<SessionKey>>, StoreError> {
        let read = |connection: &Connection| {
            connection
                .prepare_cached("SELECT session_key FROM assessments WHERE level = ?1 LIMIT ?2")?
                .query_map((level.as_str(), u64::from(at_most) + 1), |row| row.get(0).map(SessionKey))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let keys = self.database.read(read)?;
        Ok((keys.len() as u64 <= u64::from(at_most)).then_some(keys))
    }

    /// The assessment of a session, if there is one.
    pub fn assessment(&self, key: SessionKey) -> Result<Option<Assessment>, StoreError> {
        self.database.read(|connection| assessment_of(connection, key))
    }

    /// The assessment of a session, with the facts that it was made from.
    pub fn rating(&self, key: SessionKey) -> Result<Option<Rating>, StoreError> {
        let read = |connection: &Connection| {
            let Some(assessment) = assessment_of(connection, key)? else { return Ok(None) };
            let facts: String = connection
                .prepare_cached("SELECT facts FROM assessments WHERE session_key = ?1")?
                .query_row([key.0], |row| row.get(0))?;
            let facts = serde_json::from_str(&facts).unwrap_or(Facts::unknown(Why::NoData));
            Ok(Some((assessment, facts)))
        };
        self.database.read(read)
    }

    /// An answer of a service that has not expired.
    pub fn answer(&self, source: &str, subject: &str, now: Timestamp) -> Result<Option<String>, StoreError> {
        let query = "SELECT answer FROM answers WHERE source = ?1 AND subject = ?2 AND expires_us > ?3";
        let values = rusqlite::params![source, subject, now.as_microsecond()];
        self.database.read(|connection| connection.query_row(query, values, |row| row.get(0)).optional())
    }

    /// The deliveries of one session, in the order of its changes, then by sink.
    pub fn deliveries_of(&self, key: SessionKey) -> Result<Vec<DeliveryRow>, StoreError> {
        let read = |connection: &Connection| {
            let mut statement = connection.prepare_cached(
                "SELECT d.id, d.sink, a.kind, d.state, d.attempts, d.last_error, d.next_us, d.finished_us
                 FROM deliveries d JOIN announcements a ON a.id = d.announcement
                 WHERE d.session_key = ?1 ORDER BY d.announcement, d.sink",
            )?;
            statement.query_map([key.0], delivery_row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.database.read(read)
    }
}

fn assessment_of(connection: &Connection, key: SessionKey) -> rusqlite::Result<Option<Assessment>> {
    let mut statement =
        connection.prepare_cached("SELECT level, score, reasons FROM assessments WHERE session_key = ?1")?;
    let decode = |row: &Row<'_>| {
        let level: String = row.get("level")?;
        let reasons: String = row.get("reasons")?;
        Ok(Assessment {
            level: Level::parse(&level).ok_or_else(|| invalid("level"))?,
            score: row.get("score")?,
            reasons: serde_json::from_str::<Vec<Reason>>(&reasons).map_err(|_| invalid("reasons"))?,
        })
    };
    statement.query_row([key.0], decode).optional()
}

fn delivery_row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let (kind, state): (String, String) = (row.get("kind")?, row.get("state")?);
    let state = DeliveryState::parse(&state).ok_or_else(|| invalid("state"))?;
    let next_at = match state {
        DeliveryState::Held | DeliveryState::Queued => Some(timestamp(row.get("next_us")?)?),
        DeliveryState::Claimed
        | DeliveryState::Delivered
        | DeliveryState::Parked
        | DeliveryState::Carried
        | DeliveryState::Dropped
        | DeliveryState::Expired => None,
    };
    Ok(DeliveryRow {
        id: row.get("id")?,
        sink: row.get("sink")?,
        kind: Kind::parse(&kind).ok_or_else(|| invalid("kind"))?,
        state,
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
        next_at,
        finished_at: row.get::<_, Option<i64>>("finished_us")?.map(timestamp).transpose()?,
    })
}

fn timestamp(microseconds: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(microseconds).map_err(|_| invalid("time"))
}

/// A value that this program never writes.
fn invalid(column: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(0, column.to_owned(), rusqlite::types::Type::Text)
}
