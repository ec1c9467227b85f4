//! One worker for each sink: claim, send, record, and again. A sink that is dead, slow or throttled delays nobody else.
//!
//! Within a sink, a message that fails goes to the back of the queue with a time of its own; a failure that is the
//! service's (no answer, 429, 5xx) also gives the sink a rest, so that a queue of thousands does not knock on a closed
//! door. Any other answer ends the rest. A sink that is gone is suspended: its queue waits, and the others tell it.
//!
//! What has come back is written down together before anything else is claimed, so what a crash repeats is at most what
//! was under way, [`Worker::at_once`] messages.

use std::collections::HashMap;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

use super::message;
use super::news::Herald;
use super::outbox::{Attempt, Claim, Delivery, Due, Grouping, LONGEST_ATTEMPT, Recorded};
use super::outcome::{DOUBTFUL_ATTEMPTS, Outcome};
use super::pace::Pace;
use super::sink::{Report, Sink};
use super::trouble::Trouble;
use super::{OnStep, SharedOutbox, Step, backoff, chance};
use crate::store::StoreError;

/// Longest sleep without looking at the wall clock, which may be set meanwhile.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// How long a result waits for that of another message that is under way, to be written down together: less than a disk
/// takes for one.
const GATHER: Duration = Duration::from_millis(1);

/// The task that serves one sink.
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) sink: Rc<dyn Sink>,
    pub(super) outbox: SharedOutbox,
    pub(super) pace: Pace,
    /// How changes are told together, if they are.
    pub(super) grouping: Option<Grouping>,
    /// How many messages may be under way beside each other.
    pub(super) at_once: usize,
    /// Recognises its configuration.
    pub(super) mark: Vec<u8>,
    pub(super) herald: Rc<Herald>,
    pub(super) bells: Bells,
    /// Becomes true when the role is to end.
    pub(super) stop: watch::Receiver<bool>,
    pub(super) on_step: OnStep,
}

/// What wakes a worker.
#[derive(Clone, Default)]
pub(super) struct Bells {
    /// There may be something to send.
    pub(super) work: Rc<Notify>,
    /// Somebody does not want the sink to rest any longer.
    pub(super) hurry: Rc<Notify>,
}

/// What is under way.
#[derive(Default)]
struct Flights {
    tasks: JoinSet<Landed>,
    deliveries: HashMap<tokio::task::Id, Uuid>,
}

/// An attempt that came to its end.
struct Landed {
    delivery: Delivery,
    report: Report,
    started: Timestamp,
    clock: Instant,
    took: Duration,
}

/// What a worker waits for, beside what is under way.
struct Pause {
    until: Option<Instant>,
    /// Whether new work ends it.
    until_woken: bool,
}

