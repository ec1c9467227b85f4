//! Schemas as lists of steps that are only ever appended to.
//!
//! `PRAGMA user_version` counts the steps that a database has taken. All missing ones run in one exclusive transaction:
//! after a crash in between, none of them was taken.

use std::path::Path;

use rusqlite::Connection;

use super::StoreError;

/// The schema of one kind of database: each step takes it from the version of its index to the next.
pub(crate) struct Schema {
    pub(crate) steps: &'static [&'static str],
}

impl Schema {
    /// Brings a database up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for one that a newer version wrote: it is left alone.
    pub(crate) fn apply(&self, connection: &Connection, path: &Path) -> Result<(), StoreError> {
        let taken = self.steps_taken(connection, path)?;
        let migrate = || {
            if taken == self.steps.len() {
                return Ok(());
            }
            connection.execute_batch("BEGIN EXCLUSIVE")?;
            for step in self.steps.iter().skip(taken) {
                connection.execute_batch(step)?;
            }
            connection.pragma_update(None, "user_version", self.steps.len() as i64)?;
            connection.execute_batch("COMMIT")
        };
        migrate().map_err(|source| StoreError::sqlite(path, source))
    }

    /// Refuses a database that this program's queries cannot read: its writer has created it, but not filled it yet
    /// ([`StoreError::Missing`]), or a newer version wrote it ([`StoreError::Newer`]).
    pub(crate) fn check_readable(&self, connection: &Connection, path: &Path) -> Result<(), StoreError> {
        match self.steps_taken(connection, path)? {
            0 => Err(StoreError::Missing { path: path.to_owned() }),
            _ => Ok(()),
        }
    }

    fn steps_taken(&self, connection: &Connection, path: &Path) -> Result<usize, StoreError> {
        let known = self.steps.len() as i64;
        let found: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|source| StoreError::sqlite(path, source))?;
        if found > known {
            return Err(StoreError::Newer { path: path.to_owned(), found, known });
        }
        // Negative only if somebody else wrote it; then every step fails on its tables, and nothing is lost.
        Ok(usize::try_from(found).unwrap_or(0))
    }
}
