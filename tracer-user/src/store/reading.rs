//! Databases that are only read, by roles and users who may not write them.
//!
//! A question is answered within one transaction: all of its statements see the same state, and only its begin can meet a
//! writer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ffi::SQLITE_READONLY_RECOVERY;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};

use super::schema::Schema;
use super::{StoreError, connect};

/// How often a transaction is begun before what SQLite says of the log is believed.
///
/// Who may not write the shared memory of a log sees its header while a writer changes it, finds that writer gone a
/// moment later, and takes the header for one that a crash has left (`walIndexReadHdr` of SQLite's `wal.c`). The next
/// look at it finds it whole; only one that a crash did leave stays, until the writer starts again.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// A connection that only reads.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// Opens a database for any user who may read the file.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for one that its writer has not filled yet, [`StoreError::Newer`] for one of a newer version,
    /// [`StoreError::Forbidden`] without permission.
    pub(crate) fn open(path: &Path, schema: &Schema) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = connect(path, flags).map_err(|source| match source.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                StoreError::Forbidden { path: path.to_owned() }
            }
            Some(_) | None => StoreError::sqlite(path, source),
        })?;
        let database = Self { connection, path: path.to_owned() };
        let transaction = database.begin().map_err(|source| StoreError::sqlite(path, source))?;
        schema.check_readable(&transaction, path)?;
        drop(transaction);
        Ok(database)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Answers a question within one transaction. Questions do not nest.
    pub(crate) fn read<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let answer = self.begin().and_then(|transaction| {
            let answer = question(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        });
        answer.map_err(|source| StoreError::sqlite(&self.path, source))
    }

    /// A transaction that has begun to read: SQLite itself waits with that for the first statement.
    fn begin(&self) -> rusqlite::Result<Transaction<'_>> {
        let begin = || {
            let transaction = self.connection.unchecked_transaction()?;
            transaction.prepare_cached("SELECT 1 FROM sqlite_schema")?.exists([])?;
            Ok(transaction)
        };
        for _ in 1..TRIES {
            match begin() {
                Err(error) if is_torn(&error) => std::thread::sleep(BETWEEN_TRIES),
                begun => return begun,
            }
        }
        begin()
    }
}

/// Whether the header of the log was not whole.
fn is_torn(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_READONLY_RECOVERY)
}
