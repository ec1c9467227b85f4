//! The risk of a session: a score, a level, and the reasons with their points. Pure: no I/O of any kind.
//!
//! The rules are in [`crate::config::Rule`] (names and weights) and `rules` (how they look), in the words of
//! `words.rs`; how they are summed up, and when a login is green, is in `calculation`.

mod calculation;
mod login;
mod rules;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::calculation::{Calculation, Item};
pub use self::login::Login;
use crate::config::{Risk, Thresholds};
use crate::enrich::Facts;

/// What a person sees first: the colour of a session.
///
/// `Unknown` is what failure looks like; a look-up that fails never turns a session green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Unknown,
    Low,
    Medium,
    High,
}

impl Level {
    /// The word in JSON, tables and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The inverse of [`Level::as_str`]; `None` for a word that is not ours.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Unknown, Self::Low, Self::Medium, Self::High].into_iter().find(|level| level.as_str() == word)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The rating of one session, with everything that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    pub level: Level,
    /// 0 to 100; `None` when the level is unknown.
    pub score: Option<u8>,
    pub reasons: Vec<Reason>,
}

/// One reason of an assessment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What it added to the score; 0 for a remark, such as a source that did not answer.
    pub points: i16,
    /// One sentence; may hold text that strangers chose.
    pub text: String,
}

/// Rates a login by what is known about it.
pub fn assess(login: &Login, facts: &Facts, risk: &Risk) -> Assessment {
    Calculation::of(login, facts, risk).assessment()
}

/// The level of a score: strictly above a threshold is the next level.
pub fn level(score: u8, thresholds: Thresholds) -> Level {
    if score > thresholds.high_above {
        Level::High
    } else if score > thresholds.medium_above {
        Level::Medium
    } else {
        Level::Low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::address::Scope;
    use crate::enrich::{Fact, Reputation, Why};

    #[test]
    fn levels_change_just_above_the_thresholds() {
        let table = [
            (0, Level::Low),
            (34, Level::Low),
            (35, Level::Medium),
            (67, Level::Medium),
            (68, Level::High),
            (100, Level::High),
        ];
        for (score, expected) in table {
            let rated = rate(&reputed(score, Some("Seen in a list")), Thresholds::default());
            assert_eq!((rated.level, rated.score), (expected, Some(score)));
            let reason = Reason { points: i16::from(score), text: "Seen in a list".to_owned() };
            assert_eq!(rated.reasons, [reason]);
        }
    }

    #[test]
    fn thresholds_are_the_owners() {
        let thresholds = Thresholds { medium_above: 0, high_above: 100 };
        assert_eq!(level(0, thresholds), Level::Low);
        assert_eq!(level(1, thresholds), Level::Medium);
        assert_eq!(level(100, thresholds), Level::Medium);
    }

    #[test]
    fn a_score_without_a_reason_has_one_still() {
        let rated = rate(&reputed(40, None), Thresholds::default());
        assert_eq!(rated.reasons.len(), 1);
        assert!(!rated.reasons[0].text.is_empty());
    }

    #[test]
    fn failure_is_unknown_and_says_why() {
        let whys = [
            Why::NotConfigured,
            Why::NoAddress,
            Why::NotPublic(Scope::Private),
            Why::Deadline,
            Why::Unreachable,
            Why::Throttled,
            Why::Denied,
            Why::Status(500),
            Why::Garbled,
            Why::NoData,
        ];
        for why in whys {
            let rated = rate(&Facts::unknown(why), Thresholds { medium_above: 0, high_above: 0 });
            assert_eq!((rated.level, rated.score), (Level::Unknown, None));
            assert_eq!(rated.reasons, [Reason { points: 0, text: why.to_string() }]);
        }
        let private = rate(&Facts::unknown(Why::NotPublic(Scope::Private)), Thresholds::default());
        assert_eq!(private.reasons[0].text, "private address, not looked up");
    }

    fn rate(facts: &Facts, thresholds: Thresholds) -> Assessment {
        assess(&Login::of_nobody(jiff::Timestamp::UNIX_EPOCH), facts, &Risk { thresholds, ..Risk::default() })
    }

    fn reputed(score: u8, reason: Option<&str>) -> Facts {
        let reputation = Reputation { score, reason: reason.map(str::to_owned), asn: None };
        Facts { reputation: Fact::Known(reputation), ..Facts::unknown(Why::NoData) }
    }
}