impl Worker {
    /// Runs until the role ends. What is being sent then is finished; whoever cannot wait for it drops this, and the next
    /// start sends it again.
    ///
    /// # Errors
    /// The outbox is damaged.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let (mut rest, mut flights, epoch) = (Rest::default(), Flights::default(), Instant::now());
        let mut trouble = self.trouble();
        self.remember_pace();
        while !*self.stop.borrow() {
            let pause = match self.launch(&rest, &mut flights, epoch) {
                Ok(pause) => {
                    trouble.is_over();
                    pause
                }
                Err(error) => {
                    trouble.wait_or_give_up(error).await?;
                    continue;
                }
            };
            let farthest = Instant::now() + CLOCK_CHECK;
            let until = pause.until.unwrap_or(farthest).min(farthest);
            tokio::select! {
                Some(landed) = flights.tasks.join_next_with_id(), if !flights.tasks.is_empty() => {
                    self.settle(landed, &mut flights, &mut rest).await?;
                }
                () = tokio::time::sleep_until(until) => {}
                () = self.bells.work.notified(), if pause.until_woken => {}
                () = self.bells.hurry.notified() => rest.end(Instant::now()),
                // The sender lives as long as the role; without it there is nothing to wait for either.
                _ = self.stop.changed() => {}
            }
        }
        while let Some(landed) = flights.tasks.join_next_with_id().await {
            self.settle(landed, &mut flights, &mut rest).await?;
        }
        Ok(())
    }

    fn trouble(&self) -> Trouble {
        Trouble::of_sink(&self.name, "the delivery database cannot be used")
    }

    /// Counts what an earlier run of the role sent a moment ago: a restart is no new budget.
    fn remember_pace(&mut self) {
        let ages = self.outbox.borrow().ages_of_attempts(
            &self.name,
            Timestamp::now(),
            self.pace.memory(),
            self.pace.count(),
        );
        // The budgets count from the longest time ago that matters.
        let start = self.pace.memory();
        for age in ages.unwrap_or_default().into_iter().rev() {
            self.pace.spend(start.saturating_sub(age));
        }
    }

    fn now(&self, epoch: Instant) -> Duration {
        epoch.elapsed() + self.pace.memory()
    }

    /// Sends whatever may be sent now; says what there is to wait for.
    fn launch(&mut self, rest: &Rest, flights: &mut Flights, epoch: Instant) -> Result<Pause, StoreError> {
        while flights.tasks.len() < self.at_once {
            if let Some(until) = rest.until() {
                return Ok(Pause { until: Some(until), until_woken: false });
            }
            let wait = self.pace.wait(self.now(epoch));
            if !wait.is_zero() {
                return Ok(Pause { until: Some(Instant::now() + wait), until_woken: false });
            }
            let now = Timestamp::now();
            let under_way = |delivery: &Uuid| flights.deliveries.values().any(|other| other == delivery);
            let mut outbox = self.outbox.borrow_mut();
            let released = outbox.release_expired(&self.name, now, under_way)?;
            if released > 0 {
                tracing::warn!(sink = %self.name, released, "deliveries were claimed and forgotten; they are sent again");
            }
            let due = match self.grouping {
                None => outbox.due(&self.name, now)?,
                Some(grouping) => outbox.due_grouped(&self.name, now, grouping, |changes| {
                    message::group(changes, &TimeZone::system())
                })?,
            };
            let delivery = match due {
                Due::Now(delivery) => *delivery,
                Due::At(at) => {
                    return Ok(Pause { until: Some(Instant::now() + until(at)), until_woken: true });
                }
                Due::Nothing => return Ok(Pause { until: None, until_woken: true }),
            };
            match outbox.claim(delivery.id, now)? {
                Claim::Held => {}
                Claim::NotWaiting => continue,
            }
            drop(outbox);
            (self.on_step)(Step::Claim);
            self.pace.spend(self.now(epoch));
            let id = delivery.id;
            let task = flights.tasks.spawn_local(send(Rc::clone(&self.sink), delivery));
            flights.deliveries.insert(task.id(), id);
        }
        Ok(Pause { until: None, until_woken: false })
    }

    /// Writes down what came of an attempt, together with all that came back meanwhile.
    async fn settle(
        &mut self,
        first: Result<(tokio::task::Id, Landed), JoinError>,
        flights: &mut Flights,
        rest: &mut Rest,
    ) -> anyhow::Result<()> {
        let (mut attempts, mut gone) = (Vec::new(), None);
        let mut next = Some(first);
        while let Some(landed) = next {
            match landed {
                Ok((task, landed)) => {
                    flights.deliveries.remove(&task);
                    (self.on_step)(Step::Send);
                    if let Outcome::Gone { why } = &landed.report.outcome {
                        gone = Some(why.clone());
                    }
                    attempts.push(self.attempt(landed, rest));
                }
                Err(error) => {
                    // Its claim ends with the lease.
                    flights.deliveries.remove(&error.id());
                    tracing::error!(sink = %self.name, %error, "an attempt broke off");
                }
            }
            next = self.next_landed(flights).await;
        }
        // It was sent: as long as that cannot be written down, nothing else may happen to these deliveries.
        let mut trouble = self.trouble();
        loop {
            let recorded = self.outbox.borrow_mut().record(&attempts);
            match recorded {
                Ok(()) => break,
                Err(error) => trouble.wait_or_give_up(error).await?,
            }
        }
        for _ in &attempts {
            (self.on_step)(Step::Record);
        }
        if let Some(why) = gone {
            self.suspend(&why)?;
        }
        Ok(())
    }

    /// What else comes back before a disk could be done with what there is.
    async fn next_landed(
        &self,
        flights: &mut Flights,
    ) -> Option<Result<(tokio::task::Id, Landed), JoinError>> {
        if flights.tasks.is_empty() {
            return None;
        }
        tokio::time::timeout(GATHER, flights.tasks.join_next_with_id()).await.unwrap_or(None)
    }

    fn attempt(&self, landed: Landed, rest: &mut Rest) -> Attempt {
        let result = self.consequence(&landed, rest);
        Attempt {
            delivery: landed.delivery.id,
            number: landed.delivery.attempt,
            started: landed.started,
            took: landed.took,
            status: landed.report.status,
            receipt: landed.report.receipt,
            result,
        }
    }

    /// What follows from a report, for the delivery and for the sink.
    fn consequence(&self, landed: &Landed, rest: &mut Rest) -> Recorded {
        let (sink, delivery) = (&self.name, &landed.delivery);
        let (id, attempt) = (delivery.id, delivery.attempt);
        match &landed.report.outcome {
            Outcome::Delivered => {
                rest.end(landed.clock);
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
                rest.end(landed.clock);
                tracing::error!(%sink, delivery = %id, attempt, %why, "parked: it will not be tried again");
                Recorded::Parked { why: why.clone() }
            }
            // Nothing is wrong with the message: it waits with the others.
            Outcome::Gone { why } => Recorded::Retry { at: Timestamp::now(), why: why.clone() },
        }
    }

    fn retry(&self, delivery: &Delivery, after: Option<Duration>, why: &str) -> Recorded {
        let wait = backoff::delay(delivery.attempt, after, chance());
        let at = SignedDuration::try_from(wait).ok().and_then(|wait| Timestamp::now().checked_add(wait).ok());
        let (sink, id, attempt) = (&self.name, delivery.id, delivery.attempt);
        tracing::warn!(%sink, delivery = %id, attempt, %why, ?wait, "not delivered yet");
        Recorded::Retry { at: at.unwrap_or(Timestamp::MAX), why: why.to_owned() }
    }

    /// Holds the sink back. What keeps that from being written down keeps it for one more attempt.
    fn suspend(&self, why: &str) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let news = self.herald.suspended(&self.name, why, now);
        let suspended = self.outbox.borrow_mut().suspend(&self.name, why, &self.mark, &news, now);
        match suspended {
            Ok(true) => {
                tracing::error!(
                    sink = %self.name,
                    %why,
                    "suspended: it does not take messages any more, and they wait; correct its configuration and restart, \
                     or run `login-tracer queue resume`"
                );
                self.herald.ring();
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(error @ StoreError::Damaged { .. }) => Err(error.into()),
            Err(error) => {
                let error: &dyn Error = &error;
                tracing::warn!(error, sink = %self.name, "the suspension of a sink cannot be written down yet");
                Ok(())
            }
        }
    }
}

