//! Rates the sessions that somebody must be asked about, and writes their messages.
//!
//! Each address is asked about once at a time, all addresses beside each other: one slow look-up holds up only the
//! sessions from its own address, and those for the deadline at most.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::announce::{Announcer, Name};
use super::assessor::Assessor;
use super::outbox::Pending;
use super::reassessment::Fresh;
use super::route::Beginning;
use super::trouble::Trouble;
use super::{OnStep, SharedOutbox, Step, groups};
use crate::enrich::Facts;
use crate::session::SessionKey;
use crate::store::StoreError;

/// The task that rates.
pub(super) struct Rating {
    pub(super) outbox: SharedOutbox,
    pub(super) assessor: Rc<Assessor>,
    pub(super) announcer: Rc<Announcer>,
    /// Rings when there is something to rate.
    pub(super) wake: Rc<Notify>,
    /// Those who send.
    pub(super) wake_workers: Vec<Rc<Notify>>,
    /// Those who are in already, from the same address, are told what was answered.
    pub(super) fresh: Rc<Fresh>,
    pub(super) on_step: OnStep,
}

/// What is said where the outbox does not take them.
const NOT_WRITTEN: &str = "ratings cannot be written yet";

/// What was found of an address.
struct Found {
    address: IpAddr,
    facts: Facts,
    /// Whether it was not known already.
    was_asked: bool,
}

/// Sessions that wait for the facts of their address.
type Waiting = HashMap<IpAddr, Vec<SessionKey>>;

impl Rating {
    /// Runs until the role ends.
    ///
    /// # Errors
    /// The outbox is damaged.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut waiting = Waiting::new();
        let mut asked = JoinSet::new();
        let mut seen = 0;
        let mut trouble = Trouble::with(NOT_WRITTEN);
        loop {
            match self.begin(&mut seen, &mut waiting, &mut asked) {
                Ok(()) => trouble.is_over(),
                Err(error) => trouble.wait_or_give_up(error).await?,
            }
            tokio::select! {
                () = self.wake.notified() => {}
                Some(done) = asked.join_next() => match done {
                    Ok(Found { address, facts, was_asked }) => {
                        (self.on_step)(Step::Enrich);
                        for session in waiting.remove(&address).unwrap_or_default() {
                            self.settle(session, &facts).await?;
                        }
                        if was_asked {
                            self.fresh.tell(address, facts);
                        }
                    }
                    Err(error) => tracing::error!(%error, "a look-up broke off"),
                },
            }
        }
    }

    /// Begins to ask for everything that is new.
    fn begin(
        &self,
        seen: &mut i64,
        waiting: &mut Waiting,
        asked: &mut JoinSet<Found>,
    ) -> Result<(), StoreError> {
        let pending = self.outbox.borrow().pending(*seen)?;
        for announcement in pending {
            *seen = announcement.id;
            let Some(address) = address(&announcement) else {
                continue;
            };
            let sessions = waiting.entry(address).or_insert_with(|| {
                let enricher = Rc::clone(self.assessor.enricher());
                asked.spawn_local(async move {
                    let at_hand = enricher.at_hand(Some(address), Timestamp::now());
                    let was_asked = at_hand.is_none();
                    let facts = match at_hand {
                        Some(facts) => facts,
                        None => enricher.ask(address).await,
                    };
                    Found { address, facts, was_asked }
                });
                Vec::new()
            });
            if !sessions.contains(&announcement.session) {
                sessions.push(announcement.session);
            }
        }
        Ok(())
    }

    /// Rates a session and writes all messages that wait for it, until that succeeds.
    async fn settle(&self, session: SessionKey, facts: &Facts) -> anyhow::Result<()> {
        let mut trouble = Trouble::with(NOT_WRITTEN);
        while let Err(error) = self.try_to_settle(session, facts).await {
            trouble.wait_or_give_up(error).await?;
        }
        (self.on_step)(Step::Assess);
        for wake in &self.wake_workers {
            wake.notify_one();
        }
        Ok(())
    }

    async fn try_to_settle(&self, session: SessionKey, facts: &Facts) -> Result<(), StoreError> {
        let waiting = self.outbox.borrow().pending_of(session)?;
        let users = waiting.iter().filter_map(|waiting| groups::user_of(&waiting.event)).map(str::to_owned);
        self.announcer.directory.ask(users).await;
        self.write(session, facts)
    }

    fn write(&self, session: SessionKey, facts: &Facts) -> Result<(), StoreError> {
        let mut outbox = self.outbox.borrow_mut();
        let waiting = outbox.pending_of(session)?;
        // A rating that exists stays: it is changed only by what is learned later.
        let rating = match outbox.rating(session)? {
            Some(rating) => rating,
            None => {
                let subject = waiting.first().and_then(|announcement| announcement.event.subject());
                let at = subject.map_or(Timestamp::UNIX_EPOCH, |subject| subject.opened_at);
                let address = waiting.first().and_then(address);
                self.assessor.rate_key(session, at, address, facts.clone())
            }
        };
        let now = Timestamp::now();
        let mut beginning = outbox.beginning(session)?;
        let mut finished = Vec::new();
        for Pending { id, subject, kind, seq, event, .. } in waiting {
            let name = Name { subject: &subject, kind, seq };
            let announcement = self.announcer.finish(name, &event, Some(&rating), &beginning, now);
            if beginning == Beginning::Undecided {
                beginning = Beginning::of(Some(&announcement.verdict));
            }
            finished.push((id, announcement));
        }
        outbox.rate(session, &rating, &finished, now)
    }
}

/// The address to ask about. A session without one is rated when it is taken in.
fn address(announcement: &Pending) -> Option<IpAddr> {
    announcement.event.subject()?.peer.as_ref().map(SocketAddr::ip)
}
