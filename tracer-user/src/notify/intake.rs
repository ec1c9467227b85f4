//! Takes changes of `sessions.db` into the outbox, as fast as they come and each once.
//!
//! The outbox keeps the position in every store that it read, written together with what was read. A store that takes
//! the place of a damaged one is read from its beginning; sessions that both knew are told once, because announcements
//! are named by the session and not by the row.
//!
//! Where nothing was ever read (the first start, or `delivery.db` was lost), reading begins [`NEWS`] ago: what happened
//! before is history and not news, and a restart must not flood anybody.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;

use super::message::{self, Event, Message, Subject};
use super::outbox::{NewAnnouncement, Position, Rating, TakenIn};
use super::watch::Watch;
use super::{OnStep, SharedOutbox, Step, backoff, chance};
use crate::assess::assess;
use crate::config::Thresholds;
use crate::enrich::{Enricher, Facts, Why};
use crate::session::{Change, ChangeKind, Session, SessionKey};
use crate::store::{Reader, StoreError};

/// How old a change may be to be told where nothing was told before.
const NEWS: SignedDuration = SignedDuration::from_mins(10);

/// How many changes are taken in by one transaction.
const BATCH: u32 = 256;

/// How many changes that tell nothing, such as attempts, are passed over before the position is written down. They would
/// be passed over once more after a restart; a port scan should cost no disk twice.
const UNWRITTEN: i64 = 10_000;

/// The namespace of delivery ids; an arbitrary constant that must never change.
const DELIVERIES: Uuid = Uuid::from_u128(0x8a0f_3d0b_41c6_4a6e_b8a1_5f0c_93d7_2e64);

/// The id of a delivery, the same whenever and wherever it is made again.
///
/// `subject` is the session key, or store id and row number of a change without a session.
pub fn delivery_id(subject: &str, kind: ChangeKind, seq: u32, sink: &str) -> Uuid {
    // The name of a sink holds no slash, the other parts neither: no two deliveries share a name.
    Uuid::new_v5(&DELIVERIES, format!("{subject}/{}/{seq}/{sink}", kind.as_str()).as_bytes())
}

/// The task that takes changes in.
pub(super) struct Intake {
    pub(super) state_dir: PathBuf,
    pub(super) outbox: SharedOutbox,
    pub(super) enricher: Rc<Enricher>,
    pub(super) thresholds: Thresholds,
    /// Name of this host, for news that no session is part of.
    pub(super) host: String,
    pub(super) sinks: Vec<String>,
    /// Those who have something to do after a batch.
    pub(super) wake: Vec<Rc<Notify>>,
    pub(super) on_step: OnStep,
}

/// An open `sessions.db` and how far it was read.
struct Source {
    reader: Reader,
    store_id: Uuid,
    cursor: i64,
    /// The position that was written down last. Behind the cursor where there was nothing to tell since.
    written: i64,
}

