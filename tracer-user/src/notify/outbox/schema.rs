//! The schema of `delivery.db`.
//!
//! Times are microseconds since 1970 UTC.

use crate::store::schema::Schema;

pub(super) const DELIVERIES: Schema =
    Schema { steps: &[FIRST, RECEIPTS, ROUTES, QUEUES, GROUPS, TEMPLATES, SUMMARIES, LEVELS] };

const FIRST: &str = "
    -- How far each sessions.db was read. Row numbers of another store mean something else.
    CREATE TABLE cursors (store_id BLOB PRIMARY KEY, change_id INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    -- The changes that are told. `subject` names what they are about for ever: the session key, or store and row.
    -- `event` is what the message needs of the session, `message` the finished message; NULL until it is assessed.
    CREATE TABLE announcements (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session_key BLOB,
        subject TEXT NOT NULL,
        kind TEXT NOT NULL,
        seq INTEGER NOT NULL,
        event TEXT NOT NULL,
        message TEXT,
        UNIQUE (subject, kind, seq)
    ) STRICT;
    CREATE INDEX announcements_unfinished ON announcements (id) WHERE message IS NULL;
    CREATE TABLE deliveries (
        id BLOB PRIMARY KEY,
        announcement INTEGER NOT NULL REFERENCES announcements (id),
        session_key BLOB,
        sink TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        next_us INTEGER NOT NULL,
        last_error TEXT,
        finished_us INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX deliveries_queue ON deliveries (sink, next_us, announcement) WHERE state = 'queued';
    CREATE INDEX deliveries_claimed ON deliveries (id) WHERE state = 'claimed';
    CREATE INDEX deliveries_of_session ON deliveries (session_key, sink, announcement);
    -- Every attempt that came to a result.
    CREATE TABLE attempts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        delivery BLOB NOT NULL REFERENCES deliveries (id),
        number INTEGER NOT NULL,
        started_us INTEGER NOT NULL,
        duration_us INTEGER NOT NULL,
        result TEXT NOT NULL,
        status INTEGER,
        detail TEXT
    ) STRICT;
    CREATE INDEX attempts_of_delivery ON attempts (delivery, number);
    CREATE TABLE assessments (
        session_key BLOB PRIMARY KEY,
        level TEXT NOT NULL,
        score INTEGER,
        reasons TEXT NOT NULL,
        facts TEXT NOT NULL,
        at_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- Answers of look-up services, good and bad, until they expire.
    CREATE TABLE answers (
        source TEXT NOT NULL,
        subject TEXT NOT NULL,
        answer TEXT NOT NULL,
        expires_us INTEGER NOT NULL,
        PRIMARY KEY (source, subject)
    ) STRICT, WITHOUT ROWID;
    -- The requests of the last minute, and how many there were in each month (UTC), for the quotas.
    CREATE TABLE requests (id INTEGER PRIMARY KEY, source TEXT NOT NULL, at_us INTEGER NOT NULL) STRICT;
    CREATE TABLE requests_by_month (
        source TEXT NOT NULL,
        month TEXT NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (source, month)
    ) STRICT, WITHOUT ROWID;
";

/// What the service calls a message that it took, for those that refer to it: a thread is answered by its name.
const RECEIPTS: &str = "ALTER TABLE deliveries ADD COLUMN receipt TEXT;";

/// Why an announcement goes where it goes. Deliveries are made when that is decided: those that an earlier version made
/// before are made again then, with the same ids. Deliveries may be `held` now, and are in the queue from `next_us` on.
const ROUTES: &str = "
    ALTER TABLE announcements ADD COLUMN verdict TEXT;
    DELETE FROM deliveries WHERE announcement IN (SELECT id FROM announcements WHERE message IS NULL);
    CREATE INDEX deliveries_held ON deliveries (next_us) WHERE state = 'held';
";

/// What it takes to command a queue, to bound it and to clear it up.
const QUEUES: &str = "
    -- When a delivery came into the queue, and until when its claim holds.
    ALTER TABLE deliveries ADD COLUMN queued_us INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE deliveries ADD COLUMN lease_us INTEGER;
    UPDATE deliveries SET queued_us = next_us;
    CREATE INDEX deliveries_waiting ON deliveries (sink, queued_us, announcement) WHERE state = 'queued';
    CREATE INDEX deliveries_parked ON deliveries (sink) WHERE state = 'parked';
    CREATE INDEX deliveries_finished ON deliveries (finished_us) WHERE finished_us IS NOT NULL;
    CREATE INDEX deliveries_of_announcement ON deliveries (announcement);
    -- Every sink that is or was configured. `hold` is NULL, 'paused' or 'suspended', with the time and the reason;
    -- `mark` recognises the configuration with which it was suspended. `expired` and `dropped` count the messages that
    -- the limits cost, `told_us` is when that was told last, and the two
    -- after it how much was told.
    CREATE TABLE sinks (
        name TEXT PRIMARY KEY,
        type TEXT NOT NULL,
        is_configured INTEGER NOT NULL,
        hold TEXT,
        since_us INTEGER,
        why TEXT,
        mark BLOB,
        expired INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0,
        told_us INTEGER,
        told_expired INTEGER NOT NULL DEFAULT 0,
        told_dropped INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
";

/// Deliveries that carry others. `carried_by` is the delivery that tells a change, itself or another one; NULL where that
/// is not decided, or nothing is grouped. A delivery that carries others has the words for all of them, and whatever
/// becomes of it becomes of them.
const GROUPS: &str = "
    ALTER TABLE deliveries ADD COLUMN carried_by BLOB;
    ALTER TABLE deliveries ADD COLUMN group_event TEXT;
    ALTER TABLE deliveries ADD COLUMN group_message TEXT;
    CREATE INDEX deliveries_carried ON deliveries (carried_by) WHERE carried_by IS NOT NULL;
    CREATE TRIGGER deliveries_carry AFTER UPDATE OF state ON deliveries
    WHEN NEW.group_message IS NOT NULL
        AND (NEW.state NOT IN ('queued', 'claimed') OR OLD.state NOT IN ('queued', 'claimed'))
    BEGIN
        UPDATE deliveries SET
            state = CASE WHEN NEW.state IN ('queued', 'claimed') THEN 'carried' ELSE NEW.state END,
            finished_us = NEW.finished_us, last_error = NEW.last_error
        WHERE carried_by = NEW.id AND id <> NEW.id;
    END;
";

/// What a sink is told in the words of a template (NULL: the announcement's), and what is told nobody.
const TEMPLATES: &str = "
    ALTER TABLE deliveries ADD COLUMN message TEXT;
    -- When it was decided that an announcement goes nowhere: nothing else says when it may be forgotten.
    ALTER TABLE announcements ADD COLUMN nowhere_us INTEGER;
    CREATE INDEX announcements_nowhere ON announcements (nowhere_us) WHERE nowhere_us IS NOT NULL;
";

/// Attempts that are told together, and summaries: `told_us` is the end of what the last one of its schedule covers.
const SUMMARIES: &str = "
    ALTER TABLE cursors ADD COLUMN untold_after INTEGER;
    CREATE TABLE summaries (schedule TEXT PRIMARY KEY, told_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// Which sessions have a level.
const LEVELS: &str = "CREATE INDEX assessments_by_level ON assessments (level);";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection;

    use super::*;

    #[test]
    fn an_older_queue_is_brought_up_to_date_with_what_is_in_it() {
        let connection = Connection::open_in_memory().unwrap();
        Schema { steps: &[FIRST] }.apply(&connection, Path::new("delivery.db")).unwrap();
        connection
            .execute_batch(
                "INSERT INTO announcements (id, subject, kind, seq, event, message)
                     VALUES (1, 's', 'opened', 1, '{}', '{}'), (2, 's', 'closed', 2, '{}', NULL);
                 INSERT INTO deliveries (id, announcement, sink, state, attempts, next_us)
                     VALUES (x'01', 1, 'ops', 'queued', 3, 7), (x'02', 2, 'ops', 'queued', 0, 7);",
            )
            .unwrap();
        for _ in 0..2 {
            DELIVERIES.apply(&connection, Path::new("delivery.db")).unwrap();
        }
        let found: (String, i64, Option<String>) = connection
            .query_row("SELECT sink, attempts, receipt FROM deliveries", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(found, ("ops".to_owned(), 3, None));
        // What is not finished is decided anew.
        let deliveries: i64 =
            connection.query_row("SELECT count(*) FROM deliveries", [], |row| row.get(0)).unwrap();
        assert_eq!(deliveries, 1);
    }
}
