//! One worker for each sink: claim, send, record, and again. A sink that is dead, slow or throttled delays nobody else.
//!
//! Within a sink, a message that fails goes to the back of the queue with a time of its own; a failure that is the
//! service's (no answer, 429, 5xx) also gives the sink a rest, so that a queue of thousands does not knock on a closed
//! door. Any other answer ends the rest.

use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::outbox::{Attempt, Delivery, Due, Recorded};
use super::outcome::{DOUBTFUL_ATTEMPTS, Outcome};
use super::sink::{Report, Sink};
use super::{OnStep, SharedOutbox, Step, backoff, chance};
use crate::store::StoreError;

/// Longest sleep without looking at the wall clock, which may be set meanwhile.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// The task that serves one sink.
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) sink: Box<dyn Sink>,
    pub(super) outbox: SharedOutbox,
    /// Rings when there may be something to send.
    pub(super) wake: Rc<Notify>,
    /// Becomes true when the role is to end.
    pub(super) stop: watch::Receiver<bool>,
    pub(super) on_step: OnStep,
}

impl Worker {
    /// Runs until the role ends. What is being sent then is finished; whoever cannot wait for it drops this, and the next
    /// start sends it again.
    ///
    /// # Errors
    /// The outbox is damaged.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let mut rest = Rest::default();
        let mut troubles = 0;
        while !*self.stop.borrow() {
            if let Some(until) = rest.until() {
                self.idle(Some(until), false).await;
                continue;
            }
            let due = self.outbox.borrow_mut().due(&self.name, Timestamp::now());
            match due {
                Ok(Due::Now(delivery)) => {
                    troubles = 0;
                    self.deliver(&delivery, &mut rest).await?;
                }
                Ok(Due::At(at)) => self.idle(Some(Instant::now() + until(at)), true).await,
                Ok(Due::Nothing) => self.idle(None, true).await,
                Err(error) => {
                    troubles += 1;
                    self.trouble(error, troubles).await?;
                }
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, delivery: &Delivery, rest: &mut Rest) -> anyhow::Result<()> {
        let mut troubles = 0;
        loop {
            let claimed = self.outbox.borrow_mut().claim(delivery.id);
            match claimed {
                Ok(()) => break,
                Err(error) if *self.stop.borrow() => return Err(error.into()),
                Err(error) => {
                    troubles += 1;
                    self.trouble(error, troubles).await?;
                }
            }
        }
        (self.on_step)(Step::Claim);
        let (started, clock) = (Timestamp::now(), Instant::now());
        let report = self.sink.send(delivery).await;
        let took = clock.elapsed();
        (self.on_step)(Step::Send);
        let result = self.consequence(delivery, &report, rest);
        let attempt = Attempt {
            delivery: delivery.id,
            number: delivery.attempt,
            started,
            took,
            status: report.status,
            receipt: report.receipt,
            result,
        };
        // It was sent: as long as that cannot be written down, nothing else may happen to this delivery.
        let mut troubles = 0;
        loop {
            let recorded = self.outbox.borrow_mut().record(&attempt);
            match recorded {
                Ok(()) => break,
                Err(error) => {
                    troubles += 1;
                    self.trouble(error, troubles).await?;
                }
            }
        }
        (self.on_step)(Step::Record);
        Ok(())
    }

    /// What follows from a report, for the delivery and for the sink.
    fn consequence(&self, delivery: &Delivery, report: &Report, rest: &mut Rest) -> Recorded {
        let (sink, id, attempt) = (&self.name, delivery.id, delivery.attempt);
        match &report.outcome {
            Outcome::Delivered => {
                rest.end();
                tracing::info!(%sink, delivery = %id, attempt, "delivered");
                Recorded::Delivered
            }
            Outcome::Retry { after, why } => {
                rest.begin(*after);
                self.retry(delivery, *after, why)
            }
            Outcome::Doubtful { why } if attempt < DOUBTFUL_ATTEMPTS => {
                rest.begin(None);
                self.retry(delivery, None, why)
            }
            Outcome::Doubtful { why } | Outcome::Park { why } => {
                rest.end();
                tracing::error!(%sink, delivery = %id, attempt, %why, "parked: it will not be tried again");
                Recorded::Parked { why: why.clone() }
            }
        }
    }

    fn retry(&self, delivery: &Delivery, after: Option<Duration>, why: &str) -> Recorded {
        let wait = backoff::delay(delivery.attempt, after, chance());
        let at = SignedDuration::try_from(wait).ok().and_then(|wait| Timestamp::now().checked_add(wait).ok());
        let (sink, id, attempt) = (&self.name, delivery.id, delivery.attempt);
        tracing::warn!(%sink, delivery = %id, attempt, %why, ?wait, "not delivered yet");
        Recorded::Retry { at: at.unwrap_or(Timestamp::MAX), why: why.to_owned() }
    }

    /// Sleeps until the time, the next sign of work if that is asked for, or the end of the role.
    async fn idle(&mut self, until: Option<Instant>, until_woken: bool) {
        let farthest = Instant::now() + CLOCK_CHECK;
        let until = until.unwrap_or(farthest).min(farthest);
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = self.wake.notified(), if until_woken => {}
            // The sender lives as long as the role; without it there is nothing to wait for either.
            _ = self.stop.changed() => {}
        }
    }

    /// Waits after a failure of the outbox that may pass: a full disk, a busy database.
    async fn trouble(&self, error: StoreError, troubles: u32) -> anyhow::Result<()> {
        if matches!(error, StoreError::Damaged { .. }) {
            return Err(error.into());
        }
        let pause = backoff::local_delay(troubles, chance());
        let error: &dyn Error = &error;
        tracing::warn!(error, sink = %self.name, ?pause, "the delivery database cannot be used");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// The rest of a sink whose service failed.
#[derive(Debug, Default)]
struct Rest {
    failures: u32,
    until: Option<Instant>,
}

impl Rest {
    fn begin(&mut self, asked: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.until = Some(Instant::now() + backoff::delay(self.failures, asked, chance()));
    }

    fn end(&mut self) {
        *self = Self::default();
    }

    fn until(&self) -> Option<Instant> {
        self.until.filter(|until| *until > Instant::now())
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
}
