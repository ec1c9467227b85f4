//! Who told an attempt, and which attempts a delivery tells, for the command line.
//!
//! Attempts are told one by one or as storms, never in the group of a sink: they are news of the host. An attempt is named
//! by its change in one `sessions.db`: by itself as `STORE/CHANGE`, a storm as `STORE/FIRST-LAST`,
//! of which the announcement says who is part of it. So this stays exact when routes change, and costs no row for each.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::{DeliveryRow, Reader, delivery_row, invalid};
use crate::notify::message::Event;
use crate::notify::storm::Members;
use crate::store::StoreError;

/// How the attempts of one `sessions.db` were told.
#[derive(Debug, Clone, Default)]
pub struct Tellings {
    alone: HashMap<i64, Vec<DeliveryRow>>,
    storms: Vec<(Members, Vec<DeliveryRow>)>,
    /// How far the changes are known to be taken in; `None`: not at all.
    cursor: Option<i64>,
    /// Attempts of changes after this one wait to be told together.
    untold_after: Option<i64>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telling<'a> {
    /// By a message of its own.
    Alone(&'a [DeliveryRow]),
    /// As one of a storm.
    Together(&'a [DeliveryRow]),
    /// It is told with the storm that is on, where a route asks for it.
    Waits,
    /// The notify role has not read it, or has had nothing to write down since.
    NotTakenIn,
    /// No route asked for it, or what told it is forgotten.
    Nobody,
}

impl Tellings {
    /// What became of the attempt of this change.
    pub fn of(&self, change: i64) -> Telling<'_> {
        if let Some(told) = self.alone.get(&change) {
            return Telling::Alone(told);
        }
        if let Some((_, told)) = self.storms.iter().find(|(members, _)| members.contains(change)) {
            return Telling::Together(told);
        }
        match (self.untold_after, self.cursor) {
            (Some(after), _) if change > after => Telling::Waits,
            (_, Some(cursor)) if change <= cursor => Telling::Nobody,
            (_, _) => Telling::NotTakenIn,
        }
    }
}

/// The changes that a delivery tells by itself and for those that it carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered {
    /// How many deliveries it carries, itself among them.
    pub deliveries: u64,
    /// How many attempts these tell.
    pub attempts: u64,
    /// When the first and the last of the attempts ended.
    pub times: Option<(Timestamp, Timestamp)>,
    /// The changes of the attempts, by the store they are in.
    members: Vec<(Uuid, Members)>,
}

impl Covered {
    /// Whether the attempt of a change of this store is told.
    pub fn contains(&self, store: Uuid, change: i64) -> bool {
        self.members.iter().any(|(of, members)| *of == store && members.contains(change))
    }

    /// The attempts of this store lie after the first of these changes, up to the second.
    pub fn changes(&self, store: Uuid) -> (i64, i64) {
        let bounds = self.members.iter().filter(|(of, _)| *of == store).filter_map(|(_, m)| m.bounds());
        let whole = bounds.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)));
        whole.map_or((0, 0), |(first, last)| (first - 1, last))
    }

    fn add(&mut self, (store, change): (Uuid, Option<i64>), event: Event) {
        let (count, (first, last), members) = match (event, change) {
            (Event::Attempted { attempt }, Some(change)) => {
                (1, (attempt.ended_at, attempt.ended_at), Members::one(change))
            }
            (Event::Stormed { at, until, storm, members, .. }, None) => (storm.count, (at, until), members),
            _ => return,
        };
        self.attempts += count;
        let (earliest, latest) = self.times.unwrap_or((first, last));
        self.times = Some((earliest.min(first), latest.max(last)));
        self.members.push((store, members));
    }
}

impl Reader {
    /// How the attempts of a `sessions.db` were told, as far as deliveries are kept.
    pub fn tellings(&self, store: Uuid) -> Result<Tellings, StoreError> {
        let read = |connection: &Connection| {
            // Before the announcements: what is told meanwhile is found there.
            let position = "SELECT change_id, untold_after FROM cursors WHERE store_id = ?1";
            let position = connection.query_row(position, [store], |row| Ok((row.get(0)?, row.get(1)?)));
            let (cursor, untold_after) = position.optional()?.unzip();
            let mut tellings =
                Tellings { cursor, untold_after: untold_after.flatten(), ..Tellings::default() };
            // A range of the index of subjects: `0` is what comes after `/`.
            let mut statement = connection.prepare(
                "SELECT a.id AS announcement, a.subject, CASE WHEN a.seq > 0 THEN a.event END AS event,
                     d.id, d.sink, a.kind, d.state, d.attempts, d.last_error, d.next_us, d.finished_us
                 FROM announcements a JOIN deliveries d ON d.announcement = a.id
                 WHERE a.subject > ?1 || '/' AND a.subject < ?1 || '0' AND a.kind = 'attempt'
                 ORDER BY a.id, d.sink",
            )?;
            let mut rows = statement.query([store.to_string()])?;
            let mut last = None;
            while let Some(row) = rows.next()? {
                let told = delivery_row(row)?;
                let announcement: i64 = row.get("announcement")?;
                let subject: String = row.get("subject")?;
                let (_, change) = named(&subject).ok_or_else(|| invalid("subject"))?;
                match (change, tellings.storms.last_mut()) {
                    (Some(change), _) => tellings.alone.entry(change).or_default().push(told),
                    (None, Some((_, others))) if last == Some(announcement) => others.push(told),
                    (None, _) => {
                        let event: Option<String> = row.get("event")?;
                        let members = event.and_then(|event| match serde_json::from_str(&event) {
                            Ok(Event::Stormed { members, .. }) => Some(members),
                            Ok(_) | Err(_) => None,
                        });
                        tellings.storms.push((members.unwrap_or_default(), vec![told]));
                    }
                }
                last = Some(announcement);
            }
            Ok(tellings)
        };
        self.database.read(read)
    }

    /// What a delivery tells, with what it carries.
    pub fn covered_by(&self, delivery: Uuid) -> Result<Covered, StoreError> {
        let read = |connection: &Connection| {
            let mut covered = Covered::default();
            let mut statement = connection.prepare(
                "SELECT a.subject, CASE WHEN a.kind = 'attempt' THEN a.event END AS event
                 FROM deliveries d JOIN announcements a ON a.id = d.announcement
                 WHERE d.id = ?1 OR d.carried_by = ?1 ORDER BY a.id",
            )?;
            let mut rows = statement.query(params![delivery])?;
            while let Some(row) = rows.next()? {
                covered.deliveries += 1;
                let (subject, event): (String, Option<String>) = (row.get("subject")?, row.get("event")?);
                // What cannot be read is no reason to show nothing.
                let event = event.and_then(|event| serde_json::from_str(&event).ok());
                if let (Some(name), Some(event)) = (named(&subject), event) {
                    covered.add(name, event);
                }
            }
            Ok(covered)
        };
        self.database.read(read)
    }
}

/// The store of attempts, and the change of one that is told by itself.
fn named(subject: &str) -> Option<(Uuid, Option<i64>)> {
    let (store, changes) = subject.rsplit_once('/')?;
    let store = Uuid::try_parse(store).ok()?;
    match changes.contains('-') {
        true => Some((store, None)),
        false => Some((store, Some(changes.parse().ok()?))),
    }
}
