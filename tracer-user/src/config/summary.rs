//! Summaries by the clock: `[[summaries]]`.

use jiff::civil::Weekday;

/// One of `[[summaries]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub every: Every,
    /// Minutes after midnight by the clock of this host, 0 to 1439.
    pub at: u16,
    /// Names of sinks that are configured, each once and in the order of the alphabet; at least one.
    pub sinks: Vec<String>,
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    Day,
    /// On this day.
    Week(Weekday),
}

impl Schedule {
    /// Early enough for the first coffee.
    pub const DEFAULT_AT: u16 = 8 * 60;
    pub const DEFAULT_WEEKDAY: Weekday = Weekday::Monday;

    /// What it is known by over restarts and when its time is changed: `day to mail, ops`.
    pub fn name(&self) -> String {
        format!("{} to {}", self.every.as_str(), self.sinks.join(", "))
    }
}

impl Every {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week(_) => "week",
        }
    }
}
