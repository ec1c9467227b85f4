//! Rates sessions again when more becomes known: what a service says after the deadline, or when it is asked again, a list
//! that changes, refused tries after the login, how somebody came in where that was not known at once. (A user id that is
//! gained inside is told anyway, and rated again with that: see [`super::intake`].)
//!
//! Promises:
//! - The newest rating is the one that is shown. A session whose level rises to medium or high is announced again,
//!   at most once for each of the two, whatever happens and however often: the announcement is named by session and level.
//! - What falls is not announced.
//! - What became known while the role was down, or would have come late if it had lived, is made up for at its start; and
//!   services are asked about those who stay in once a day ([`catch_up`]).
//! - What follows from changes of `sessions.db` is written with the position after them: a role that dies in between does
//!   both again.

mod catch_up; // what a role that ended left undone, and what nobody asks about those who stay

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time;

use super::announce::{Announcer, Name};
use super::assessor::Assessor;
use super::message::{Event, Subject};
use super::outbox::{NewAnnouncement, Rating, TakenIn};
use super::{OnStep, SharedOutbox, Step, groups};
use crate::assess::Level;
use crate::enrich::local::watch::Watch;
use crate::enrich::{self, Facts};
use crate::session::{Change, ChangeKind, Session, SessionKey};
use crate::store::{Filter, Reader, StoreError};

/// How long after a login what comes in late is about it.
const LATE: SignedDuration = SignedDuration::from_mins(10);
/// How long after a login refused tries from its address count; as the rule has it.
const AFTER: SignedDuration = SignedDuration::from_hours(1);
/// How often it is said which databases are old, and is asked again about those who are in.
pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// So many sessions from one address are looked at for one event.
const AT_MOST: u32 = 1_000;
/// So many sessions are rated again before others get their turn, and are written by one transaction.
const BATCH: usize = 32;
/// So many sessions are read at once where all are looked at that are open.
const PAGE: u32 = 256;

/// The task that rates again.
pub(super) struct Reassessment {
    pub(super) outbox: SharedOutbox,
    pub(super) assessor: Rc<Assessor>,
    pub(super) announcer: Rc<Announcer>,
    /// What services answered.
    pub(super) fresh: Rc<Fresh>,
    /// Those who send.
    pub(super) wake_workers: Vec<Rc<Notify>>,
    /// Held from the reading of ratings to the writing of those that take their place: two who do that at once would lose
    /// what the other one knew.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// [`DAY`]; tests cannot wait for it.
    pub(super) day: Duration,
    pub(super) on_step: OnStep,
}

/// Answers of services about addresses, on their way to the sessions from there.
#[derive(Default)]
pub(super) struct Fresh {
    answers: RefCell<Vec<(IpAddr, Facts)>>,
    /// Rings when there is one.
    bell: Notify,
}

impl Fresh {
    pub(super) fn tell(&self, address: IpAddr, facts: Facts) {
        self.answers.borrow_mut().push((address, facts));
        self.bell.notify_one();
    }

    fn take(&self) -> Vec<(IpAddr, Facts)> {
        self.answers.take()
    }
}

