//! `sessions.db`: sessions and their changes. The trace role is its only writer.
//!
//! Promises:
//! - A change is written in the same transaction as the session row that it changes; a commit that returned is on
//!   the disk (`synchronous=FULL`), a commit that did not return has left nothing.
//! - Many updates share one transaction (group commit): whatever arrived while the last one was syncing.
//! - Readers never block the writer, need no write permission, and can read while the writer lives, after it was
//!   killed and after it closed cleanly: the `-wal` and `-shm` files are kept.
//! - A damaged database is set aside under another name, never deleted; a new one takes its place.
//! - A database of a newer version is refused, not touched.
//!
//! A reader that stays in a transaction for ever keeps the write-ahead log from being folded back; the writer
//! reports a log that has grown past [`WAL_WARN_BYTES`].

mod attempts;
mod changes;
mod escalations;
mod foreign;
mod history;
mod migrations;
mod period;
pub(crate) mod reading;
pub(crate) mod schema;
mod sessions;

use std::fs::{self, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior};
use thiserror::Error;
use uuid::Uuid;

pub use self::attempts::AttemptFilter;
pub use self::history::{Question, Recorded, Visit};
pub use self::period::Happened;
use self::reading::Database;
pub use self::sessions::{FEW, Filter};
use crate::config::Trace;
use crate::session::{Attempt, Change, Opening, Session, SessionKey, Update};

/// Name of the database within the state directory.
pub const FILE_NAME: &str = "sessions.db";

/// Size of the write-ahead log above which something must be stuck: sixteen times SQLite's own checkpoint size.
pub const WAL_WARN_BYTES: u64 = 64 << 20;

/// How long a connection waits for another one's lock. The writer is alone; readers only meet it in a recovery.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements that each connection keeps: more than a role has, so that none is prepared for every login.
const STATEMENTS: usize = 128;

/// What can go wrong with a database, as far as callers decide differently.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error(
        "there is no database {path} yet: it appears when `login-tracer trace` or `run` has been started"
    )]
    Missing { path: PathBuf },
    #[error("no permission to read {path}: run as root, or as a member of the group that owns it")]
    Forbidden { path: PathBuf },
    #[error("the database {path} is damaged")]
    Damaged { path: PathBuf, source: rusqlite::Error },
    #[error(
        "the database {path} has version {found}, this program knows versions up to {known}: use a newer login-tracer"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("cannot use the file {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot use the database {path}")]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

impl StoreError {
    /// Sorts an SQLite error into what the caller has to decide on.
    pub(crate) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { path, source },
            Some(_) | None => Self::Sqlite { path, source },
        }
    }
}

/// The one connection that writes.
#[derive(Debug)]
pub struct Writer {
    connection: Connection,
    path: PathBuf,
    keep_attempts: u32,
}

impl Writer {
    /// Opens the database in `dir`, creates it where it is missing and brings it up to date. With a group, members
    /// of it may read.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a file that [`set_aside`] should move away; [`StoreError::Newer`] for one that
    /// a newer version wrote.
    pub fn open(dir: &Path, group: Option<u32>) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        create_file(&path, group).map_err(|source| StoreError::File { path: path.clone(), source })?;
        let connection = open_for_writing(&path).map_err(|source| StoreError::sqlite(&path, source))?;
        check_integrity(&connection).map_err(|source| StoreError::Damaged { path: path.clone(), source })?;
        migrations::SESSIONS.apply(&connection, &path)?;
        Ok(Self { connection, path, keep_attempts: Trace::DEFAULT_KEEP_ATTEMPTS })
    }

    /// Keeps so many attempts, the newest, instead of the default.
    #[must_use]
    pub fn keeping_attempts(self, keep_attempts: u32) -> Self {
        Self { keep_attempts, ..self }
    }

    /// Writes all updates in one transaction and makes it durable.
    ///
    /// # Errors
    /// Nothing was written: the caller keeps the updates and tries again, after [`set_aside`] if it is damaged.
    pub fn commit(&mut self, updates: &[Update]) -> Result<(), StoreError> {
        let path = &self.path;
        let mut write = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for update in updates {
                sessions::apply(&transaction, update)?;
            }
            if updates.iter().any(|update| matches!(update, Update::Attempt(_))) {
                attempts::prune(&transaction, self.keep_attempts)?;
            }
            transaction.commit()
        };
        write().map_err(|source| StoreError::sqlite(path, source))
    }

    /// The sessions that are open, with what is needed to find their processes again.
    pub fn live_sessions(&self) -> Result<Vec<Opening>, StoreError> {
        sessions::live(&self.connection).map_err(|source| StoreError::sqlite(&self.path, source))
    }

    /// What a counter of lost events showed when it was recorded last.
    pub fn losses_counted(&self, counter: &str) -> Result<u64, StoreError> {
        changes::losses_counted(&self.connection, counter)
            .map_err(|source| StoreError::sqlite(&self.path, source))
    }

    /// Size of the write-ahead log in bytes.
    pub fn wal_bytes(&self) -> u64 {
        fs::metadata(with_suffix(&self.path, "-wal")).map_or(0, |metadata| metadata.len())
    }
}

