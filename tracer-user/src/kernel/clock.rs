//! From the kernel's clock to the wall clock.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::BootTime;

/// How far the wall clock is ahead of the boot clock at one moment. Both are read anew for every batch of events,
/// so that a clock that was set in between does not shift later events.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    boot: BootTime,
    wall: Timestamp,
}

impl Clock {
    /// Reads both clocks.
    pub fn now() -> Self {
        let boot = boot_now();
        Self { boot, wall: Timestamp::now() }
    }

    /// When both clocks were read.
    pub fn wall(self) -> Timestamp {
        self.wall
    }

    /// As [`Clock::wall`], on the kernel's clock.
    pub fn boot(self) -> BootTime {
        self.boot
    }

    /// The wall clock time of `at`. Times outside of what a timestamp can hold give the nearest one.
    pub fn timestamp(self, at: BootTime) -> Timestamp {
        let (earlier, distance) = match self.boot.0.checked_sub(at.0) {
            Some(ago) => (true, ago),
            None => (false, at.0 - self.boot.0),
        };
        let distance = Duration::from_nanos(distance);
        if earlier { self.wall.saturating_sub(distance) } else { self.wall.saturating_add(distance) }
            .unwrap_or(self.wall)
    }
}

fn boot_now() -> BootTime {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let nanoseconds = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    // It counts from the boot: never negative, and 64 bits last 584 years.
    BootTime(u64::try_from(nanoseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_keep_their_distance() {
        let clock =
            Clock { boot: BootTime(5_000_000_000), wall: "2026-01-02T03:04:05Z".parse().expect("a time") };
        let at = |boot| clock.timestamp(BootTime(boot)).to_string();
        assert_eq!(at(5_000_000_000), "2026-01-02T03:04:05Z");
        assert_eq!(at(4_999_999_000), "2026-01-02T03:04:04.999999Z");
        assert_eq!(at(6_500_000_000), "2026-01-02T03:04:06.5Z");
        clock.timestamp(BootTime(u64::MAX));
    }
}
