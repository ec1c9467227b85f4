//! Many attempts as one thing: how many, from where, by which names and why they came to nothing. Pure.
//!
//! Names that are no account of the host are counted and not kept: people type passwords there.

mod members;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::members::Members;
use super::message::{Counts, Ranking};
use crate::session::{Attempt, Reason};

/// How many addresses and accounts are named; the others are counted.
const NAMED: usize = 5;

/// Attempts that are told together. It is stored: fields may be added, never renamed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storm {
    /// How many connections.
    pub count: u64,
    pub addresses: Ranking,
    /// The accounts that were tried.
    pub users: Ranking,
    /// How many names that are no account were tried, counted once for each connection.
    pub unknown_users: u64,
    /// The most common first.
    pub reasons: Vec<Refused>,
}

/// Why connections led to no session, and how many did for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub reason: Reason,
    pub count: u64,
}

/// Attempts on their way into a [`Storm`].
#[derive(Debug, Clone, Default)]
pub struct Tally {
    count: u64,
    addresses: Counts,
    users: Counts,
    unknown_users: u64,
    reasons: BTreeMap<Reason, u64>,
    /// When the first and the last of them ended.
    times: Option<(Timestamp, Timestamp)>,
}

impl Tally {
    pub fn add(&mut self, attempt: &Attempt) {
        self.count += 1;
        self.addresses.add(&attempt.peer.ip().to_canonical().to_string());
        for user in &attempt.tried.users {
            if user.is_known {
                self.users.add(&user.name);
            } else {
                self.unknown_users += 1;
            }
        }
        *self.reasons.entry(attempt.reason).or_default() += 1;
        let at = attempt.ended_at;
        let (first, last) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), last.max(at)));
    }

    /// When the first and the last of them ended; `None` where there was none.
    pub fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.times
    }

    pub fn storm(self) -> Storm {
        let mut reasons: Vec<_> =
            self.reasons.into_iter().map(|(reason, count)| Refused { reason, count }).collect();
        // Stable: those that are as common as each other stay in the order of their kind.
        reasons.sort_by_key(|refused| Reverse(refused.count));
        Storm {
            count: self.count,
            addresses: self.addresses.ranking(NAMED),
            users: self.users.ranking(NAMED),
            unknown_users: self.unknown_users,
            reasons,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{AttemptKey, Tried, TriedUser};

    #[test]
    fn names_that_are_no_account_are_counted_and_not_kept() {
        let mut tally = Tally::default();
        assert_eq!(tally.times(), None);
        tally.add(&attempt("192.0.2.1:1", &[("root", true)], Reason::WrongPassword, 5));
        tally.add(&attempt("[::ffff:192.0.2.1]:2", &[("hunter2", false)], Reason::UnknownUser, 3));
        tally.add(&attempt("[2001:db8::1]:2", &[("root", true), ("x", false)], Reason::UnknownUser, 9));
        let times = tally.times().map(|(first, last)| (first.as_second(), last.as_second()));
        assert_eq!(times, Some((3, 9)));
        let storm = tally.storm();
        assert_eq!(storm.addresses.to_string(), "192.0.2.1 (2), 2001:db8::1 (1)");
        assert_eq!((storm.count, storm.users.to_string().as_str(), storm.unknown_users), (3, "root (2)", 2));
        let refused = |reason, count| Refused { reason, count };
        assert_eq!(storm.reasons, [refused(Reason::UnknownUser, 2), refused(Reason::WrongPassword, 1)]);
        let stored = serde_json::to_string(&storm).unwrap();
        assert!(!stored.contains("hunter2"), "{stored}");
        assert_eq!(serde_json::from_str::<Storm>(&stored).unwrap(), storm);
    }

    fn attempt(peer: &str, users: &[(&str, bool)], reason: Reason, second: i64) -> Attempt {
        let user =
            |(name, is_known): &(&str, bool)| TriedUser { name: (*name).to_owned(), is_known: *is_known };
        let at = Timestamp::from_second(second).unwrap();
        Attempt {
            key: AttemptKey::of_monitor("machine", "boot", 1, 1),
            host: "web-1".to_owned(),
            peer: peer.parse().unwrap(),
            local: None,
            sshd_pid: None,
            began_at: at,
            ended_at: at,
            tried: Tried { users: users.iter().map(user).collect(), methods: Vec::new(), failures: 1 },
            reason,
        }
    }
}
