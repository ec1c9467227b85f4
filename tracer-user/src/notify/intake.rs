//! Takes changes of `sessions.db` into the outbox, as fast as they come and each once.
//!
//! The outbox keeps the position in every store that it read, written together with what was read. A store that takes
//! the place of a damaged one is read from its beginning; sessions that both knew are told once, because announcements
//! are named by the session and not by the row.
//!
//! Where nothing was ever read (the first start, or `delivery.db` was lost), reading begins [`NEWS`] ago: what happened
//! before is history and not news, and a restart must not flood anybody.

mod pace;
mod storm;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;

pub(super) use self::pace::Pace;
pub use super::announce::delivery_id;
use super::announce::{Announcer, Name};
use super::assessor::Assessor;
use super::groups;
use super::message::{Event, Subject};
use super::outbox::{NewAnnouncement, Position, Rating, TakenIn};
use super::reassessment::Reassessment;
use super::route::{self, Beginning};
use super::trouble::Trouble;
use super::watch::Watch;
use super::{OnStep, SharedOutbox, Step};
use crate::session::{Change, ChangeKind, Session, SessionKey};
use crate::store::{Reader, StoreError};

/// How old a change may be to be told where nothing was told before.
const NEWS: SignedDuration = SignedDuration::from_mins(10);

/// How many changes are taken in by one transaction.
const BATCH: u32 = 256;

/// How many changes that tell nothing, such as attempts, are passed over before the position is written down. They would
/// be passed over once more after a restart; a port scan should cost no disk twice.
const UNWRITTEN: i64 = 10_000;

/// The task that takes changes in.
pub(super) struct Intake {
    pub(super) state_dir: PathBuf,
    pub(super) outbox: SharedOutbox,
    pub(super) assessor: Rc<Assessor>,
    /// Name of this host, for news that no session is part of.
    pub(super) host: String,
    pub(super) announcer: Rc<Announcer>,
    /// Of attempts.
    pub(super) pace: RefCell<Pace>,
    pub(super) reassessment: Rc<Reassessment>,
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
    /// Where the storm of attempts begins that is on, as it was written down.
    untold_after: Option<i64>,
}

