//! Which changes a storm tells: exactly, and cheap to store where they lie side by side. Pure.
//!
//! What goes through other routes, or through none, may lie between two of them, and only that ends a *run*: other
//! changes than those of attempts are nobody's members, so a run may well span them.

use serde::{Deserialize, Serialize};

/// Numbers of changes, in runs. It is stored: each run as its distance from the one before it, and its length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<[i64; 2]>", into = "Vec<[i64; 2]>")]
pub struct Members {
    /// First and last change of each, in order.
    runs: Vec<(i64, i64)>,
}

impl Members {
    /// The member of a single change.
    pub fn one(change: i64) -> Self {
        Self { runs: vec![(change, change)] }
    }

    /// Adds a change after all that are here. `is_next`: no attempt that is no member lies between it and the last one.
    pub fn add(&mut self, change: i64, is_next: bool) {
        match self.runs.last_mut() {
            Some((_, last)) if is_next => *last = change,
            _ => self.runs.push((change, change)),
        }
    }

    /// Whether the attempt of this change is one of them.
    pub fn contains(&self, change: i64) -> bool {
        let after = self.runs.partition_point(|(first, _)| *first <= change);
        after.checked_sub(1).and_then(|run| self.runs.get(run)).is_some_and(|(_, last)| change <= *last)
    }

    /// The first and the last one.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        Some((self.runs.first()?.0, self.runs.last()?.1))
    }
}

impl From<Members> for Vec<[i64; 2]> {
    fn from(members: Members) -> Self {
        let mut end = 0;
        let distances = members.runs.into_iter().map(|(first, last)| {
            let run = [first - end, last - first];
            end = last;
            run
        });
        distances.collect()
    }
}

impl From<Vec<[i64; 2]>> for Members {
    fn from(stored: Vec<[i64; 2]>) -> Self {
        let mut end = 0i64;
        let runs = stored.into_iter().map(|[distance, length]| {
            let first = end.saturating_add(distance.max(0));
            end = first.saturating_add(length.max(0));
            (first, end)
        });
        Self { runs: runs.collect() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_lies_side_by_side_is_one_run() {
        let mut members = Members::default();
        assert_eq!((members.bounds(), members.contains(0)), (None, false));
        for change in 1_000_001..=1_100_000 {
            members.add(change, true);
        }
        assert_eq!(serde_json::to_string(&members).unwrap(), "[[1000001,99999]]");
        assert_eq!(members.bounds(), Some((1_000_001, 1_100_000)));
        // What another version or a broken disk left is read without harm.
        let stored = format!("[[-5,3],[{},{}],[1,1]]", i64::MAX, i64::MAX);
        let members: Members = serde_json::from_str(&stored).unwrap();
        assert!(members.contains(3) && !members.contains(4) && !members.contains(-5));
    }

    proptest! {
        /// Of each change: whether it is an attempt's, and a member.
        #[test]
        fn who_is_a_member_is_exact(changes in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200)) {
            let mut members = Members::default();
            let mut is_next = true;
            let attempts: Vec<_> =
                (1..).zip(&changes).filter(|(_, (is_attempt, _))| *is_attempt).map(|(c, (_, is))| (c, *is)).collect();
            for (change, is_member) in &attempts {
                if *is_member {
                    members.add(*change, is_next);
                }
                is_next = *is_member;
            }
            let stored = serde_json::to_string(&members).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Members>(&stored).unwrap(), &members);
            for (change, is_member) in &attempts {
                prop_assert_eq!(members.contains(*change), *is_member, "{}: {}", change, stored);
            }
        }
    }
}
