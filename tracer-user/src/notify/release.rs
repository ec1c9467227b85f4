//! Puts what quiet hours held into the queue when they are over.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::SharedOutbox;
use super::trouble::Trouble;

/// Longest sleep without looking at the wall clock, which may be set meanwhile.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// The task that ends quiet hours.
pub(super) struct Release {
    pub(super) outbox: SharedOutbox,
    /// Rings when something may have been held.
    pub(super) wake: Rc<Notify>,
    /// Those who send.
    pub(super) wake_workers: Vec<Rc<Notify>>,
}

impl Release {
    /// Runs until the role ends.
    ///
    /// # Errors
    /// The outbox is damaged.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut trouble = Trouble::with("what quiet hours held cannot be released yet");
        loop {
            let now = Timestamp::now();
            let released = self.outbox.borrow_mut().release_held(now);
            let next = match released {
                Ok(released) => {
                    trouble.is_over();
                    if released.count > 0 {
                        tracing::info!(messages = released.count, "quiet hours are over");
                        self.wake_workers.iter().for_each(|worker| worker.notify_one());
                    }
                    released.next
                }
                Err(error) => {
                    trouble.wait_or_give_up(error).await?;
                    continue;
                }
            };
            let Some(next) = next else {
                self.wake.notified().await;
                continue;
            };
            let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default().min(CLOCK_CHECK);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.wake.notified() => {}
            }
        }
    }
}
