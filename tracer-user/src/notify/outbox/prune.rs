//! Forgets what came to its end long ago. SQLite uses the room again; the file is not rewritten.

use jiff::Timestamp;
use rusqlite::params;
use uuid::Uuid;

use super::Outbox;
use crate::store::StoreError;

impl Outbox {
    /// Removes at most `limit` deliveries that came to their end before a time, with their attempts, and the
    /// announcements that nothing is left of, and as many that went nowhere; says how many.
    pub fn prune(&mut self, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        let pruned = std::cell::Cell::new(0);
        self.write(|connection| {
            let mut finished = connection.prepare_cached(
                "SELECT id, announcement FROM deliveries WHERE finished_us < ?1 ORDER BY finished_us LIMIT ?2",
            )?;
            let finished: Vec<(Uuid, i64)> = finished
                .query_map(params![before.as_microsecond(), limit], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            for (delivery, announcement) in &finished {
                connection.prepare_cached("DELETE FROM attempts WHERE delivery = ?1")?.execute([delivery])?;
                connection.prepare_cached("DELETE FROM deliveries WHERE id = ?1")?.execute([delivery])?;
                connection
                    .prepare_cached(
                        "DELETE FROM announcements WHERE id = ?1
                             AND NOT EXISTS (SELECT 1 FROM deliveries WHERE announcement = ?1)",
                    )?
                    .execute([announcement])?;
            }
            let nowhere = connection
                .prepare_cached(
                    "DELETE FROM announcements WHERE id IN (
                         SELECT id FROM announcements WHERE nowhere_us < ?1 ORDER BY nowhere_us LIMIT ?2)",
                )?
                .execute(params![before.as_microsecond(), limit])?;
            pruned.set(finished.len() + nowhere);
            Ok(())
        })?;
        Ok(pruned.get())
    }
}