impl Intake {
    /// Runs until the role ends.
    ///
    /// # Errors
    /// Only what no waiting mends: a newer or damaged database, a state directory that is gone.
    pub(super) async fn run(self, mut watch: Watch) -> anyhow::Result<()> {
        let mut source = None;
        let mut trouble = Trouble::with("changes cannot be taken in yet");
        let mut waiting_said = false;
        loop {
            match self.take_all(&mut source).await {
                Ok(()) => {
                    trouble.is_over();
                    let storm = self.pace.borrow().wait(Timestamp::now());
                    tokio::select! {
                        changed = watch.changed() => changed?,
                        () = tokio::time::sleep(storm.unwrap_or_default()), if storm.is_some() => {}
                    }
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
                    trouble.wait(&error).await;
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
        while self.take_batch(source).await? {
            // Those who send get their turn between batches.
            tokio::task::yield_now().await;
        }
        storm::tell(self, source).await
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
        let untold_after = self.outbox.borrow().untold_after(store_id)?;
        self.pace.borrow_mut().resume(untold_after, Timestamp::now());
        Ok(Source { reader, store_id, cursor, written: cursor, untold_after })
    }

    /// Takes in one batch; whether there was anything.
    async fn take_batch(&self, source: &mut Source) -> Result<bool, StoreError> {
        let changes = source.reader.changes_after(source.cursor, BATCH)?;
        let Some(last) = changes.last() else { return Ok(false) };
        let mut news = Vec::new();
        // Whatever fails on the way was not told.
        let mut pace = self.pace.borrow().clone();
        for change in &changes {
            news.extend(self.read(change, source, &mut pace)?.map(|news| (change, news)));
        }
        let users = news.iter().filter_map(|(_, news)| groups::user_of(news.event()?)).map(str::to_owned);
        self.announcer.directory.ask(users).await;
        let mut taken = batch(source.store_id, last.id);
        taken.untold_after = pace.storm().map(|storm| storm.after);
        let now = Timestamp::now();
        let turn = self.reassessment.turn.lock().await;
        for (change, news) in news {
            self.take(change, news, &source.reader, &mut taken, now)?;
        }
        self.reassessment.take(&changes, &source.reader, &mut taken).await?;
        source.cursor = taken.cursor;
        let is_written = is_empty(&taken) && taken.untold_after == source.untold_after;
        if is_written && taken.cursor - source.written < UNWRITTEN {
            self.pace.replace(pace);
            return Ok(true);
        }
        self.outbox.borrow_mut().take_in(&taken, now)?;
        drop(turn);
        self.pace.replace(pace);
        (source.written, source.untold_after) = (taken.cursor, taken.untold_after);
        tracing::debug!(changes = changes.len(), cursor = source.cursor, "changes taken in");
        self.taken();
        Ok(true)
    }

    /// Something was taken in.
    fn taken(&self) {
        (self.on_step)(Step::Intake);
        for wake in &self.wake {
            wake.notify_one();
        }
    }

    /// What a change tells, with the session that it is about.
    fn read(&self, change: &Change, source: &Source, pace: &mut Pace) -> Result<Option<News>, StoreError> {
        let Some(session_id) = change.session_id else {
            let (host, at) = (self.host.clone(), change.at);
            let event = match (change.kind, change.foreign.clone()) {
                (ChangeKind::Attempt, _) if route::asks_for_attempts(&self.announcer.rules) => {
                    storm::attempted(self, change, &source.reader, pace)?
                }
                (ChangeKind::EventsLost, _) => {
                    Some(Event::EventsLost { host, at, count: change.count.unwrap_or_default() })
                }
                (ChangeKind::ForeignSshd, Some(foreign)) => Some(Event::ForeignSshd { host, at, foreign }),
                _ => None,
            };
            let subject = format!("{}/{}", source.store_id, change.id);
            return Ok(event.map(|event| News::OfHost { subject, event }));
        };
        let Some(session) = source.reader.session(session_id)? else {
            tracing::error!(change = change.id, session_id, "a change without its session is skipped");
            return Ok(None);
        };
        if change.kind == ChangeKind::Identified {
            return Ok(Some(News::BetterKnown(session.key, Subject::of(&session))));
        }
        let Some(event) = event_of(change, &session) else { return Ok(None) };
        if change.kind == ChangeKind::Escalated && is_repeated(change, &source.reader.changes_of(session_id)?)
        {
            return Ok(None);
        }
        Ok(Some(News::OfSession { session: Box::new(session), event }))
    }

    fn take(
        &self,
        change: &Change,
        news: News,
        reader: &Reader,
        taken: &mut TakenIn,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (kind, seq) = (change.kind, change.seq);
        let announcement = match news {
            News::BetterKnown(session, subject) => {
                taken.better_known.push((session, subject));
                return Ok(());
            }
            News::OfHost { subject, event } => {
                let name = Name { subject: &subject, kind, seq };
                let finished = self.announcer.finish(name, &event, None, &Beginning::Undecided, now);
                NewAnnouncement { session: None, subject, kind, seq, event, finished: Some(finished) }
            }
            News::OfSession { session, event } => {
                let subject = session.key.to_string();
                let name = Name { subject: &subject, kind, seq };
                let finished = match self.rate_at_once(reader, &session, kind, taken, now)? {
                    None => None,
                    Some(rating) => {
                        let beginning = self.beginning(session.key, taken)?;
                        Some(self.announcer.finish(name, &event, Some(&rating), &beginning, now))
                    }
                };
                NewAnnouncement { session: Some(session.key), subject, kind, seq, event, finished }
            }
        };
        taken.announcements.push(announcement);
        Ok(())
    }

    /// What was decided about the beginning of a session, in this batch or before.
    fn beginning(&self, session: SessionKey, taken: &TakenIn) -> Result<Beginning, StoreError> {
        // What is in the database counts: a batch may hold what was taken in before, from another store.
        let stored = self.outbox.borrow().beginning(session)?;
        if stored != Beginning::Undecided {
            return Ok(stored);
        }
        let of_session = |announcement: &&NewAnnouncement| announcement.session == Some(session);
        let first = taken.announcements.iter().filter(of_session).find_map(|taken| taken.finished.as_ref());
        Ok(first.map_or(Beginning::Undecided, |finished| Beginning::of(Some(&finished.verdict))))
    }

    /// The rating of a session in which a user id was gained, with that; any other one as it is. The change itself tells
    /// the new level, so nothing else announces it.
    fn with_gain(
        &self,
        reader: &Reader,
        session: &Session,
        kind: ChangeKind,
        old: Rating,
        taken: &mut TakenIn,
    ) -> Rating {
        if kind != ChangeKind::Escalated {
            return old;
        }
        let new = self.assessor.rate(reader, session, old.1.clone());
        if new != old {
            taken.reassessed.push((session.key, new.clone()));
        }
        new
    }

    /// The rating of a session, if nobody needs to be asked for it.
    fn rate_at_once(
        &self,
        reader: &Reader,
        session: &Session,
        kind: ChangeKind,
        taken: &mut TakenIn,
        now: Timestamp,
    ) -> Result<Option<Rating>, StoreError> {
        // The newest of this batch counts.
        let made = taken.reassessed.iter().rev().chain(taken.ratings.iter().rev());
        let made = made.clone().find(|(key, _)| *key == session.key).map(|(_, rating)| rating.clone());
        let outbox = self.outbox.borrow();
        let rating = match made {
            Some(rating) => Some(rating),
            None => outbox.rating(session.key)?,
        };
        if let Some(rating) = rating {
            drop(outbox);
            return Ok(Some(self.with_gain(reader, session, kind, rating, taken)));
        }
        // The rating of a session whose first message still waits is made with that one.
        let waits = !outbox.pending_of(session.key)?.is_empty();
        drop(outbox);
        if waits {
            return Ok(None);
        }
        let Some(rating) = self.assessor.at_hand(reader, session, now) else { return Ok(None) };
        taken.ratings.push((session.key, rating.clone()));
        Ok(Some(rating))
    }
}

/// What a change tells.
enum News {
    OfSession {
        session: Box<Session>,
        event: Event,
    },
    /// Of the tracer or the host.
    OfHost {
        /// What it is about, for ever.
        subject: String,
        event: Event,
    },
    /// Nothing, but messages that are not written yet can say more.
    BetterKnown(SessionKey, Subject),
}

impl News {
    fn event(&self) -> Option<&Event> {
        match self {
            Self::OfSession { event, .. } | Self::OfHost { event, .. } => Some(event),
            Self::BetterKnown(..) => None,
        }
    }
}

/// What a change of a session tells; `None` for one that is not told by itself.
pub fn event_of(change: &Change, session: &Session) -> Option<Event> {
    let subject = || Subject::of(session);
    match (change.kind, session.closed) {
        (ChangeKind::Opened | ChangeKind::Recovered, _) => Some(Event::Opened(subject())),
        (ChangeKind::Closed, Some(closed)) => {
            Some(Event::Closed { subject: subject(), at: closed.at, end: closed.end })
        }
        (ChangeKind::Escalated, _) => {
            let how = change.escalation.clone()?;
            Some(Event::Escalated { subject: subject(), at: change.at, how })
        }
        (
            ChangeKind::Closed
            | ChangeKind::Identified
            | ChangeKind::Attempt
            | ChangeKind::ForeignSshd
            | ChangeKind::Raised
            | ChangeKind::EventsLost,
            _,
        ) => None,
    }
}

/// Whether the same user id was gained before in the session from the same one by the same program: that was told.
pub fn is_repeated(change: &Change, of_session: &[Change]) -> bool {
    if change.kind != ChangeKind::Escalated {
        return false;
    }
    let what =
        |change: &Change| change.escalation.as_ref().map(|how| (how.from.uid, how.to.uid, how.exe.clone()));
    of_session.iter().any(|earlier| earlier.seq < change.seq && what(earlier) == what(change))
}

/// Whether nothing came of the changes but a new position.
fn is_empty(taken: &TakenIn) -> bool {
    taken.ratings.is_empty()
        && taken.reassessed.is_empty()
        && taken.announcements.is_empty()
        && taken.better_known.is_empty()
}

fn batch(store_id: Uuid, cursor: i64) -> TakenIn {
    TakenIn {
        store_id,
        cursor,
        ratings: Vec::new(),
        reassessed: Vec::new(),
        announcements: Vec::new(),
        better_known: Vec::new(),
        untold_after: None,
    }
}
