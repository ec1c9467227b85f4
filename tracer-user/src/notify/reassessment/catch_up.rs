//! What a role that ended left undone: files that changed while nobody looked, and look-ups that were under way. And what
//! nobody asks otherwise: what services say by now of those who are in for days.
//!
//! Promises:
//! - Nobody is rated again without a reason: each rating names the edition of the files that it rests on, and what each
//!   service said. Both are replaced together with the rating, so whenever the role is killed, the rest is done after the
//!   next start, and nothing twice.
//! - What is remembered is not asked for, and what the quotas forbid is not asked at all. Where nobody waits for an answer,
//!   half of each quota is left to those who log in, and the look-ups go out slowly.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use super::{LATE, Pages, Reassessment};
use crate::enrich::quota::Share;
use crate::notify::Step;
use crate::notify::trouble::Trouble;
use crate::session::SessionKey;
use crate::store::{Filter, StoreError};

/// How long an answer is waited for: longer than any service is.
const PATIENCE: Duration = Duration::from_secs(15);
/// Distance of look-ups that go out: services with small quotas take ten a minute.
const APART: Duration = Duration::from_secs(12);

/// Sessions from one address.
#[derive(Default)]
struct Visitors {
    sessions: Vec<SessionKey>,
    /// Whether one of them waits for an answer.
    wait: bool,
}

impl Reassessment {
    /// At the start and every day after it. What fails is tried again and again until it succeeds.
    pub(super) async fn catch_up(&self) {
        let mut trouble = Trouble::with("sessions cannot be rated again yet");
        loop {
            match self.try_to_catch_up().await {
                // Without a store nobody was ever rated.
                Ok(()) | Err(StoreError::Missing { .. }) => {
                    trouble.is_over();
                    tokio::time::sleep(self.day).await;
                }
                Err(error) => trouble.wait(&error).await,
            }
        }
    }

    async fn try_to_catch_up(&self) -> Result<(), StoreError> {
        self.files_changed().await?;
        let enricher = Rc::clone(self.assessor.enricher());
        let mut is_first = true;
        for (address, visitors) in self.visitors().await? {
            let facts = match enricher.at_hand(Some(address), Timestamp::now()) {
                Some(facts) => facts,
                None => {
                    if !std::mem::take(&mut is_first) {
                        tokio::time::sleep(APART).await;
                    }
                    let share = if visitors.wait { Share::Whole } else { Share::Half };
                    let facts = enricher.ask_within(PATIENCE, share, address).await;
                    (self.on_step)(Step::Enrich);
                    facts
                }
            };
            self.renew(&visitors.sessions, &facts).await?;
        }
        Ok(())
    }

    /// The rated sessions that an answer is about, by their address: those that are open, and those that wait for it and
    /// that it would have come late for. Those who wait come first.
    async fn visitors(&self) -> Result<Vec<(IpAddr, Visitors)>, StoreError> {
        let mut found: BTreeMap<IpAddr, Visitors> = BTreeMap::new();
        let mut seen = HashSet::new();
        let open = Filter { active: true, ..Filter::default() };
        let late = Filter { since: Some(Timestamp::now() - LATE), ..Filter::default() };
        for filter in [open, late] {
            let mut pages = Pages::of(filter);
            while let Some(sessions) = pages.next(&self.assessor)? {
                for session in sessions {
                    let Some(address) = session.peer.as_ref().map(SocketAddr::ip) else { continue };
                    if !seen.insert(session.key) {
                        continue;
                    }
                    let rating = self.outbox.borrow().rating(session.key)?;
                    let Some((_, facts)) = rating else { continue };
                    let waits = facts.are_incomplete();
                    if waits || session.closed.is_none() {
                        let visitors = found.entry(address).or_default();
                        visitors.sessions.push(session.key);
                        visitors.wait |= waits;
                    }
                }
                tokio::task::yield_now().await;
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(_, visitors)| !visitors.wait);
        Ok(found)
    }
}
