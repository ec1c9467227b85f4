//! What every sink's queue can be told: how fast it is emptied, and what it holds at most.

use std::time::Duration;

/// The keys that all sinks have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queueing {
    pub pace: PaceChoice,
    /// How old a message may become before it is given up.
    pub max_age: Duration,
    /// How many messages may wait; beyond that, the oldest are given up.
    pub max_queued: u32,
}

impl Queueing {
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
    pub const DEFAULT_MAX_QUEUED: u32 = 100_000;
}

impl Default for Queueing {
    fn default() -> Self {
        Self {
            pace: PaceChoice::OfService,
            max_age: Self::DEFAULT_MAX_AGE,
            max_queued: Self::DEFAULT_MAX_QUEUED,
        }
    }
}

/// How many messages a sink is sent in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaceChoice {
    /// As its documentation asks for.
    OfService,
    /// As fast as it takes them.
    Unlimited,
    Own(Rate),
}

/// At most so many messages in any stretch of time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub count: u32,
    pub per: Duration,
}

impl Rate {
    pub const fn new(count: u32, per: Duration) -> Self {
        Self { count, per }
    }
}
