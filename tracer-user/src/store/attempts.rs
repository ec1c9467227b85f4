//! Rows of `attempts`: connections that ended without a session, one each.
//!
//! They and their changes are the one thing that is forgotten: whoever can connect can make them, so only the newest
//! are kept. What was kept has the change by which it was told; an attempt that is written again leaves no second one.

use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use uuid::Uuid;

use super::changes;
use super::sessions::{address_bytes, endpoint, invalid, timestamp};
use crate::session::{Attempt, AttemptKey, ChangeKind, Reason};

/// Which attempts to read. `AttemptFilter::default()` is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttemptFilter {
    /// Only attempts from this network; an address is a network of one.
    pub network: Option<IpNet>,
    /// Only attempts that ended at this time or later.
    pub since: Option<Timestamp>,
    /// Only attempts that ended before this time.
    pub until: Option<Timestamp>,
    /// Only attempts of changes after the first of these, up to the second.
    pub changes: Option<(i64, i64)>,
}

pub(super) fn insert(connection: &Connection, attempt: &Attempt) -> rusqlite::Result<()> {
    let mut known = connection.prepare_cached("SELECT 1 FROM attempts WHERE key = ?1")?;
    if known.exists([attempt.key.0])? {
        return Ok(());
    }
    changes::insert(connection, None, 0, ChangeKind::Attempt, attempt.ended_at.as_microsecond(), None)?;
    let change_id = connection.last_insert_rowid();
    let mut statement = connection.prepare_cached(
        "INSERT INTO attempts (change_id, key, host, peer_address, peer_port, local_address, local_port, sshd_pid,
             began_us, ended_us, tried, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let tried = serde_json::to_string(&attempt.tried)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let values = params![
        change_id,
        attempt.key.0,
        attempt.host,
        address_bytes(attempt.peer.ip()),
        attempt.peer.port(),
        attempt.local.map(|local| address_bytes(local.ip())),
        attempt.local.map(|local| local.port()),
        attempt.sshd_pid,
        attempt.began_at.as_microsecond(),
        attempt.ended_at.as_microsecond(),
        tried,
        attempt.reason.as_str(),
    ];
    statement.execute(values).map(drop)
}

/// Forgets all but the newest `keep` attempts, with their changes.
pub(super) fn prune(connection: &Connection, keep: u32) -> rusqlite::Result<()> {
    const OLD: &str = "id <= (SELECT seq FROM sqlite_sequence WHERE name = 'attempts') - ?1";
    let mut changes = connection.prepare_cached(&format!(
        "DELETE FROM changes WHERE id IN (SELECT change_id FROM attempts WHERE {OLD})"
    ))?;
    changes.execute([keep])?;
    connection.prepare_cached(&format!("DELETE FROM attempts WHERE {OLD}"))?.execute([keep]).map(drop)
}

/// The attempt that a change is about; `None` if it is forgotten.
pub(super) fn of_change(connection: &Connection, change_id: i64) -> rusqlite::Result<Option<Attempt>> {
    let mut statement = connection.prepare_cached("SELECT * FROM attempts WHERE change_id = ?1")?;
    statement.query_row([change_id], decode).optional()
}

/// Hands every attempt that matches to `each`, oldest first, with the number of its change.
pub(super) fn for_each(
    connection: &Connection,
    filter: &AttemptFilter,
    mut each: impl FnMut(i64, Attempt),
) -> rusqlite::Result<()> {
    let mut query = "SELECT * FROM attempts WHERE TRUE".to_owned();
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    if let Some(network) = filter.network {
        query += " AND peer_address BETWEEN ? AND ?";
        values.push(Box::new(address_bytes(network.network())));
        values.push(Box::new(address_bytes(network.broadcast())));
    }
    if let Some(since) = filter.since {
        query += " AND ended_us >= ?";
        values.push(Box::new(since.as_microsecond()));
    }
    if let Some(until) = filter.until {
        query += " AND ended_us < ?";
        values.push(Box::new(until.as_microsecond()));
    }
    if let Some((after, until)) = filter.changes {
        query += " AND change_id > ? AND change_id <= ?";
        values.push(Box::new(after));
        values.push(Box::new(until));
    }
    query += " ORDER BY id";
    let mut statement = connection.prepare(&query)?;
    let mut rows = statement.query(params_from_iter(&values))?;
    while let Some(row) = rows.next()? {
        each(row.get("change_id")?, decode(row)?);
    }
    Ok(())
}

fn decode(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let tried: String = row.get("tried")?;
    let reason: String = row.get("reason")?;
    Ok(Attempt {
        key: AttemptKey(row.get::<_, Uuid>("key")?),
        host: row.get("host")?,
        peer: endpoint(row, "peer_address", "peer_port")?.ok_or_else(|| invalid("peer_address"))?,
        local: endpoint(row, "local_address", "local_port")?,
        sshd_pid: row.get("sshd_pid")?,
        began_at: timestamp(row.get("began_us")?)?,
        ended_at: timestamp(row.get("ended_us")?)?,
        tried: serde_json::from_str(&tried).map_err(|_| invalid("tried"))?,
        reason: Reason::parse(&reason).ok_or_else(|| invalid("reason"))?,
    })
}