/// A connection that only reads.
#[derive(Debug)]
pub struct Reader {
    database: Database,
    inode: (u64, u64),
}

impl Reader {
    /// Opens the database in `dir`, writing nothing.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        let inode = inode_of(&path).map_err(|source| unreadable(&path, source))?;
        Ok(Self { database: Database::open(&path, &migrations::SESSIONS)?, inode })
    }

    /// Whether another file has taken the place of the one that is open: it was damaged and set aside.
    pub fn is_replaced(&self) -> bool {
        inode_of(self.database.path()).is_ok_and(|inode| inode != self.inode)
    }

    /// The identity of this database, chosen at its creation. Row numbers mean something only together with it.
    pub fn store_id(&self) -> Result<Uuid, StoreError> {
        let query = "SELECT value FROM meta WHERE key = 'store_id'";
        self.database.read(|connection| connection.query_row(query, [], |row| row.get(0)))
    }

    /// The sessions that match, newest first.
    pub fn sessions(&self, filter: &Filter) -> Result<Vec<Session>, StoreError> {
        self.database.read(|connection| sessions::select(connection, filter))
    }

    /// Hands every session that began from `from` on and before `until` to `each`, oldest first.
    pub fn for_each_session(
        &self,
        from: Timestamp,
        until: Timestamp,
        each: impl FnMut(Session),
    ) -> Result<(), StoreError> {
        self.database.read(|connection| sessions::for_each_opened(connection, from, until, each))
    }

    /// What else happened from `from` on and before `until`, counted.
    pub fn happened(&self, from: Timestamp, until: Timestamp) -> Result<Happened, StoreError> {
        self.database.read(|connection| period::happened(connection, from, until))
    }

    /// One session by its row number.
    pub fn session(&self, id: i64) -> Result<Option<Session>, StoreError> {
        self.database.read(|connection| sessions::by_id(connection, id).optional())
    }

    /// One session by its stable identity.
    pub fn session_by_key(&self, key: SessionKey) -> Result<Option<Session>, StoreError> {
        self.database.read(|connection| sessions::by_key(connection, key).optional())
    }

    /// Hands every attempt that matches to `each`, oldest first.
    pub fn for_each_attempt(
        &self,
        filter: &AttemptFilter,
        mut each: impl FnMut(Attempt),
    ) -> Result<(), StoreError> {
        self.for_each_attempt_change(filter, |_, attempt| each(attempt))
    }

    /// The same, with the number of the change that each is.
    pub fn for_each_attempt_change(
        &self,
        filter: &AttemptFilter,
        each: impl FnMut(i64, Attempt),
    ) -> Result<(), StoreError> {
        self.database.read(|connection| attempts::for_each(connection, filter, each))
    }

    /// The attempt that a change is about; `None` if it is forgotten.
    pub fn attempt_of_change(&self, change_id: i64) -> Result<Option<Attempt>, StoreError> {
        self.database.read(|connection| attempts::of_change(connection, change_id))
    }

    /// At most `limit` changes with an id above `cursor`, oldest first.
    pub fn changes_after(&self, cursor: i64, limit: u32) -> Result<Vec<Change>, StoreError> {
        self.database.read(|connection| changes::after(connection, cursor, limit))
    }

    /// The id of the newest change that happened before this time; 0 where there is none.
    pub fn last_change_before(&self, at: Timestamp) -> Result<i64, StoreError> {
        self.database.read(|connection| changes::last_before(connection, at.as_microsecond()))
    }

    /// The sshds that were started and are not this host's, newest first, at most `limit`.
    pub fn foreign_sshds(&self, limit: Option<u32>) -> Result<Vec<Change>, StoreError> {
        self.database.read(|connection| changes::foreign(connection, limit))
    }

    /// How many kernel events were lost since then, and when the last ones were, if any.
    pub fn losses_since(&self, at: Timestamp) -> Result<Option<(u64, Timestamp)>, StoreError> {
        let (count, last) =
            self.database.read(|connection| changes::losses_since(connection, at.as_microsecond()))?;
        Ok(last.map(|last| (count, last)))
    }

    /// The changes of one session, oldest first.
    pub fn changes_of(&self, session_id: i64) -> Result<Vec<Change>, StoreError> {
        self.database.read(|connection| changes::of_session(connection, session_id))
    }

    /// What was recorded before a login.
    pub fn recorded_before(&self, question: &Question<'_>) -> Result<Recorded, StoreError> {
        self.database.read(|connection| history::recorded(connection, question))
    }

    /// The row numbers of the sessions from an address that were not over at a time, newest first; of the last `limit` from
    /// there.
    pub fn open_from(&self, address: IpAddr, at: Timestamp, limit: u32) -> Result<Vec<i64>, StoreError> {
        self.database.read(|connection| history::open_from(connection, address, at, limit))
    }

    /// The address from which somebody failed to log in, if that is what the change of this id tells.
    pub fn failed_from(&self, change: i64) -> Result<Option<IpAddr>, StoreError> {
        self.database.read(|connection| history::failed_from(connection, change))
    }

    /// Whether the structure of the whole file is sound; reads all of it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first finding.
    pub fn check(&self) -> Result<(), StoreError> {
        self.database.read(check_integrity)
    }
}

