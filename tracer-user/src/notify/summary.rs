//! Summaries: what happened on this host in a day or a week.
//!
//! Promises:
//! - One for each time of a schedule, over restarts and crashes: that it was told is written in one transaction with its
//!   deliveries. One that was missed, because the role was not running, is told at its next start.
//! - Nothing is left out between two: one that was missed is covered by the next one, up to [`schedule::LONGEST`].
//! - The first one comes at the next time of its schedule, not at once.
//! - It goes to the sinks of its schedule, whatever routes and quiet hours say about other messages.

pub mod collect; // both databases -> Summary
pub mod schedule; // when, and of what time; pure
mod task; // tells them

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(super) use self::task::Summaries;
use super::message::Ranking;
use super::storm::Storm;
use crate::assess::Level;

/// What happened within a time. It is stored: fields may be added, never renamed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub host: String,
    pub from: Timestamp,
    /// The first moment that it does not cover.
    pub until: Timestamp,
    /// Logins that began in it.
    pub logins: Levels,
    pub users: Ranking,
    pub addresses: Ranking,
    /// The riskiest logins, the worst first; none of low risk.
    pub riskiest: Vec<Risky>,
    /// How many sessions are open at its end.
    pub open: u64,
    /// User ids gained inside of sessions.
    pub gained: u64,
    /// Starts of an sshd that is not this host's.
    pub findings: u64,
    /// Kernel events that were lost.
    pub events_lost: u64,
    /// Connections that led to no session.
    pub attempts: Storm,
    pub messages: Messages,
    /// Logins by hour or by day, in their order.
    pub bars: Vec<Bar>,
}

/// How many logins of which level. Those that were not rated are of unknown risk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    pub low: u64,
    pub medium: u64,
    pub high: u64,
    pub unknown: u64,
}

/// One login that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risky {
    pub user: String,
    pub address: Option<String>,
    pub at: Timestamp,
    pub level: Level,
    pub score: Option<u8>,
}

/// What became of messages within the time, and how many wait at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    pub delivered: u64,
    /// Refused for good, or given up by hand or by a limit.
    pub given_up: u64,
    pub waiting: u64,
}

/// The logins of an hour or a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    pub from: Timestamp,
    /// Its time on the clock of this host: `14:00`, or `Mon 23`.
    pub label: String,
    pub logins: Levels,
}

impl Levels {
    pub fn add(&mut self, level: Level) {
        *match level {
            Level::Low => &mut self.low,
            Level::Medium => &mut self.medium,
            Level::High => &mut self.high,
            Level::Unknown => &mut self.unknown,
        } += 1;
    }

    pub fn total(self) -> u64 {
        self.low + self.medium + self.high + self.unknown
    }

    /// The worst of them; unknown is worse than low, since it might be anything. `None` without any.
    pub fn worst(self) -> Option<Level> {
        let worst_first = [
            (self.high, Level::High),
            (self.medium, Level::Medium),
            (self.unknown, Level::Unknown),
            (self.low, Level::Low),
        ];
        worst_first.into_iter().find(|(count, _)| *count > 0).map(|(_, level)| level)
    }
}

impl Summary {
    /// Its colour: that of the worst login, and never green where the host or the tracer has something to say.
    pub fn level(&self) -> Level {
        let worst = self.logins.worst().unwrap_or(Level::Low);
        let is_troubled = self.findings > 0 || self.events_lost > 0 || self.messages.given_up > 0;
        if is_troubled && worst != Level::High { Level::Medium } else { worst }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_never_green() {
        let levels = |low, medium, high, unknown| Levels { low, medium, high, unknown };
        for (logins, worst, troubled) in [
            (levels(0, 0, 0, 0), Level::Low, Level::Medium),
            (levels(9, 0, 0, 0), Level::Low, Level::Medium),
            (levels(9, 0, 0, 1), Level::Unknown, Level::Medium),
            (levels(9, 1, 0, 9), Level::Medium, Level::Medium),
            (levels(9, 9, 1, 9), Level::High, Level::High),
        ] {
            let summary = Summary { logins, ..Summary::default() };
            assert_eq!(summary.level(), worst);
            let lost = Messages { given_up: 1, ..Messages::default() };
            for summary in [
                Summary { findings: 1, ..summary.clone() },
                Summary { events_lost: 1, ..summary.clone() },
                Summary { messages: lost, ..summary },
            ] {
                assert_eq!(summary.level(), troubled);
            }
        }
    }
}
