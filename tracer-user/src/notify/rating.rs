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
use super::route::Beginning;
use super::{OnStep, SharedOutbox, Step, backoff, chance, groups};
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
    pub(super) on_step: OnStep,
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
        loop {
            match self.begin(&mut seen, &mut waiting, &mut asked) {
                Ok(()) => {}
                Err(error) => pause_or_give_up(error, 1).await?,
            }
            tokio::select! {
                () = self.wake.notified() => {}
                Some(done) = asked.join_next() => match done {
                    Ok((address, facts)) => {
                        (self.on_step)(Step::Enrich);
                        for session in waiting.remove(&address).unwrap_or_default() {
                            self.settle(session, &facts).await?;
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
        asked: &mut JoinSet<(IpAddr, Facts)>,
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
                    let facts = match at_hand {
                        Some(facts) => facts,
                        None => enricher.ask(address).await,
                    };
                    (address, facts)
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
        let mut failures = 0;
        while let Err(error) = self.try_to_settle(session, facts).await {
            failures += 1;
            pause_or_give_up(error, failures).await?;
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

/// Waits after a failure that may pass; a damaged outbox is for the next start.
async fn pause_or_give_up(error: StoreError, failures: u32) -> anyhow::Result<()> {
    if matches!(error, StoreError::Damaged { .. }) {
        return Err(error.into());
    }
    let pause = backoff::local_delay(failures, chance());
    tracing::warn!(error = &error as &dyn std::error::Error, ?pause, "ratings cannot be written yet");
    tokio::time::sleep(pause).await;
    Ok(())
}
