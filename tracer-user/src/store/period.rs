//! What happened within a time, counted.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::changes;

/// Counts of what happened within a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Happened {
    /// User ids gained inside of sessions.
    pub gained: u64,
    /// Starts of an sshd that is not this host's.
    pub findings: u64,
    /// Kernel events that were lost.
    pub events_lost: u64,
    /// Sessions that are open now.
    pub open: u64,
}

pub(super) fn happened(
    connection: &Connection,
    from: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Happened> {
    let (from_us, until_us) = (from.as_microsecond(), until.as_microsecond());
    // Changes have no index of their times; they are stored in the order in which they became known.
    let after = changes::last_before(connection, from_us)?;
    let of_changes = |table: &str| {
        let query = format!(
            "SELECT count(*) FROM {table} JOIN changes ON id = change_id
             WHERE change_id > ?1 AND at_us >= ?2 AND at_us < ?3"
        );
        connection.prepare_cached(&query)?.query_row(params![after, from_us, until_us], |row| row.get(0))
    };
    let lost: Option<i64> = connection
        .prepare_cached(
            "SELECT sum(count) FROM changes WHERE kind = 'events lost' AND at_us >= ?1 AND at_us < ?2",
        )?
        .query_row([from_us, until_us], |row| row.get(0))?;
    let open = "SELECT count(*) FROM sessions WHERE closed_us IS NULL";
    Ok(Happened {
        gained: of_changes("escalations")?,
        findings: of_changes("foreign_sshd")?,
        events_lost: lost.unwrap_or(0).unsigned_abs(),
        open: connection.prepare_cached(open)?.query_row([], |row| row.get(0))?,
    })
}
