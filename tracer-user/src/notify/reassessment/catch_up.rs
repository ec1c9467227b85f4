//! What a role that ended left undone: files that changed while nobody looked, and look-ups that were under way.
//!
//! Promises:
//! - Nobody is rated again without a reason: each rating names the edition of the files that it rests on, and who had not
//!   answered. Both are replaced together with the rating, so whenever the role is killed, the rest is done after the next
//!   start, and nothing twice.
//! - What is remembered is not asked for, and what the quotas forbid is not asked at all: the look-ups go the same way as
//!   all others, and so slowly that most of the quota is left to those who log in now.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use super::{LATE, Pages, Reassessment};
use crate::notify::{Step, backoff, chance};
use crate::session::SessionKey;
use crate::store::{Filter, StoreError};

/// How long an answer is waited for: longer than any service is.
const PATIENCE: Duration = Duration::from_secs(15);
/// Distance of look-ups that go out: services with small quotas take ten a minute.
const APART: Duration = Duration::from_secs(12);

impl Reassessment {
    /// Makes up for it, again and again until that succeeds.
    pub(super) async fn catch_up(&self) {
        let mut failures = 0;
        while let Err(error) = self.try_to_catch_up().await {
            if matches!(error, StoreError::Missing { .. }) {
                // Nobody was ever rated.
                return;
            }
            failures += 1;
            let pause = backoff::local_delay(failures, chance());
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                ?pause,
                "sessions cannot be rated again yet"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_to_catch_up(&self) -> Result<(), StoreError> {
        self.files_changed().await?;
        let enricher = Rc::clone(self.assessor.enricher());
        let mut is_first = true;
        for (address, sessions) in self.incomplete().await? {
            let facts = match enricher.at_hand(Some(address), Timestamp::now()) {
                Some(facts) => facts,
                None => {
                    if !std::mem::take(&mut is_first) {
                        tokio::time::sleep(APART).await;
                    }
                    enricher.ask_within(PATIENCE, address).await
                }
            };
            (self.on_step)(Step::Enrich);
            self.again(&sessions, |_, old| old.are_incomplete().then(|| facts.clone())).await?;
        }
        Ok(())
    }

    /// The sessions whose rating waits for an answer, by the address that it is about: those that are open, and those that
    /// it would have come late for.
    async fn incomplete(&self) -> Result<BTreeMap<IpAddr, Vec<SessionKey>>, StoreError> {
        let mut found: BTreeMap<IpAddr, Vec<SessionKey>> = BTreeMap::new();
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
                    if rating.is_some_and(|(_, facts)| facts.are_incomplete()) {
                        found.entry(address).or_default().push(session.key);
                    }
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(found)
    }
}
