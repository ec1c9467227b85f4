//! Rows of `foreign_sshd`: what belongs to a change of that kind.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::changes;
use super::sessions::invalid;
use crate::event::Doubt;
use crate::session::{ChangeKind, ForeignSshd, Identity, SessionKey};

/// Records a start, unless that was done before.
pub(super) fn record(
    connection: &Connection,
    key: SessionKey,
    at: Timestamp,
    foreign: &ForeignSshd,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM foreign_sshd WHERE key = ?1")?;
    if statement.query_row([key.0], |_| Ok(())).optional()?.is_some() {
        return Ok(());
    }
    changes::insert(connection, None, 0, ChangeKind::ForeignSshd, at.as_microsecond(), None)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO foreign_sshd (change_id, key, run_by_pid, run_by_uid, run_by_user, image, doubt)
         VALUES (last_insert_rowid(), ?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let ForeignSshd { pid, run_by, exe, doubt } = foreign;
    statement.execute(params![key.0, pid, run_by.uid, run_by.user, exe, doubt.as_str()]).map(drop)
}

/// That of a change that was joined with it.
pub(super) fn decode(row: &Row<'_>) -> rusqlite::Result<Option<ForeignSshd>> {
    let Some(pid) = row.get("run_by_pid")? else {
        return Ok(None);
    };
    let doubt: String = row.get("doubt")?;
    Ok(Some(ForeignSshd {
        pid,
        run_by: Identity { uid: row.get("run_by_uid")?, user: row.get("run_by_user")? },
        exe: row.get("image")?,
        doubt: Doubt::parse(&doubt).ok_or_else(|| invalid("doubt"))?,
    }))
}