impl Intake {
    /// Runs until the role ends.
    ///
    /// # Errors
    /// Only what no waiting mends: a newer or damaged database, a state directory that is gone.
    pub(super) async fn run(self, mut watch: Watch) -> anyhow::Result<()> {
        let mut source = None;
        let mut failures = 0;
        let mut waiting_said = false;
        loop {
            match self.take_all(&mut source).await {
                Ok(()) => {
                    failures = 0;
                    watch.changed().await?;
                }
                Err(StoreError::Missing { path }) => {
                    if !waiting_said {
                        tracing::info!(path = %path.display(), "waiting for the database of the trace role");
                        waiting_said = true;
                    }
                    watch.changed().await?;
                }
                Err(error @ StoreError::Newer { .. }) => return Err(error.into()),
                Err(StoreError::Damaged { path, source: finding })
                    if path == super::outbox::path(&self.state_dir) =>
                {
                    return Err(StoreError::Damaged { path, source: finding }.into());
                }
                Err(error) => {
                    // A full disk, a busy or damaged database: nothing is lost, the changes stay where they are.
                    source = None;
                    failures += 1;
                    let pause = backoff::local_delay(failures, chance());
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        ?pause,
                        "changes cannot be taken in yet"
                    );
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Takes in everything that is there.
    async fn take_all(&self, open: &mut Option<Source>) -> Result<(), StoreError> {
        if open.as_ref().is_some_and(|source| source.reader.is_replaced()) {
            tracing::info!("another sessions.db has taken the place of the one that was read");
            *open = None;
        }
        let source = match open {
            Some(source) => source,
            None => open.insert(self.open()?),
        };
        while self.take_batch(source)? {
            // Those who send get their turn between batches.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn open(&self) -> Result<Source, StoreError> {
        let reader = Reader::open(&self.state_dir)?;
        let store_id = reader.store_id()?;
        let position = self.outbox.borrow().position(store_id)?;
        let cursor = match position {
            Position::After(change) => change,
            Position::NewStore => 0,
            Position::Never => {
                let now = Timestamp::now();
                let cursor = reader.last_change_before(now - NEWS)?;
                if cursor > 0 {
                    tracing::info!(
                        cursor,
                        "first start: what happened more than ten minutes ago is not told"
                    );
                }
                // Written down at once: whatever comes from now on is told, however long this role sleeps.
                self.outbox.borrow_mut().take_in(&batch(store_id, cursor), now)?;
                cursor
            }
        };
        Ok(Source { reader, store_id, cursor, written: cursor })
    }

    /// Takes in one batch; whether there was anything.
    fn take_batch(&self, source: &mut Source) -> Result<bool, StoreError> {
        let changes = source.reader.changes_after(source.cursor, BATCH)?;
        let Some(last) = changes.last() else { return Ok(false) };
        let mut taken = batch(source.store_id, last.id);
        let now = Timestamp::now();
        for change in &changes {
            self.take(change, source, &mut taken, now)?;
        }
        source.cursor = taken.cursor;
        if is_empty(&taken) && taken.cursor - source.written < UNWRITTEN {
            return Ok(true);
        }
        self.outbox.borrow_mut().take_in(&taken, now)?;
        source.written = taken.cursor;
        tracing::debug!(changes = changes.len(), cursor = source.cursor, "changes taken in");
        (self.on_step)(Step::Intake);
        for wake in &self.wake {
            wake.notify_one();
        }
        Ok(true)
    }

    fn take(
        &self,
        change: &Change,
        source: &Source,
        taken: &mut TakenIn,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(session_id) = change.session_id else {
            let (host, at) = (self.host.clone(), change.at);
            let event = match (change.kind, change.foreign.clone()) {
                (ChangeKind::EventsLost, _) => {
                    Some(Event::EventsLost { host, at, count: change.count.unwrap_or_default() })
                }
                (ChangeKind::ForeignSshd, Some(foreign)) => Some(Event::ForeignSshd { host, at, foreign }),
                _ => None,
            };
            if let Some(event) = event {
                let subject = format!("{}/{}", source.store_id, change.id);
                let message = message::compose(&event, None, &TimeZone::system());
                taken.announcements.push(self.announcement(change, None, subject, event, Some(message)));
            }
            return Ok(());
        };
        let Some(session) = source.reader.session(session_id)? else {
            tracing::error!(change = change.id, session_id, "a change without its session is skipped");
            return Ok(());
        };
        let event = match (change.kind, session.closed) {
            (ChangeKind::Opened | ChangeKind::Recovered, _) => Event::Opened(Subject::of(&session)),
            (ChangeKind::Closed, Some(closed)) => {
                Event::Closed { subject: Subject::of(&session), at: closed.at, end: closed.end }
            }
            (ChangeKind::Identified, _) => {
                taken.better_known.push((session.key, Subject::of(&session)));
                return Ok(());
            }
            (ChangeKind::Escalated, _) => {
                let Some(how) = change.escalation.clone() else { return Ok(()) };
                if is_repeated(change, &source.reader.changes_of(session_id)?) {
                    return Ok(());
                }
                Event::Escalated { subject: Subject::of(&session), at: change.at, how }
            }
            (
                ChangeKind::Closed | ChangeKind::Attempt | ChangeKind::ForeignSshd | ChangeKind::EventsLost,
                _,
            ) => return Ok(()),
        };
        let message = self.rate_at_once(&session, taken, now)?.map(|(assessment, facts)| {
            message::compose(&event, Some((&assessment, &facts)), &TimeZone::system())
        });
        let subject = session.key.to_string();
        taken.announcements.push(self.announcement(change, Some(session.key), subject, event, message));
        Ok(())
    }

    /// The rating of a session, if nobody needs to be asked for it.
    fn rate_at_once(
        &self,
        session: &Session,
        taken: &mut TakenIn,
        now: Timestamp,
    ) -> Result<Option<Rating>, StoreError> {
        if let Some((_, rating)) = taken.ratings.iter().find(|(key, _)| *key == session.key) {
            return Ok(Some(rating.clone()));
        }
        let outbox = self.outbox.borrow();
        if let Some(rating) = outbox.rating(session.key)? {
            return Ok(Some(rating));
        }
        // The rating of a session whose first message still waits is made with that one.
        let waits = !outbox.pending_of(session.key)?.is_empty();
        drop(outbox);
        let address = session.peer.as_ref().map(SocketAddr::ip);
        let at_hand = match session.service.is_local() {
            true => Some(Facts::unknown(Why::Local)),
            false => self.enricher.at_hand(address, now),
        };
        match at_hand.filter(|_| !waits) {
            None => Ok(None),
            Some(facts) => {
                let rating = (assess(&facts, self.thresholds), facts);
                taken.ratings.push((session.key, rating.clone()));
                Ok(Some(rating))
            }
        }
    }

    fn announcement(
        &self,
        change: &Change,
        session: Option<SessionKey>,
        subject: String,
        event: Event,
        message: Option<Message>,
    ) -> NewAnnouncement {
        let deliveries = self
            .sinks
            .iter()
            .map(|sink| (delivery_id(&subject, change.kind, change.seq, sink), sink.clone()))
            .collect();
        NewAnnouncement { session, subject, kind: change.kind, seq: change.seq, event, message, deliveries }
    }
}

/// Whether the same user id was gained before in the session from the same one by the same program: that was told.
fn is_repeated(change: &Change, of_session: &[Change]) -> bool {
    let what =
        |change: &Change| change.escalation.as_ref().map(|how| (how.from.uid, how.to.uid, how.exe.clone()));
    of_session.iter().any(|earlier| earlier.seq < change.seq && what(earlier) == what(change))
}

/// Whether nothing came of the changes but a new position.
fn is_empty(taken: &TakenIn) -> bool {
    taken.ratings.is_empty() && taken.announcements.is_empty() && taken.better_known.is_empty()
}

fn batch(store_id: Uuid, cursor: i64) -> TakenIn {
    TakenIn { store_id, cursor, ratings: Vec::new(), announcements: Vec::new(), better_known: Vec::new() }
}
