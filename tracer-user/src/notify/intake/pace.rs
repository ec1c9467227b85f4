//! How many attempts are told one by one. Whoever can connect can make them, so there must be an end to it.

use jiff::{SignedDuration, Timestamp};

/// So many are told at once.
const BURST: u32 = 10;
/// And one more after this time.
const EACH: SignedDuration = SignedDuration::from_mins(1);

/// A bucket of announcements, and a count of what was not told. Its state is lost with the process, which tells at most
/// [`BURST`] more then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::notify) struct Pace {
    left: u32,
    /// When the last one was added.
    filled: Timestamp,
    untold: u64,
}

impl Pace {
    pub(in crate::notify) fn new(now: Timestamp) -> Self {
        Self { left: BURST, filled: now, untold: 0 }
    }

    /// Whether one more attempt may be told; then, how many were not since the last one.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<u64> {
        let passed = now.duration_since(self.filled).as_secs() / EACH.as_secs();
        if passed < 0 {
            // The clock was set back.
            self.filled = now;
        } else if passed > 0 {
            let more = u32::try_from(passed).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(more).min(BURST);
            self.filled = self
                .filled
                .checked_add(EACH.saturating_mul(i32::try_from(passed).unwrap_or(i32::MAX)))
                .unwrap_or(now);
        }
        if self.left == 0 {
            self.untold += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_counted_and_not_told() {
        let start: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
        let at = |seconds: i64| start + SignedDuration::from_secs(seconds);
        let mut pace = Pace::new(start);
        let told = (0..1000).filter_map(|_| pace.next(at(1))).collect::<Vec<_>>();
        assert_eq!(told, [0; 10]);
        assert_eq!(pace.next(at(59)), None);
        assert_eq!(pace.next(at(60)), Some(991));
        assert_eq!(pace.next(at(61)), None);
        assert_eq!(pace.next(at(120)), Some(1));
        // However long it was quiet.
        let told = (0..50).filter_map(|_| pace.next(at(1_000_000))).count();
        assert_eq!(told, 10);
        // A clock that was set back by a year stops nothing for a year.
        let back = at(-365 * 86_400);
        assert_eq!(pace.next(back), None);
        assert_eq!(pace.next(back + EACH), Some(41));
    }
}
