//! Rows of `escalations`: what belongs to a change of that kind.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::changes;
use super::sessions::id_and_seq;
use crate::session::{ChangeKind, Escalation, Identity, SessionKey};

/// Records a gain, unless that was done before. What a session has gained last is kept with it; root's user id stays.
pub(super) fn record(
    connection: &Connection,
    key: SessionKey,
    at: Timestamp,
    boot_ns: u64,
    escalation: &Escalation,
    count: u64,
) -> rusqlite::Result<()> {
    let Escalation { pid, from, to, exe } = escalation;
    let boot_ns = i64::try_from(boot_ns).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "UPDATE sessions SET last_seq = last_seq + 1,
             escalated_to = CASE escalated_to WHEN 0 THEN 0 ELSE ?2 END
         WHERE key = ?1 AND NOT EXISTS (
             SELECT 1 FROM escalations
             WHERE session_id = sessions.id AND boot_ns = ?3 AND pid = ?4 AND to_uid = ?2)
         RETURNING id, last_seq",
    )?;
    let values = params![key.0, to.uid, boot_ns, pid];
    let Some((session_id, seq)) = statement.query_row(values, id_and_seq).optional()? else {
        return Ok(());
    };
    let count = (count > 1).then(|| i64::try_from(count).unwrap_or(i64::MAX));
    changes::insert(connection, Some(session_id), seq, ChangeKind::Escalated, at.as_microsecond(), count)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO escalations
             (change_id, session_id, boot_ns, pid, from_uid, from_user, to_uid, to_user, exe)
         VALUES (last_insert_rowid(), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![session_id, boot_ns, pid, from.uid, from.user, to.uid, to.user, exe]).map(drop)
}

/// The escalation of a change that was joined with it.
pub(super) fn decode(row: &Row<'_>) -> rusqlite::Result<Option<Escalation>> {
    let Some(pid) = row.get("pid")? else {
        return Ok(None);
    };
    Ok(Some(Escalation {
        pid,
        from: Identity { uid: row.get("from_uid")?, user: row.get("from_user")? },
        to: Identity { uid: row.get("to_uid")?, user: row.get("to_user")? },
        exe: row.get("exe")?,
    }))
}
