//! The risk of a session: a score, a level, and the reasons with their points. Pure: no I/O of any kind.

use std::fmt;

use serde::{Deserialize, Serialize};

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
