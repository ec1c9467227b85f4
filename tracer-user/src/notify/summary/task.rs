//! The task that tells summaries when they are due.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{collect, schedule};
use crate::config::Schedule;
use crate::notify::SharedOutbox;
use crate::notify::news::Herald;
use crate::notify::trouble::Trouble;
use crate::store::StoreError;

/// How long after its time a summary is made: what happened last is stored and rated by then.
const SETTLE: SignedDuration = SignedDuration::from_secs(10);

/// Longest sleep without looking at the wall clock, which may be set meanwhile.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// Tells the summaries of all schedules.
pub(in crate::notify) struct Summaries {
    pub(in crate::notify) schedules: Vec<Schedule>,
    pub(in crate::notify) state_dir: PathBuf,
    pub(in crate::notify) outbox: SharedOutbox,
    pub(in crate::notify) herald: Rc<Herald>,
}

impl Summaries {
    /// Runs until the role ends.
    ///
    /// # Errors
    /// The outbox is damaged.
    pub(in crate::notify) async fn run(self) -> anyhow::Result<()> {
        if self.schedules.is_empty() {
            return std::future::pending().await;
        }
        let mut trouble = Trouble::with("a summary cannot be made yet");
        loop {
            match self.tell_due().await {
                Ok(next) => {
                    trouble.is_over();
                    tokio::time::sleep(next.min(CLOCK_CHECK)).await;
                }
                Err(error) if self.is_mine(&error) => return Err(error.into()),
                Err(error) => trouble.wait(&error).await,
            }
        }
    }

    /// Whether it is the outbox that is damaged: another database is set aside by whoever writes it.
    fn is_mine(&self, error: &StoreError) -> bool {
        let outbox = crate::notify::outbox::path(&self.state_dir);
        matches!(error, StoreError::Damaged { path, .. } if *path == outbox)
    }

    /// Tells what is due; says how long there is nothing more.
    async fn tell_due(&self) -> Result<Duration, StoreError> {
        let zone = TimeZone::system();
        let now = Timestamp::now().checked_sub(SETTLE).unwrap_or(Timestamp::MIN);
        // Those of the same time say the same.
        let mut made = BTreeMap::new();
        for schedule in &self.schedules {
            let told = self.outbox.borrow_mut().summarized(&schedule.name(), now)?;
            let Some(due) = schedule::last_due(schedule, now, &zone).filter(|due| *due > told) else {
                continue;
            };
            let from = schedule::begin(schedule, due, told, &zone);
            let summary = match made.get(&(from, due)) {
                Some(summary) => summary,
                None => made.entry((from, due)).or_insert(self.collect(from, due, &zone).await?),
            };
            let news = self.herald.summary(schedule, summary.clone());
            self.outbox.borrow_mut().tell_summary(&schedule.name(), due, &news, Timestamp::now())?;
            tracing::info!(schedule = %schedule.name(), %from, until = %due, "a summary is told");
            self.herald.ring();
        }
        let next =
            self.schedules.iter().filter_map(|schedule| schedule::next_due(schedule, now, &zone)).min();
        let wait = next.map_or(SignedDuration::MAX, |next| next.duration_since(now));
        Ok(Duration::try_from(wait).unwrap_or_default())
    }

    async fn collect(
        &self,
        from: Timestamp,
        until: Timestamp,
        zone: &TimeZone,
    ) -> Result<super::Summary, StoreError> {
        let (state_dir, host, zone) = (self.state_dir.clone(), self.herald.host.clone(), zone.clone());
        let collected =
            tokio::task::spawn_blocking(move || collect::collect(&state_dir, &host, from, until, &zone));
        match collected.await {
            Ok(collected) => collected,
            // It can only have panicked, and that is said by itself.
            Err(error) => {
                Err(StoreError::File { path: self.state_dir.clone(), source: std::io::Error::other(error) })
            }
        }
    }
}
