//! Keeps the queues within their limits and forgets what came to its end long ago, in small steps: those who send are
//! never kept waiting for it.

use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::SharedOutbox;
use super::news::Herald;
use super::outbox::{Limits, Loss};
use crate::store::StoreError;

/// How often it is looked after. A queue may be beyond its limits for so long.
const EVERY: Duration = Duration::from_secs(60);

/// How many deliveries are forgotten in one transaction.
const STEP: u32 = 500;

/// What others may do between two steps.
const PAUSE: Duration = Duration::from_millis(20);

/// The task that clears up.
pub(super) struct Upkeep {
    pub(super) outbox: SharedOutbox,
    pub(super) sinks: Vec<(String, Limits)>,
    /// How long what came to its end stays.
    pub(super) keep: Duration,
    pub(super) herald: Rc<Herald>,
}

impl Upkeep {
    /// Runs until the role ends.
    ///
    /// # Errors
    /// The outbox is damaged.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        loop {
            match self.once().await {
                Ok(()) => {}
                Err(error @ StoreError::Damaged { .. }) => return Err(error.into()),
                Err(error) => {
                    let error: &dyn Error = &error;
                    tracing::warn!(error, "the queues cannot be cleared up yet");
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn once(&self) -> Result<(), StoreError> {
        for (sink, limits) in &self.sinks {
            loop {
                let lost = self.outbox.borrow_mut().enforce(sink, *limits, Timestamp::now())?;
                if lost == Loss::default() {
                    break;
                }
                tracing::error!(
                    %sink,
                    expired = lost.expired,
                    dropped = lost.dropped,
                    "messages were given up: they were older than max_age, or more than max_queued"
                );
                tokio::time::sleep(PAUSE).await;
            }
            self.tell(sink)?;
        }
        let keep = SignedDuration::try_from(self.keep).unwrap_or(SignedDuration::MAX);
        let Ok(before) = Timestamp::now().checked_sub(keep) else { return Ok(()) };
        while self.outbox.borrow_mut().prune(before, STEP)? > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    fn tell(&self, sink: &str) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let mut outbox = self.outbox.borrow_mut();
        let Some(loss) = outbox.untold_loss(sink, now)? else { return Ok(()) };
        outbox.tell_loss(sink, loss, &self.herald.lost(sink, loss, now), now)?;
        drop(outbox);
        self.herald.ring();
        Ok(())
    }
}
