//! Rows of `changes`: append-only, in the order in which they were stored.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::sessions::{invalid, timestamp};
use super::{escalations, foreign};
use crate::session::{Change, ChangeKind, LossCounter};

const COLUMNS: &str = "SELECT id, changes.session_id AS session_id, seq, kind, at_us, count, \
                       pid, from_uid, from_user, to_uid, to_user, exe, \
                       run_by_pid, run_by_uid, run_by_user, image, doubt \
                       FROM changes LEFT JOIN escalations ON escalations.change_id = id \
                       LEFT JOIN foreign_sshd ON foreign_sshd.change_id = id";

pub(super) fn insert(
    connection: &Connection,
    session_id: Option<i64>,
    seq: u32,
    kind: ChangeKind,
    at_us: i64,
    count: Option<i64>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO changes (session_id, seq, kind, at_us, count) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    statement.execute(params![session_id, seq, kind.as_str(), at_us, count]).map(drop)
}

/// Keeps what a counter shows. Says whether that is more than what was kept.
pub(super) fn count_loss(connection: &Connection, counter: &LossCounter) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO loss_counters (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > value",
    )?;
    let value = i64::try_from(counter.value).unwrap_or(i64::MAX);
    Ok(statement.execute(params![counter.name, value])? > 0)
}

/// What was kept of a counter; 0 for one that never showed anything.
pub(super) fn losses_counted(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let query = "SELECT value FROM loss_counters WHERE name = ?1";
    let value: Option<i64> = connection.query_row(query, [name], |row| row.get(0)).optional()?;
    Ok(value.unwrap_or(0).unsigned_abs())
}

/// How many events were lost since then, and when the last ones were.
pub(super) fn losses_since(
    connection: &Connection,
    at_us: i64,
) -> rusqlite::Result<(u64, Option<Timestamp>)> {
    let query = "SELECT sum(count), max(at_us) FROM changes WHERE kind = 'events lost' AND at_us >= ?1";
    connection.query_row(query, [at_us], |row| {
        let count: Option<i64> = row.get(0)?;
        let last: Option<i64> = row.get(1)?;
        Ok((count.unwrap_or(0).unsigned_abs(), last.map(timestamp).transpose()?))
    })
}

pub(super) fn after(connection: &Connection, cursor: i64, limit: u32) -> rusqlite::Result<Vec<Change>> {
    let mut statement =
        connection.prepare_cached(&format!("{COLUMNS} WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
    statement.query_map(params![cursor, limit], decode)?.collect()
}

/// Walks back from the newest change, so it is quick where the newest are what is asked for.
pub(super) fn last_before(connection: &Connection, at_us: i64) -> rusqlite::Result<i64> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM changes WHERE at_us < ?1 ORDER BY id DESC LIMIT 1")?;
    Ok(statement.query_row([at_us], |row| row.get(0)).optional()?.unwrap_or(0))
}

pub(super) fn of_session(connection: &Connection, session_id: i64) -> rusqlite::Result<Vec<Change>> {
    let mut statement =
        connection.prepare_cached(&format!("{COLUMNS} WHERE changes.session_id = ?1 ORDER BY seq"))?;
    statement.query_map([session_id], decode)?.collect()
}

/// The newest starts of an sshd that is not this host's, the newest first.
pub(super) fn foreign(connection: &Connection, limit: Option<u32>) -> rusqlite::Result<Vec<Change>> {
    // By the small table: the changes may be millions.
    let mut statement = connection.prepare_cached(&format!(
        "{COLUMNS} WHERE id IN (SELECT change_id FROM foreign_sshd ORDER BY change_id DESC LIMIT ?1) ORDER BY id DESC"
    ))?;
    // A negative limit is SQLite's "no limit".
    statement.query_map([limit.map_or(-1, i64::from)], decode)?.collect()
}

fn decode(row: &Row<'_>) -> rusqlite::Result<Change> {
    let kind: String = row.get("kind")?;
    Ok(Change {
        id: row.get("id")?,
        session_id: row.get("session_id")?,
        seq: row.get("seq")?,
        kind: ChangeKind::parse(&kind).ok_or_else(|| invalid("kind"))?,
        at: timestamp(row.get("at_us")?)?,
        count: row.get("count")?,
        escalation: escalations::decode(row)?,
        foreign: foreign::decode(row)?,
    })
}
