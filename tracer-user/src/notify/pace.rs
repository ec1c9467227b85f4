//! How fast a sink may be sent to. Pure: time is handed in, counted from any moment on.
//!
//! A budget for every rate: in no stretch of time of its length is more sent than it allows. That is stricter than a
//! bucket of tokens that refills, which lets nearly twice as many through around the moment in which it is empty, while
//! services count in windows.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::Rate;

/// The budgets of one sink.
#[derive(Debug)]
pub struct Pace {
    budgets: Vec<(Rate, VecDeque<Duration>)>,
}

impl Pace {
    /// Without a rate there is no limit.
    pub fn new(rates: &[Rate]) -> Self {
        Self { budgets: rates.iter().map(|rate| (*rate, VecDeque::new())).collect() }
    }

    /// How long to wait before the next message may be sent.
    pub fn wait(&self, now: Duration) -> Duration {
        let wait = |(rate, sent): &(Rate, VecDeque<Duration>)| {
            if sent.len() < rate.count as usize {
                return Duration::ZERO;
            }
            // The oldest one leaves the window at that moment.
            sent.front().map_or(Duration::ZERO, |oldest| (*oldest + rate.per).saturating_sub(now))
        };
        self.budgets.iter().map(wait).max().unwrap_or(Duration::ZERO)
    }

    /// Counts a message that is sent now.
    pub fn spend(&mut self, now: Duration) {
        for (rate, sent) in &mut self.budgets {
            while sent.len() >= rate.count as usize {
                sent.pop_front();
            }
            sent.push_back(now);
        }
    }

    /// The longest stretch of time that matters; zero without a limit.
    pub fn memory(&self) -> Duration {
        self.budgets.iter().map(|(rate, _)| rate.per).max().unwrap_or(Duration::ZERO)
    }

    /// The most messages that matter.
    pub fn count(&self) -> u32 {
        self.budgets.iter().map(|(rate, _)| rate.count).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// When messages are sent that are wished for so many milliseconds after the one before.
    fn times(rates: &[Rate], wishes: &[u64]) -> Vec<u64> {
        let mut pace = Pace::new(rates);
        let mut now = Duration::ZERO;
        let mut at = Vec::new();
        for pause in wishes {
            now += Duration::from_millis(*pause);
            now += pace.wait(now);
            assert_eq!(pace.wait(now), Duration::ZERO);
            pace.spend(now);
            at.push(u64::try_from(now.as_millis()).unwrap());
        }
        at
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_follows() {
        let discord = [Rate::new(5, Duration::from_secs(2)), Rate::new(30, Duration::from_secs(60))];
        let at = times(&discord, &[0; 40]);
        assert_eq!(at[..6], [0, 0, 0, 0, 0, 2000]);
        assert_eq!((at[29], at[30]), (10_000, 60_000));
        assert_eq!(times(&[], &[0; 3]), [0, 0, 0]);
        assert_eq!(times(&[Rate::new(1, Duration::from_secs(1))], &[5, 0, 3000]), [5, 1005, 4005]);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_it_may(
            rates in proptest::collection::vec((1..20_u32, 1..5000_u64), 1..4),
            wishes in proptest::collection::vec(0..400_u64, 0..200),
        ) {
            let rates: Vec<_> =
                rates.into_iter().map(|(count, per)| Rate::new(count, Duration::from_millis(per))).collect();
            let at = times(&rates, &wishes);
            for rate in rates {
                let per = u64::try_from(rate.per.as_millis()).unwrap();
                for (index, first) in at.iter().enumerate() {
                    let within = at[index..].iter().take_while(|at| **at < first + per).count();
                    prop_assert!(within <= rate.count as usize, "{within} in {rate:?}: {at:?}");
                }
            }
        }
    }
}
