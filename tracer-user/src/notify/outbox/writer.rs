//! The one connection that writes: taking in and rating. What is sent is in [`super::queue`].

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, TransactionBehavior, params};
use uuid::Uuid;

use super::{DeliveryState, assessment_of, decisions, held, invalid, schema};
use crate::assess::Assessment;
use crate::enrich::{Facts, Why};
use crate::notify::message::{Event, Message, Subject};
use crate::notify::route::{Beginning, Verdict};
use crate::session::{ChangeKind, SessionKey};
use crate::store::{self, StoreError};

/// The one connection that writes `delivery.db`.
#[derive(Debug)]
pub struct Outbox {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

/// How far a `sessions.db` was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Up to this change.
    After(i64),
    /// This one was never read, but another one was: it took that one's place, and all of it is new.
    NewStore,
    /// None was ever read.
    Never,
}

/// A rating together with what it was made from.
pub type Rating = (Assessment, Facts);

/// A batch of changes and the position after them.
#[derive(Debug)]
pub struct TakenIn {
    pub store_id: Uuid,
    pub cursor: i64,
    /// Ratings that could be made at once.
    pub ratings: Vec<(SessionKey, Rating)>,
    /// Ratings that take the place of others.
    pub reassessed: Vec<(SessionKey, Rating)>,
    pub announcements: Vec<NewAnnouncement>,
    /// Sessions that became better known; for their messages that are not written yet.
    pub better_known: Vec<(SessionKey, Subject)>,
    /// Attempts of changes after this one, up to the cursor, are still to be told, together.
    pub untold_after: Option<i64>,
}

/// A change that is to be told.
#[derive(Debug)]
pub struct NewAnnouncement {
    /// The session; `None` for news of the tracer itself.
    pub session: Option<SessionKey>,
    /// What it is about, for ever; see the schema.
    pub subject: String,
    pub kind: ChangeKind,
    pub seq: u32,
    pub event: Event,
    /// `None` if the session must be rated first.
    pub finished: Option<Finished>,
}

/// What an announcement says, where it goes and why.
#[derive(Debug, Clone)]
pub struct Finished {
    pub message: Message,
    pub verdict: Verdict,
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    pub id: Uuid,
    pub sink: String,
    /// Not before this time; `None`: now.
    pub held_until: Option<Timestamp>,
    /// Where this sink is told in other words.
    pub message: Option<Message>,
}

/// An announcement whose session is not rated yet.
#[derive(Debug, Clone)]
pub struct Pending {
    pub id: i64,
    pub session: SessionKey,
    /// What it is called, for ever: see [`NewAnnouncement`].
    pub subject: String,
    pub kind: ChangeKind,
    pub seq: u32,
    pub event: Event,
}

