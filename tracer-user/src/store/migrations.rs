//! The schema of `sessions.db`, as a list of steps that is only ever appended to.
//!
//! `PRAGMA user_version` counts the steps that were taken. All missing steps run in one exclusive transaction.

use std::path::Path;

use rusqlite::Connection;
use uuid::Uuid;

use super::StoreError;

type Step = fn(&Connection) -> rusqlite::Result<()>;

const STEPS: &[Step] = &[first];

/// Sessions and changes. Times are microseconds since 1970 UTC. Addresses are 16 bytes, IPv4 as `::ffff:a.b.c.d`, so
/// that a network is a range of the index.
fn first(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
         CREATE TABLE sessions (
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             key BLOB NOT NULL UNIQUE,
             host TEXT NOT NULL,
             boot_id TEXT NOT NULL,
             user TEXT,
             uid INTEGER,
             peer_address BLOB,
             peer_port INTEGER,
             local_address BLOB,
             local_port INTEGER,
             sshd_pid INTEGER NOT NULL,
             sshd_start_boot_ns INTEGER NOT NULL,
             sshd_exe TEXT,
             tty TEXT,
             opened_us INTEGER NOT NULL,
             closed_us INTEGER,
             end TEXT,
             last_seq INTEGER NOT NULL
         ) STRICT;
         CREATE INDEX sessions_open ON sessions (id) WHERE closed_us IS NULL;
         CREATE INDEX sessions_by_user ON sessions (user, id);
         CREATE INDEX sessions_by_address ON sessions (peer_address, id);
         CREATE INDEX sessions_by_time ON sessions (opened_us);
         CREATE TABLE changes (
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             session_id INTEGER REFERENCES sessions (id),
             seq INTEGER NOT NULL,
             kind TEXT NOT NULL,
             at_us INTEGER NOT NULL,
             count INTEGER
         ) STRICT;
         CREATE INDEX changes_by_session ON changes (session_id, seq);",
    )?;
    connection.execute("INSERT INTO meta (key, value) VALUES ('store_id', ?1)", [store_id()?])?;
    Ok(())
}

/// Brings the schema up to date.
pub(super) fn apply(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    check_known(connection, path)?;
    let migrate = || {
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        let taken = usize::try_from(version(connection)?).unwrap_or(0);
        for step in STEPS.iter().skip(taken) {
            step(connection)?;
        }
        connection.pragma_update(None, "user_version", STEPS.len() as i64)?;
        connection.execute_batch("COMMIT")
    };
    migrate().map_err(|source| StoreError::sqlite(path, source))
}

/// Refuses a database that a newer version wrote.
fn check_known(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let known = STEPS.len() as i64;
    let found = version(connection).map_err(|source| StoreError::sqlite(path, source))?;
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Refuses a database that cannot be read with this program's queries: the writer has created it, but not filled it
/// yet, or a newer version wrote it.
pub(super) fn check_readable(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    match check_known(connection, path)? {
        0 => Err(StoreError::Missing { path: path.to_owned() }),
        _ => Ok(()),
    }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// A random identity for a new database: version 4 layout over the kernel's random bytes.
fn store_id() -> rusqlite::Result<Uuid> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}
