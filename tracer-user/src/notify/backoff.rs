//! How long to wait after a failure. Pure: chance is handed in.
//!
//! Exponential with full jitter, so that many hosts that lost the same service do not come back in step.

use std::time::Duration;

/// Upper end of the wait after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// Upper end of any wait that the service did not ask for.
pub const LONGEST: Duration = Duration::from_secs(5 * 60);
/// Lower end: no failure is followed at once.
pub const SHORTEST: Duration = Duration::from_millis(100);

/// The wait after the `failures`-th failure in a row, `random` being uniform in 0 to 1.
///
/// A wait that the service asked for wins over ours; it was bounded where it was read.
pub fn delay(failures: u32, asked: Option<Duration>, random: f64) -> Duration {
    if let Some(asked) = asked {
        return asked.max(SHORTEST);
    }
    let doublings = failures.saturating_sub(1).min(16);
    let ceiling = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    ceiling.mul_f64(random.clamp(0.0, 1.0)).max(SHORTEST)
}

/// The wait after a failure of our own disk or database, eight seconds at most: nobody else is hurt by asking again.
pub fn local_delay(failures: u32, random: f64) -> Duration {
    delay(failures.min(4), None, random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let ceilings: Vec<u64> = (1..=12).map(|failures| delay(failures, None, 1.0).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(delay(u32::MAX, None, 1.0), LONGEST);
        assert_eq!(local_delay(u32::MAX, 1.0), Duration::from_secs(8));
    }

    #[test]
    fn jitter_is_full_but_never_none() {
        assert_eq!(delay(5, None, 0.5), Duration::from_secs(8));
        assert_eq!(delay(5, None, 0.0), SHORTEST);
        assert_eq!(delay(0, None, 0.0), SHORTEST);
        assert_eq!(delay(3, None, f64::INFINITY), Duration::from_secs(4));
    }

    #[test]
    fn what_the_service_asks_for_wins() {
        assert_eq!(delay(1, Some(Duration::from_secs(3600)), 0.0), Duration::from_secs(3600));
        assert_eq!(delay(9, Some(Duration::from_secs(2)), 1.0), Duration::from_secs(2));
        assert_eq!(delay(1, Some(Duration::ZERO), 1.0), SHORTEST);
    }
}
