//! What was decided about one announcement, as it is stored with it and explained later.
//!
//! It holds what was looked at and found, not the words of an explanation. Its texts may be strangers'.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a change goes, and why. Stored as JSON: fields may be added, never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// When it was decided.
    pub at: Timestamp,
    pub reason: Why,
    /// The entry of the allowlist that the session matches. It only keeps its beginning and its end from being told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Allowed>,
    /// The routes that were looked at, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Look>,
    /// The sinks that it goes to, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<Destination>,
}

/// Why it goes where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// There are no routes: to every sink.
    NoRoutes,
    /// By the first route that matches.
    FirstRoute,
    /// By all routes that match.
    AllRoutes,
    /// The routes that match name no sink: it is dropped, knowingly.
    Dropped,
    /// No route matches.
    NoMatch,
    /// No route matches, and it is about the tracer or the host: to every sink.
    NewsWithoutRoute,
    /// The login is allowed.
    Allowed,
    /// Attempts are told only where a route asks for them.
    NotAsked,
    /// A summary, to the sinks of its schedule.
    Scheduled,
}

/// A route that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    pub route: String,
    /// The first condition that does not hold; `None`: the route matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
    /// The sinks of a route that matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<String>,
}

/// A condition that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Its key in the configuration.
    pub condition: String,
    /// What it asks for.
    pub wanted: String,
    /// What was found instead; `None` where there is nothing of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

/// An entry of the allowlist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Its number in the file.
    pub entry: usize,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A sink that a change goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub sink: String,
    /// Not before the end of the quiet hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// The quiet hours that hold a message back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub until: Timestamp,
    /// The hours, as the configuration has them.
    pub hours: String,
}