/// Moves a damaged database at `path` and its companions out of the way and returns its new name.
///
/// The new name is `<name>.damaged-<UTC time>`, so that an administrator finds it beside the new one.
pub fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let suffix = format!(".damaged-{}", now.strftime("%Y%m%dT%H%M%S%.6fZ"));
    let target = with_suffix(path, &suffix);
    // The companions first: a database without its log is still a database, a log without one is none.
    for companion in ["-wal", "-shm", ""] {
        let (from, to) = (with_suffix(path, companion), with_suffix(&target, companion));
        match fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::File { path: from, source }),
        }
    }
    Ok(target)
}

/// Creates the file with its permissions before SQLite opens it: `-wal` and `-shm` inherit them.
///
/// A new file gets its name only when its group may read it, so that no reader ever finds it closed.
pub(crate) fn create_file(path: &Path, group: Option<u32>) -> io::Result<()> {
    let open = |path: &Path| {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)
    };
    let adapt = |file: &fs::File| {
        if group.is_some() {
            fchown(file, None, group)?;
        }
        file.set_permissions(fs::Permissions::from_mode(if group.is_some() { 0o640 } else { 0o600 }))
    };
    if path.symlink_metadata().is_ok() {
        return adapt(&open(path)?);
    }
    let unfinished = with_suffix(path, ".new");
    adapt(&open(&unfinished)?)?;
    fs::rename(&unfinished, path)
}

/// A connection for the one writer of a database: write-ahead log, every commit synced.
pub(crate) fn open_for_writing(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = connect(path, flags)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// What all connections have in common. `-wal` and `-shm` are kept when the last one closes: without them a reader who may
/// not write cannot open the database (SQLite would have to create them). A plan holds for all values: SQLite would plan
/// each statement with a `LIMIT ?` anew for every value that is bound to it, a quarter of what the notify role did.
fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// SQLite's own check of the structure, stopped at the first finding.
pub(crate) fn check_integrity(connection: &Connection) -> rusqlite::Result<()> {
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if finding == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(finding)))
}

/// Why a database cannot even be looked at.
pub(crate) fn unreadable(path: &Path, source: io::Error) -> StoreError {
    let path = path.to_owned();
    if source.kind() == io::ErrorKind::NotFound {
        StoreError::Missing { path }
    } else if source.kind() == io::ErrorKind::PermissionDenied {
        StoreError::Forbidden { path }
    } else {
        StoreError::File { path, source }
    }
}

fn inode_of(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
