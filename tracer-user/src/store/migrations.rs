//! The schema of `sessions.db`.
//!
//! Times are microseconds since 1970 UTC. Addresses are 16 bytes, IPv4 as `::ffff:a.b.c.d`, so that a network is a range of
//! the index. `store_id` is the identity of the database: 16 random bytes.

use super::schema::Schema;

pub(super) const SESSIONS: Schema = Schema {
    steps: &[
        FIRST,
        RECOVERED,
        ESCALATIONS,
        FOREIGN,
        AUTH_AND_ATTEMPTS,
        CONTAINERS,
        HISTORY,
        SERVICES,
        ACCOUNTS,
    ],
};

const FIRST: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
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
    CREATE INDEX changes_by_session ON changes (session_id, seq);
    INSERT INTO meta (key, value) VALUES ('store_id', randomblob(16));
";

/// Sessions that were found open, and how many lost events were recorded of each counter of the kernel.
const RECOVERED: &str = "
    ALTER TABLE sessions ADD COLUMN recovered INTEGER NOT NULL DEFAULT FALSE;
    CREATE INDEX changes_lost ON changes (at_us) WHERE kind = 'events lost';
    CREATE TABLE loss_counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// User ids that were gained inside of sessions. `boot_ns` tells one from others of the same process.
const ESCALATIONS: &str = "
    CREATE TABLE escalations (
        change_id INTEGER PRIMARY KEY REFERENCES changes (id),
        session_id INTEGER NOT NULL REFERENCES sessions (id),
        boot_ns INTEGER NOT NULL,
        pid INTEGER NOT NULL,
        from_uid INTEGER NOT NULL,
        from_user TEXT,
        to_uid INTEGER NOT NULL,
        to_user TEXT,
        exe TEXT NOT NULL,
        UNIQUE (session_id, boot_ns, pid, to_uid)
    ) STRICT;
    ALTER TABLE sessions ADD COLUMN escalated_to INTEGER;
";

/// Processes called like sshd that are not this host's; `key` is made like those of sessions.
const FOREIGN: &str = "
    CREATE TABLE foreign_sshd (
        change_id INTEGER PRIMARY KEY REFERENCES changes (id),
        key BLOB NOT NULL UNIQUE,
        run_by_pid INTEGER NOT NULL,
        run_by_uid INTEGER NOT NULL,
        run_by_user TEXT,
        image TEXT NOT NULL,
        doubt TEXT NOT NULL
    ) STRICT;
";

/// `auth`, `first_command` and `tried` are JSON. Rows of `attempts` and their changes are forgotten when there are too many.
const AUTH_AND_ATTEMPTS: &str = "
    ALTER TABLE sessions ADD COLUMN auth TEXT;
    ALTER TABLE sessions ADD COLUMN first_command TEXT;
    CREATE TABLE attempts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        change_id INTEGER NOT NULL UNIQUE,
        key BLOB NOT NULL UNIQUE,
        host TEXT NOT NULL,
        peer_address BLOB NOT NULL,
        peer_port INTEGER NOT NULL,
        local_address BLOB,
        local_port INTEGER,
        sshd_pid INTEGER,
        began_us INTEGER NOT NULL,
        ended_us INTEGER NOT NULL,
        tried TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT;
    CREATE INDEX attempts_by_address ON attempts (peer_address, id);
    CREATE INDEX attempts_by_time ON attempts (ended_us);
";

/// Where the sshd of a session runs, if not among the host's own processes.
const CONTAINERS: &str = "
    ALTER TABLE sessions ADD COLUMN pid_namespace INTEGER;
    ALTER TABLE sessions ADD COLUMN cgroup TEXT;
";

/// What the past of a login is asked by: where a user came from, which keys they had, and who failed from an address.
const HISTORY: &str = "
    CREATE INDEX sessions_by_user_address ON sessions (user, peer_address, id);
    CREATE INDEX sessions_by_user_key ON sessions (user, json_extract(auth, '$.key.fingerprint'), id)
        WHERE json_extract(auth, '$.key.fingerprint') IS NOT NULL;
    CREATE INDEX attempts_by_address_time ON attempts (peer_address, ended_us);
";

/// The door of a session, and who became its user. Nearly all sessions are of ssh: only the others are in the index.
const SERVICES: &str = "
    ALTER TABLE sessions ADD COLUMN service TEXT NOT NULL DEFAULT 'ssh';
    ALTER TABLE sessions ADD COLUMN by_uid INTEGER;
    ALTER TABLE sessions ADD COLUMN by_user TEXT;
    CREATE INDEX sessions_by_service ON sessions (service, id) WHERE service <> 'ssh';
";

/// How the account of a session stood, in a word; NULL where that is not known.
const ACCOUNTS: &str = "ALTER TABLE sessions ADD COLUMN account TEXT;";