impl Outbox {
    /// Opens the database below `state_dir`, creates it where it is missing and brings it up to date. Its group is
    /// that of this process, whose members may read it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a file that [`store::set_aside`] should move away.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let path = super::path(state_dir);
        let file_error = |source| StoreError::File { path: path.clone(), source };
        store::create_file(&path, Some(rustix::process::getegid().as_raw())).map_err(file_error)?;
        let connection =
            store::open_for_writing(&path).map_err(|source| StoreError::sqlite(&path, source))?;
        store::check_integrity(&connection).map_err(|source| StoreError::sqlite(&path, source))?;
        schema::DELIVERIES.apply(&connection, &path)?;
        Ok(Self { connection, path })
    }

    /// How far the store of this id was read.
    pub fn position(&self, store_id: Uuid) -> Result<Position, StoreError> {
        let read = || {
            let cursor = "SELECT change_id FROM cursors WHERE store_id = ?1";
            let found =
                self.connection.prepare_cached(cursor)?.query_row([store_id], |row| row.get(0)).optional()?;
            if let Some(change) = found {
                return Ok(Position::After(change));
            }
            let others: i64 =
                self.connection.query_row("SELECT count(*) FROM cursors", [], |row| row.get(0))?;
            Ok(if others == 0 { Position::Never } else { Position::NewStore })
        };
        read().map_err(|source| self.error(source))
    }

    /// Where attempts begin that were taken in and are not told yet, see [`TakenIn::untold_after`].
    pub fn untold_after(&self, store_id: Uuid) -> Result<Option<i64>, StoreError> {
        let read = || {
            let query = "SELECT untold_after FROM cursors WHERE store_id = ?1";
            let found =
                self.connection.prepare_cached(query)?.query_row([store_id], |row| row.get(0)).optional()?;
            Ok(found.flatten())
        };
        read().map_err(|source| self.error(source))
    }

    /// Writes a batch and the cursor in one transaction and makes it durable. What was taken in before (from another
    /// store that knew the same sessions) is not taken in again.
    pub fn take_in(&mut self, batch: &TakenIn, now: Timestamp) -> Result<(), StoreError> {
        self.write(|connection| {
            for (session, rating) in &batch.ratings {
                insert_rating(connection, *session, rating, now)?;
            }
            for (session, rating) in &batch.reassessed {
                replace_rating(connection, *session, rating, now)?;
            }
            for announcement in &batch.announcements {
                insert_announcement(connection, announcement, now)?;
            }
            for (session, known) in &batch.better_known {
                refresh(connection, *session, known)?;
            }
            connection
                .prepare_cached(
                    "INSERT INTO cursors (store_id, change_id, untold_after) VALUES (?1, ?2, ?3)
                     ON CONFLICT (store_id) DO UPDATE SET
                         change_id = excluded.change_id, untold_after = excluded.untold_after",
                )?
                .execute(params![batch.store_id, batch.cursor, batch.untold_after])
                .map(drop)
        })
    }

    /// The rating of a session.
    pub fn rating(&self, session: SessionKey) -> Result<Option<Rating>, StoreError> {
        let read = || {
            let Some(assessment) = assessment_of(&self.connection, session)? else { return Ok(None) };
            let facts: String = self
                .connection
                .prepare_cached("SELECT facts FROM assessments WHERE session_key = ?1")?
                .query_row([session.0], |row| row.get(0))?;
            // Facts as another version wrote them cost the details of a closing message, not the message.
            let facts = serde_json::from_str(&facts).unwrap_or(Facts::unknown(Why::NoData));
            Ok(Some((assessment, facts)))
        };
        read().map_err(|source| self.error(source))
    }

    /// The announcements with an id above this one that wait for a rating, oldest first.
    pub fn pending(&self, above: i64) -> Result<Vec<Pending>, StoreError> {
        let query = "SELECT id, session_key, subject, kind, seq, event FROM announcements
                     WHERE message IS NULL AND id > ?1 AND session_key IS NOT NULL ORDER BY id";
        self.read_pending(query, &above)
    }

    /// The announcements of a session that wait for its rating, oldest first.
    pub fn pending_of(&self, session: SessionKey) -> Result<Vec<Pending>, StoreError> {
        let query = "SELECT id, session_key, subject, kind, seq, event FROM announcements
                     WHERE message IS NULL AND session_key = ?1 ORDER BY id";
        self.read_pending(query, &session.0)
    }

    fn read_pending(&self, query: &str, value: &dyn ToSql) -> Result<Vec<Pending>, StoreError> {
        let read = || {
            let decode = |row: &Row<'_>| {
                let (event, kind): (String, String) = (row.get("event")?, row.get("kind")?);
                Ok(Pending {
                    id: row.get("id")?,
                    session: SessionKey(row.get("session_key")?),
                    subject: row.get("subject")?,
                    kind: ChangeKind::parse(&kind).ok_or_else(|| invalid("kind"))?,
                    seq: row.get("seq")?,
                    event: serde_json::from_str(&event).map_err(|_| invalid("event"))?,
                })
            };
            let mut statement = self.connection.prepare_cached(query)?;
            statement.query_map([value], decode)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.error(source))
    }

    /// What was decided about the beginning of a session.
    pub fn beginning(&self, session: SessionKey) -> Result<Beginning, StoreError> {
        decisions::beginning(&self.connection, "verdict", session).map_err(|source| self.error(source))
    }

    /// Puts new ratings in the place of old ones, together with the announcements that tell of them. What was announced
    /// before under the same name is not announced again.
    pub fn reassess(
        &mut self,
        ratings: &[(SessionKey, Rating)],
        announcements: &[NewAnnouncement],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|connection| {
            for (session, rating) in ratings {
                replace_rating(connection, *session, rating, now)?;
            }
            for announcement in announcements {
                insert_announcement(connection, announcement, now)?;
            }
            Ok(())
        })
    }

    /// Writes a rating together with the announcements that it finishes.
    pub fn rate(
        &mut self,
        session: SessionKey,
        rating: &Rating,
        finished: &[(i64, Finished)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|connection| {
            insert_rating(connection, session, rating, now)?;
            for (announcement, finished) in finished {
                connection
                    .prepare_cached("UPDATE announcements SET message = ?2, verdict = ?3 WHERE id = ?1")?
                    .execute(params![announcement, json(&finished.message)?, json(&finished.verdict)?])?;
                insert_deliveries(connection, *announcement, Some(session), &finished.deliveries, now)?;
            }
            Ok(())
        })
    }

    pub(super) fn write(
        &mut self,
        statements: impl Fn(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let path = &self.path;
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            statements(&transaction)?;
            transaction.commit()
        };
        run(&mut self.connection).map_err(|source| StoreError::sqlite(path, source))
    }

    pub(super) fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, source)
    }
}

