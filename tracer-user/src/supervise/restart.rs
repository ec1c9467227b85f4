//! How long a role that ended waits for its next start. Pure.

use std::time::Duration;

/// Wait after the first end; short, because every second without the trace role needs a reconciliation.
const FIRST: Duration = Duration::from_millis(200);
/// Wait that is never exceeded.
const LONGEST: Duration = Duration::from_secs(30);
/// A role that ran this long was healthy: its next end counts as the first again.
const HEALTHY: Duration = Duration::from_secs(60);

/// Doubles from end to end, until a healthy run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    pub fn new() -> Self {
        Self { next: FIRST }
    }

    /// The wait after a run of that length.
    pub fn after(&mut self, ran_for: Duration) -> Duration {
        if ran_for >= HEALTHY {
            self.next = FIRST;
        }
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        wait
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_limit_and_forgets_after_a_healthy_run() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..10).map(|_| backoff.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
        assert_eq!(backoff.after(Duration::from_secs(59)).as_millis(), 30000);
        assert_eq!(backoff.after(Duration::from_secs(60)).as_millis(), 200);
        assert_eq!(backoff.after(Duration::ZERO).as_millis(), 400);
    }
}
