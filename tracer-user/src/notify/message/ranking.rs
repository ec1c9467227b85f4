//! Many names, the most common of which are named.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::name;
use crate::words;

/// How often each name occurred, on its way into a [`Ranking`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u64>);

/// The most common names with how often they occurred, and how many other names there were. It is stored: fields may be
/// added, never renamed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranking {
    pub named: Vec<Named>,
    pub others: u64,
}

/// A name, and how often it occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
    pub count: u64,
}

impl Counts {
    /// Counts a name that strangers may have chosen: it is made harmless here, for all that is said of it.
    pub fn add(&mut self, text: &str) {
        *self.0.entry(name(Some(text), words::UNKNOWN)).or_default() += 1;
    }

    /// The `named` most common names; of those that are as common as each other, the first by alphabet.
    pub fn ranking(self, named: usize) -> Ranking {
        // In the order of the alphabet, and as common ones stay in it.
        let mut counts: Vec<_> = self.0.into_iter().map(|(name, count)| Named { name, count }).collect();
        counts.sort_by_key(|named| Reverse(named.count));
        let others = counts.len().saturating_sub(named) as u64;
        counts.truncate(named);
        Ranking { named: counts, others }
    }
}

impl Ranking {
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// How many different names there were.
    pub fn distinct(&self) -> u64 {
        self.named.len() as u64 + self.others
    }
}

impl fmt::Display for Ranking {
    /// `backup (200), alice (3) and 4 others`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<_> = self.named.iter().map(|named| words::times(&named.name, named.count)).collect();
        write!(f, "{}{}", named.join(", "), words::and_others(self.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_common_come_first_and_the_rest_is_counted() {
        let mut counts = Counts::default();
        for (name, times) in [("bob", 1), ("backup", 3), ("alice", 2), ("carol", 2), ("a\u{1b}[31m", 1)] {
            (0..times).for_each(|_| counts.add(name));
        }
        let words = |named| counts.clone().ranking(named).to_string();
        assert_eq!(words(3), "backup (3), alice (2), carol (2) and 2 others");
        assert_eq!(words(4), "backup (3), alice (2), carol (2), a\u{fffd}[31m (1) and 1 other");
        assert!(!words(9).contains("other"));
        let ranking = counts.clone().ranking(2);
        assert_eq!((ranking.distinct(), ranking.is_empty()), (5, false));
        assert!(Counts::default().ranking(3).is_empty());
    }
}