fn insert_rating(
    connection: &Connection,
    session: SessionKey,
    (assessment, facts): &Rating,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO assessments (session_key, level, score, reasons, facts, at_us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (session_key) DO NOTHING",
        )?
        .execute(params![
            session.0,
            assessment.level.as_str(),
            assessment.score,
            json(&assessment.reasons)?,
            json(facts)?,
            now.as_microsecond()
        ])
        .map(drop)
}

fn replace_rating(
    connection: &Connection,
    session: SessionKey,
    rating: &Rating,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM assessments WHERE session_key = ?1")?.execute([session.0])?;
    insert_rating(connection, session, rating, now)
}

fn insert_announcement(
    connection: &Connection,
    announcement: &NewAnnouncement,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let finished = announcement.finished.as_ref();
    let message = finished.map(|finished| json(&finished.message)).transpose()?;
    let verdict = finished.map(|finished| json(&finished.verdict)).transpose()?;
    let id: Option<i64> = connection
        .prepare_cached(
            "INSERT INTO announcements (session_key, subject, kind, seq, event, message, verdict)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (subject, kind, seq) DO NOTHING RETURNING id",
        )?
        .query_row(
            params![
                announcement.session.map(|session| session.0),
                announcement.subject,
                announcement.kind.as_str(),
                announcement.seq,
                json(&announcement.event)?,
                message,
                verdict
            ],
            |row| row.get(0),
        )
        .optional()?;
    match (id, finished) {
        (Some(id), Some(finished)) => {
            insert_deliveries(connection, id, announcement.session, &finished.deliveries, now)
        }
        (None, _) | (_, None) => Ok(()),
    }
}

pub(super) fn insert_deliveries(
    connection: &Connection,
    announcement: i64,
    session: Option<SessionKey>,
    deliveries: &[NewDelivery],
    now: Timestamp,
) -> rusqlite::Result<()> {
    if deliveries.is_empty() {
        connection
            .prepare_cached("UPDATE announcements SET nowhere_us = ?2 WHERE id = ?1")?
            .execute(params![announcement, now.as_microsecond()])?;
    }
    for delivery in deliveries {
        let (state, next) = match delivery.held_until {
            Some(until) => (DeliveryState::Held, until),
            None => (DeliveryState::Queued, now),
        };
        connection
            .prepare_cached(
                "INSERT INTO deliveries
                     (id, announcement, session_key, sink, state, attempts, next_us, queued_us, message)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6, ?7)",
            )?
            .execute(params![
                delivery.id,
                announcement,
                session.map(|session| session.0),
                delivery.sink,
                state.as_str(),
                next.as_microsecond(),
                delivery.message.as_ref().map(json).transpose()?
            ])?;
        if let (Some(session), None) = (session, delivery.held_until) {
            held::release_session(connection, session.0, &delivery.sink, now)?;
        }
    }
    Ok(())
}

/// Puts what is known now into the announcements of a session that have no message yet.
fn refresh(connection: &Connection, session: SessionKey, known: &Subject) -> rusqlite::Result<()> {
    let mut waiting = connection
        .prepare_cached("SELECT id, event FROM announcements WHERE session_key = ?1 AND message IS NULL")?;
    let waiting: Vec<(i64, String)> = waiting
        .query_map([session.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, event) in waiting {
        let event: Event = serde_json::from_str(&event).map_err(|_| invalid("event"))?;
        connection
            .prepare_cached("UPDATE announcements SET event = ?2 WHERE id = ?1")?
            .execute(params![id, json(&event.with_subject(known.clone()))?])?;
    }
    Ok(())
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
