//! How attempts are told: a few one by one, and what is too much for that together. Whoever can connect can make them, so
//! there must be an end to it. Pure.
//!
//! A *storm* begins with the first attempt that is one too many. Nothing is told of it until it is due; then all of it is
//! told in one message. If it goes on, the next message has twice as long to wait, up to [`LONGEST`].

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// So many are told at once.
const BURST: u32 = 10;
/// And one more after this time.
const EACH: SignedDuration = SignedDuration::from_mins(1);
/// The longest that a message about a storm waits.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// A bucket of announcements, and the storm that is on. A restart fills the bucket; the storm is found again
/// ([`Pace::resume`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::notify) struct Pace {
    left: u32,
    /// When the last one was added.
    filled: Timestamp,
    storm: Option<Storm>,
    /// How long the message about the first storm after a quiet time waits, and about the next one.
    first: SignedDuration,
    wait: SignedDuration,
}

/// Attempts that are not told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Storm {
    /// They are those of the changes after this one.
    pub(super) after: i64,
    /// When they are told.
    pub(super) due: Timestamp,
}

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is told by itself, now.
    Now,
    /// With the storm.
    Later,
}

impl Pace {
    pub(in crate::notify) fn new(now: Timestamp, gather: Duration) -> Self {
        let first = SignedDuration::try_from(gather).unwrap_or(LONGEST);
        Self { left: BURST, filled: now, storm: None, first, wait: first }
    }

    /// Goes on with a storm that an earlier run of the role has not told, if there was one.
    pub(super) fn resume(&mut self, untold_after: Option<i64>, now: Timestamp) {
        self.storm = untold_after.map(|after| Storm { after, due: later(now, self.first) });
    }

    /// The storm that is on.
    pub(super) fn storm(&self) -> Option<Storm> {
        self.storm
    }

    /// What becomes of the attempt of a change.
    pub(super) fn next(&mut self, change: i64, now: Timestamp) -> Turn {
        if self.storm.is_some() {
            return Turn::Later;
        }
        self.fill(now);
        if self.left == BURST {
            self.wait = self.first;
        }
        if self.left == 0 {
            self.storm = Some(Storm { after: change - 1, due: later(now, self.wait) });
            return Turn::Later;
        }
        self.left -= 1;
        Turn::Now
    }

    /// How long the storm that is on still has to wait before it is told; no longer than [`LONGEST`], even if the clock
    /// was set back.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        let wait = self.storm?.due.duration_since(now).min(LONGEST);
        Some(Duration::try_from(wait).unwrap_or_default())
    }

    /// The storm was told; what comes right after it is the next one.
    pub(super) fn told(&mut self, now: Timestamp) {
        self.storm = None;
        (self.left, self.filled) = (0, now);
        self.wait = self.wait.saturating_mul(2).min(LONGEST);
    }

    fn fill(&mut self, now: Timestamp) {
        let passed = now.duration_since(self.filled).as_secs() / EACH.as_secs();
        if passed < 0 {
            // The clock was set back.
            self.filled = now;
        } else if passed > 0 {
            let more = u32::try_from(passed).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(more).min(BURST);
            self.filled = later(self.filled, EACH.saturating_mul(i32::try_from(passed).unwrap_or(i32::MAX)));
        }
    }
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_told_later_and_later_until_it_is_over() {
        let mut pace = Pace::new(at(0), Duration::from_secs(60));
        let turns: Vec<_> = (1..=1000).map(|change| pace.next(change, at(1))).collect();
        assert_eq!(turns.iter().filter(|turn| **turn == Turn::Now).count(), 10);
        assert!(turns[..10].iter().all(|turn| *turn == Turn::Now));
        // From the eleventh on, a minute after it.
        assert_eq!(pace.storm(), Some(Storm { after: 10, due: at(61) }));
        let mut now = 61;
        for wait in [2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(seconds(&pace, now - 7), Some(7));
            assert_eq!(seconds(&pace, now), Some(0));
            pace.told(at(now));
            assert_eq!((pace.storm(), seconds(&pace, now)), (None, None));
            // It goes on.
            assert_eq!(pace.next(5000, at(now + 1)), Turn::Later);
            assert_eq!(pace.next(5001, at(now + 40)), Turn::Later);
            now += 1 + wait * 60;
            assert_eq!(pace.storm(), Some(Storm { after: 4999, due: at(now) }));
        }
        pace.told(at(now));
        // A few minutes later, a few are told by themselves; then it is the same storm again.
        let turns: Vec<_> = (0..4).map(|change| pace.next(change, at(now + 181))).collect();
        assert_eq!(turns, [Turn::Now, Turn::Now, Turn::Now, Turn::Later]);
        assert_eq!(seconds(&pace, now + 181), Some(3600));
        pace.told(at(now + 4000));
        // When it was quiet for long enough, everything is as in the beginning.
        let turns = (0..11).filter(|change| pace.next(*change, at(now + 5000)) == Turn::Now).count();
        assert_eq!((turns, seconds(&pace, now + 5000)), (10, Some(60)));
    }

    #[test]
    fn what_an_earlier_run_did_not_tell_is_told_soon() {
        let mut pace = Pace::new(at(0), Duration::from_secs(60));
        pace.resume(Some(41), at(5));
        assert_eq!(pace.next(99, at(6)), Turn::Later);
        assert_eq!(pace.storm(), Some(Storm { after: 41, due: at(65) }));
        pace.resume(None, at(7));
        assert_eq!(pace.next(100, at(8)), Turn::Now);
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nothing() {
        let (mut pace, year) = (Pace::new(at(0), Duration::from_secs(60)), 365 * 86_400);
        for change in 1..=11 {
            pace.next(change, at(0));
        }
        assert_eq!(seconds(&pace, -year), Some(3600));
        pace.told(at(0));
        assert_eq!(pace.next(12, at(-year)), Turn::Later);
        pace.told(at(60 - year));
        assert_eq!(pace.next(13, at(181 - year)), Turn::Now);
    }

    fn seconds(pace: &Pace, now: i64) -> Option<u64> {
        pace.wait(at(now)).map(|wait| wait.as_secs())
    }

    fn at(seconds: i64) -> Timestamp {
        let start: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
        start + SignedDuration::from_secs(seconds)
    }
}