impl Reassessment {
    /// Runs until the role ends. What goes wrong here costs a second look, and no message.
    pub(super) async fn run(&self) {
        let files = match Watch::new(self.assessor.enricher().local()) {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(%error, "changes of lists and databases go unnoticed until a restart");
                None
            }
        };
        // What was written before somebody watched.
        self.assessor.enricher().local().refresh().await;
        tokio::join!(self.catch_up(), self.listen(files));
    }

    async fn listen(&self, mut files: Option<Watch>) {
        // A database gets old without changing.
        let mut daily = time::interval_at(time::Instant::now() + self.day, self.day);
        loop {
            for (address, facts) in self.fresh.take() {
                self.report(self.renew_from(address, &facts).await);
            }
            let changed = async {
                match &mut files {
                    Some(files) => files.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.fresh.bell.notified() => {}
                _ = daily.tick() => self.assessor.enricher().local().warn_of_old(),
                changed = changed => match changed {
                    Ok(()) => {
                        if self.assessor.enricher().local().refresh().await {
                            self.report(self.files_changed().await);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "changes of lists and databases go unnoticed until a restart");
                        files = None;
                    }
                },
            }
        }
    }

    fn report(&self, done: Result<(), StoreError>) {
        if let Err(error) = done {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "sessions cannot be rated again");
        }
    }

    /// Services answered: about somebody else from the same address, or after the message had gone out. That concerns all
    /// who came from there a moment ago, and all who are in.
    async fn renew_from(&self, address: IpAddr, facts: &Facts) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let since = now - LATE;
        let filter = Filter {
            network: Some(address.into()),
            since: Some(since),
            limit: Some(AT_MOST),
            ..Filter::default()
        };
        let sessions = self.assessor.with_reader(|reader| {
            let mut sessions: Vec<_> =
                reader.sessions(&filter)?.into_iter().map(|session| session.key).collect();
            for id in reader.open_from(address, now, AT_MOST)? {
                let older = reader.session(id)?.filter(|session| session.opened_at < since);
                sessions.extend(older.map(|session| session.key));
            }
            Ok(sessions)
        })?;
        self.renew(&sessions, facts).await
    }

    /// Rates those of the sessions again of whose address services say something else now.
    async fn renew(&self, sessions: &[SessionKey], facts: &Facts) -> Result<(), StoreError> {
        self.again(sessions, |session, old| {
            let new = enrich::renewed(old, facts);
            (!session.service.is_local() && new != *old).then_some(new)
        })
        .await
    }

    /// A list or a database has other content than the one by which open sessions were rated.
    async fn files_changed(&self) -> Result<(), StoreError> {
        let local = self.assessor.enricher().local();
        let mut open = Pages::of(Filter { active: true, ..Filter::default() });
        while let Some(sessions) = open.next(&self.assessor)? {
            let sessions: Vec<_> = sessions.iter().map(|session| session.key).collect();
            self.again(&sessions, |session, old| {
                let address = session.peer.as_ref()?.ip().to_canonical();
                (old.edition != local.edition()).then(|| local.ask_again(old, address))
            })
            .await?;
        }
        Ok(())
    }

    /// Adds to a batch what follows from its changes for sessions that were rated before it.
    pub(super) async fn take(
        &self,
        changes: &[Change],
        reader: &Reader,
        taken: &mut TakenIn,
    ) -> Result<(), StoreError> {
        for (_, session) in better_known(changes, reader)?.into_iter().chain(tried_again(changes, reader)?) {
            // What this batch has rated was rated with all that is known.
            let mut rated = taken.ratings.iter().chain(&taken.reassessed);
            if rated.any(|(key, _)| *key == session.key) {
                continue;
            }
            let stored = self.outbox.borrow().rating(session.key)?;
            let Some(old) = stored else { continue };
            let new = self.assessor.rate(reader, &session, old.1.clone());
            if new != old {
                taken.announcements.extend(self.rise(&session, &old, &new).await?);
                taken.reassessed.push((session.key, new));
            }
            // Those who send get their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Rates sessions again with facts made from those that they were rated with; `None` leaves one as it is.
    async fn again(
        &self,
        sessions: &[SessionKey],
        facts: impl Fn(&Session, &Facts) -> Option<Facts>,
    ) -> Result<(), StoreError> {
        for batch in sessions.chunks(BATCH) {
            let turn = self.turn.lock().await;
            let (mut ratings, mut announcements) = (Vec::new(), Vec::new());
            for (session, old, new) in self.rate_again(batch, &facts)? {
                announcements.extend(self.rise(&session, &old, &new).await?);
                ratings.push((session.key, new));
            }
            if !ratings.is_empty() {
                self.outbox.borrow_mut().reassess(&ratings, &announcements, Timestamp::now())?;
                (self.on_step)(Step::Reassess);
            }
            drop(turn);
            if !announcements.is_empty() {
                for worker in &self.wake_workers {
                    worker.notify_one();
                }
            }
            // A list that changes may concern many: the others get their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Those of the sessions whose rating is another one now, with the old and the new one.
    fn rate_again(
        &self,
        sessions: &[SessionKey],
        facts: &impl Fn(&Session, &Facts) -> Option<Facts>,
    ) -> Result<Vec<(Session, Rating, Rating)>, StoreError> {
        let mut found = Vec::new();
        for key in sessions {
            // One that was not rated yet will be, with all that is known by then.
            let Some(old) = self.outbox.borrow().rating(*key)? else { continue };
            let new = self.assessor.with_reader(|reader| {
                let Some(session) = reader.session_by_key(*key)? else { return Ok(None) };
                let Some(facts) = facts(&session, &old.1) else { return Ok(None) };
                let new = self.assessor.rate(reader, &session, facts);
                Ok(Some((session, new)))
            })?;
            found.extend(new.filter(|(_, new)| *new != old).map(|(session, new)| (session, old, new)));
        }
        Ok(found)
    }

    /// The announcement of a level that rose.
    async fn rise(
        &self,
        session: &Session,
        old: &Rating,
        new: &Rating,
    ) -> Result<Option<NewAnnouncement>, StoreError> {
        if !rises(old.0.level, new.0.level) {
            return Ok(None);
        }
        let now = Timestamp::now();
        tracing::info!(session = %session.key, from = %old.0.level, to = %new.0.level, "the risk of a session rose");
        let event = Event::Raised { subject: Subject::of(session), at: now, from: old.0.level };
        let users = groups::user_of(&event).map(str::to_owned);
        self.announcer.directory.ask(users).await;
        let subject = session.key.to_string();
        let (kind, seq) = (ChangeKind::Raised, number_of(new.0.level));
        let beginning = self.outbox.borrow().beginning(session.key)?;
        let name = Name { subject: &subject, kind, seq };
        let finished = Some(self.announcer.finish(name, &event, Some(new), &beginning, now));
        Ok(Some(NewAnnouncement { session: Some(session.key), subject, kind, seq, event, finished }))
    }
}

/// Sessions a page at a time, newest first.
struct Pages {
    filter: Filter,
}

impl Pages {
    fn of(filter: Filter) -> Self {
        Self { filter: Filter { limit: Some(PAGE), ..filter } }
    }

    /// The next page; `None` after the last one.
    fn next(&mut self, assessor: &Assessor) -> Result<Option<Vec<Session>>, StoreError> {
        let sessions = assessor.with_reader(|reader| reader.sessions(&self.filter))?;
        let Some(last) = sessions.last() else { return Ok(None) };
        self.filter.before = Some(last.id);
        Ok(Some(sessions))
    }
}

/// The sessions of which the changes say more.
fn better_known(changes: &[Change], reader: &Reader) -> Result<BTreeMap<i64, Session>, StoreError> {
    let mut sessions = BTreeMap::new();
    for change in changes.iter().filter(|change| change.kind == ChangeKind::Identified) {
        let Some(id) = change.session_id.filter(|id| !sessions.contains_key(id)) else { continue };
        sessions.extend(reader.session(id)?.map(|session| (id, session)));
    }
    Ok(sessions)
}

/// The sessions from whose address somebody failed to log in while they were open, and in the first hour.
fn tried_again(changes: &[Change], reader: &Reader) -> Result<BTreeMap<i64, Session>, StoreError> {
    let mut first: BTreeMap<IpAddr, Timestamp> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.kind == ChangeKind::Attempt) {
        if let Some(address) = reader.failed_from(change.id)? {
            first.entry(address).and_modify(|at| *at = change.at.min(*at)).or_insert(change.at);
        }
    }
    let mut sessions = BTreeMap::new();
    for (address, at) in first {
        for id in reader.open_from(address, at, AT_MOST)? {
            let session = reader.session(id)?.filter(|session| at.duration_since(session.opened_at) <= AFTER);
            sessions.extend(session.map(|session| (id, session)));
        }
    }
    Ok(sessions)
}

/// Whether a session that was told as one level must be told again.
fn rises(from: Level, to: Level) -> bool {
    to >= Level::Medium && to > from
}

/// The number of the announcement of a level, for ever.
const fn number_of(level: Level) -> u32 {
    match level {
        Level::Unknown => 0,
        Level::Low => 1,
        Level::Medium => 2,
        Level::High => 3,
    }
}

#[cfg(test)]
mod tests;
