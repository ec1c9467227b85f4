//! What was decided about the changes of a session, for the command line.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{DeliveryRow, Reader, delivery_row, invalid};
use crate::notify::route::{Allowed, Beginning, Verdict};
use crate::session::{ChangeKind, SessionKey};
use crate::store::StoreError;

/// An announcement, what was decided about it and what became of that.
#[derive(Debug, Clone)]
pub struct Decision {
    pub kind: ChangeKind,
    /// Number of the change within its session.
    pub seq: u32,
    /// Whether it is finished; before that, nothing is decided.
    pub is_finished: bool,
    /// `None` where a version decided that kept no verdicts.
    pub verdict: Option<Verdict>,
    /// By sink.
    pub deliveries: Vec<DeliveryRow>,
}

impl Reader {
    /// The announcements of one session, in the order of its changes.
    pub fn decisions_of(&self, key: SessionKey) -> Result<Vec<Decision>, StoreError> {
        let read = |connection: &Connection| {
            let mut announcements = connection.prepare_cached(&format!(
                "SELECT id, kind, seq, message IS NOT NULL AS is_finished, {} AS verdict FROM announcements
                 WHERE subject = ?1 ORDER BY id",
                self.verdict_column
            ))?;
            let mut deliveries = connection.prepare_cached(
                "SELECT d.id, d.sink, a.kind, d.state, d.attempts, d.last_error, d.next_us, d.finished_us
                 FROM deliveries d JOIN announcements a ON a.id = d.announcement
                 WHERE d.session_key = ?1 AND d.announcement = ?2 ORDER BY d.sink",
            )?;
            let mut found = Vec::new();
            let mut rows = announcements.query([key.to_string()])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get("id")?;
                let kind: String = row.get("kind")?;
                let deliveries = deliveries.query_map((key.0, id), delivery_row)?;
                found.push(Decision {
                    kind: ChangeKind::parse(&kind).ok_or_else(|| invalid("kind"))?,
                    seq: row.get("seq")?,
                    is_finished: row.get("is_finished")?,
                    verdict: verdict(row)?,
                    deliveries: deliveries.collect::<rusqlite::Result<_>>()?,
                });
            }
            Ok(found)
        };
        self.database.read(read)
    }

    /// By which entry of the allowlist a session was allowed, if by any.
    pub fn allowed(&self, key: SessionKey) -> Result<Option<Allowed>, StoreError> {
        match self.database.read(|connection| beginning(connection, self.verdict_column, key))? {
            Beginning::Allowed(entry) => Ok(Some(entry)),
            Beginning::NotAllowed | Beginning::Undecided => Ok(None),
        }
    }
}

/// What was decided about the session when something of it was finished first. `column` is where verdicts are.
pub(super) fn beginning(
    connection: &Connection,
    column: &str,
    key: SessionKey,
) -> rusqlite::Result<Beginning> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {column} AS verdict FROM announcements
         WHERE subject = ?1 AND message IS NOT NULL ORDER BY seq LIMIT 1"
    ))?;
    let found = statement.query_row([key.to_string()], verdict).optional()?;
    Ok(match found {
        None => Beginning::Undecided,
        Some(verdict) => Beginning::of(verdict.as_ref()),
    })
}

fn verdict(row: &Row<'_>) -> rusqlite::Result<Option<Verdict>> {
    let text: Option<String> = row.get("verdict")?;
    // One that another version wrote is worth less than the rest.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}
