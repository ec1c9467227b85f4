//! Which changes go to which sinks, and when: `[[routes]]`, `[quiet_hours]`, `[[allow]]`.
//!
//! A condition that is not given is an empty list or `None`, and always holds.

use std::fmt;

use ipnet::IpNet;
use jiff::civil::{DateTime, Weekday};

use crate::assess::Level;

/// Everything that decides where a change goes. The default sends everything everywhere, at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// `[notify] routing`
    pub take: Take,
    pub routes: Vec<Route>,
    pub quiet: Vec<Quiet>,
    pub allow: Vec<Allow>,
}

/// Which of the routes that match are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Take {
    /// The first one; those after it are not looked at.
    #[default]
    First,
    /// All of them: a change goes to each sink that any of them names.
    All,
}

/// One of `[[routes]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its own, or its number in the file.
    pub name: String,
    pub when: Conditions,
    /// Names of sinks that are configured. Empty: what matches is dropped, knowingly.
    pub sinks: Vec<String>,
}

/// All that are given must hold; of several values, one must.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    pub kinds: Vec<Kind>,
    pub levels: Vec<Level>,
    pub at_least: Option<Level>,
    pub at_most: Option<Level>,
    pub users: Vec<String>,
    pub groups: Vec<String>,
    pub addresses: Vec<IpNet>,
    pub networks: Vec<IpNet>,
    pub hosts: Vec<String>,
    /// Of [`SERVICES`].
    pub services: Vec<String>,
    pub hours: Option<Hours>,
}

/// What lets people in.
pub const SERVICES: [&str; 5] = ["ssh", "dropbear", "login", "su", "sudo"];

/// What is told, in the words of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A session began, or was found open.
    Opened,
    Closed,
    Escalated,
    /// A session is riskier than it was told to be.
    Raised,
    /// A connection ended without a session. Told only where a route names this kind.
    Attempts,
    /// Kernel events were lost.
    Loss,
    /// An sshd that is not this host's, as in `login-tracer findings`.
    Finding,
    /// News of the program itself.
    Agent,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Opened,
        Self::Closed,
        Self::Escalated,
        Self::Raised,
        Self::Attempts,
        Self::Loss,
        Self::Finding,
        Self::Agent,
    ];

    /// The word in the configuration and in verdicts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Escalated => "escalated",
            Self::Raised => "raised",
            Self::Attempts => "attempts",
            Self::Loss => "loss",
            Self::Finding => "finding",
            Self::Agent => "agent",
        }
    }
}

/// One `[quiet_hours]`: what would be told then is held until they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    pub hours: Hours,
    /// What is told nevertheless.
    pub except: Vec<Exception>,
    /// The sinks that are quiet; empty: all of them.
    pub sinks: Vec<String>,
}

/// What quiet hours do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// From this level on.
    AtLeast(Level),
    Kind(Kind),
}

/// One of `[[allow]]`: logins that are no news. All conditions that are given must hold, and one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// Its number in the file, from 1.
    pub number: usize,
    /// Why it is there.
    pub reason: String,
    pub addresses: Vec<IpNet>,
    pub networks: Vec<IpNet>,
    pub users: Vec<String>,
    /// Fingerprints: `SHA256:...`
    pub keys: Vec<String>,
    pub until: Option<Until>,
}

/// The end of an entry, on the clock of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Until {
    /// The first moment at which it does not hold any more.
    pub end: DateTime,
    /// As it is written: a date means the whole of that day.
    pub text: String,
}

/// A part of every day, or of some days of the week, by the clock of this host.
///
/// Where `to` is not after `from` it reaches into the next day, and belongs to the day on which it begins. What counts is
/// what the clock on the wall shows: an hour that is shown twice is in it twice, one that is skipped is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Minutes after midnight, 0 to 1439.
    pub from: u16,
    /// Minutes after midnight, 1 to 1440, and not `from`; the first minute that is not in it any more.
    pub to: u16,
    pub days: Days,
}

/// Days of the week, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(u8);

impl Days {
    pub const ALL: Self = Self(0b111_1111);

    pub fn of(days: impl IntoIterator<Item = Weekday>) -> Self {
        Self(days.into_iter().fold(0, |set, day| set | 1 << day.to_monday_zero_offset()))
    }

    pub fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day.to_monday_zero_offset()) != 0
    }
}

impl fmt::Display for Hours {
    /// `22:00-07:00`, with the days unless it is all of them: `mon fri 22:00-07:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != Days::ALL {
            for day in Weekday::Monday.cycle_forward().take(7).filter(|day| self.days.contains(*day)) {
                write!(f, "{} ", day_word(day))?;
            }
        }
        let Self { from, to, .. } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// The short word of a day, as the configuration has it.
pub const fn day_word(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "mon",
        Weekday::Tuesday => "tue",
        Weekday::Wednesday => "wed",
        Weekday::Thursday => "thu",
        Weekday::Friday => "fri",
        Weekday::Saturday => "sat",
        Weekday::Sunday => "sun",
    }
}