/// Makes one attempt; it ends before its claim does.
async fn send(sink: Rc<dyn Sink>, delivery: Delivery) -> Landed {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let report = match tokio::time::timeout(LONGEST_ATTEMPT, sink.send(&delivery)).await {
        Ok(report) => report,
        Err(_) => Report::no_answer(format!("it came to no end within {LONGEST_ATTEMPT:?}")),
    };
    Landed { delivery, report, started, clock, took: clock.elapsed() }
}

/// The rest of a sink whose service failed.
#[derive(Debug, Default)]
struct Rest {
    failures: u32,
    begun: Option<Instant>,
    until: Option<Instant>,
}

impl Rest {
    fn begin(&mut self, asked: Option<Duration>) {
        // What was under way beside the first failure says nothing new, unless it asks for a longer rest.
        if self.until().is_none() {
            self.failures = self.failures.saturating_add(1);
        }
        let now = Instant::now();
        let until = now + backoff::delay(self.failures, asked, chance());
        self.until = Some(self.until.map_or(until, |earlier| earlier.max(until)));
        self.begun = Some(now);
    }

    /// Ends it, for an attempt that began at that time: one before the rest knows nothing of it.
    fn end(&mut self, attempt: Instant) {
        if self.begun.is_none_or(|begun| begun <= attempt) {
            *self = Self::default();
        }
    }

    fn until(&self) -> Option<Instant> {
        self.until.filter(|until| *until > Instant::now())
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
}
