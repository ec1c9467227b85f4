//! Rates sessions again when more becomes known: what a service says after the deadline, a list that changes, refused tries
//! after the login, how somebody came in where that was not known at once. (A user id that is gained inside is told anyway,
//! and rated again with that: see [`super::intake`].)
//!
//! Promises:
//! - The newest rating is the one that is shown. A session whose level rises to medium or high is announced again,
//!   at most once for each of the two, whatever happens and however often: the announcement is named by session and level.
//! - What falls is not announced.
//! - What follows from changes of `sessions.db` is written with the position after them: a role that dies in between does
//!   both again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::announce::{Announcer, Name};
use super::assessor::Assessor;
use super::message::{Event, Subject};
use super::outbox::{NewAnnouncement, Rating, TakenIn};
use super::{SharedOutbox, groups};
use crate::assess::Level;
use crate::enrich::Facts;
use crate::enrich::local::watch::Watch;
use crate::session::{Change, ChangeKind, Session};
use crate::store::{Filter, Reader, StoreError};

/// How long after a login what comes in late is about it.
const LATE: SignedDuration = SignedDuration::from_mins(10);
/// How long after a login refused tries from its address count; as the rule has it.
const AFTER: SignedDuration = SignedDuration::from_hours(1);
/// So many sessions are looked at for one event: those that are open, or are from one address.
const AT_MOST: u32 = 1_000;

/// The task that rates again.
pub(super) struct Reassessment {
    pub(super) outbox: SharedOutbox,
    pub(super) assessor: Rc<Assessor>,
    pub(super) announcer: Rc<Announcer>,
    /// What came late, until somebody looks.
    pub(super) late: Rc<RefCell<Vec<(IpAddr, Facts)>>>,
    /// Rings when something came late.
    pub(super) wake: Rc<Notify>,
    /// Those who send.
    pub(super) wake_workers: Vec<Rc<Notify>>,
}

impl Reassessment {
    /// Runs until the role ends. What goes wrong here costs a second look, and no message.
    pub(super) async fn run(&self) {
        let mut files = match Watch::new(self.assessor.enricher().local()) {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(%error, "changes of lists and databases go unnoticed until a restart");
                None
            }
        };
        loop {
            let late: Vec<_> = self.late.borrow_mut().drain(..).collect();
            for (address, facts) in late {
                self.report(self.late_facts(address, &facts).await);
            }
            let changed = async {
                match &mut files {
                    Some(files) => files.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
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

    /// A service answered after the message had gone out.
    async fn late_facts(&self, address: IpAddr, facts: &Facts) -> Result<(), StoreError> {
        let since = Timestamp::now() - LATE;
        let filter = Filter {
            network: Some(address.into()),
            since: Some(since),
            limit: Some(AT_MOST),
            ..Filter::default()
        };
        let sessions = self.assessor.with_reader(|reader| reader.sessions(&filter))?;
        self.again(sessions, |_, _| facts.clone()).await
    }

    /// A list or a database has new content.
    async fn files_changed(&self) -> Result<(), StoreError> {
        let filter = Filter { active: true, limit: Some(AT_MOST), ..Filter::default() };
        let sessions = self.assessor.with_reader(|reader| reader.sessions(&filter))?;
        let local = self.assessor.enricher();
        self.again(sessions, |session, facts| match &session.peer {
            Some(peer) => {
                let mut facts = facts;
                facts.listings.clear();
                facts.unreadable.clear();
                local.local().add_to(&mut facts, peer.ip().to_canonical());
                facts
            }
            None => facts,
        })
        .await
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

    /// Rates sessions again with facts made from those that they were rated with.
    async fn again(
        &self,
        sessions: Vec<Session>,
        facts: impl Fn(&Session, Facts) -> Facts,
    ) -> Result<(), StoreError> {
        for session in sessions {
            let stored = self.outbox.borrow().rating(session.key)?;
            // One that was not rated yet will be, with all that is known by then.
            let Some(old) = stored else { continue };
            let facts = facts(&session, old.1.clone());
            let new = self.assessor.with_reader(|reader| Ok(self.assessor.rate(reader, &session, facts)))?;
            if new != old {
                self.settle(&session, &old, &new).await?;
            }
            // A list that changes may concern many: the others get their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn settle(&self, session: &Session, old: &Rating, new: &Rating) -> Result<(), StoreError> {
        let announcement = self.rise(session, old, new).await?;
        self.outbox.borrow_mut().reassess(session.key, new, announcement.as_ref(), Timestamp::now())?;
        for worker in &self.wake_workers {
            worker.notify_one();
        }
        Ok(())
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
mod tests {
    use super::*;

    #[test]
    fn only_yellow_and_red_are_told_again() {
        use Level::{High, Low, Medium, Unknown};
        let told = [(Unknown, Medium), (Unknown, High), (Low, Medium), (Low, High), (Medium, High)];
        for from in [Unknown, Low, Medium, High] {
            for to in [Unknown, Low, Medium, High] {
                assert_eq!(rises(from, to), told.contains(&(from, to)), "{from} {to}");
            }
        }
        assert_ne!(number_of(Medium), number_of(High));
    }
}
