//! From samples to figures. Pure.

use serde::Serialize;

use super::measurement::{Figure, Target};

/// The middle of samples and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

/// A figure, reduced.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reduced {
    Paired {
        a: Spread,
        b: Spread,
        ratio: Spread,
    },
    Distribution {
        count: usize,
        p50: f64,
        p99: f64,
        max: f64,
    },
    Repeated {
        count: usize,
        value: Spread,
    },
    /// They stand in the measurement.
    Several,
}

/// None without samples, or where one is not a number.
pub(super) fn reduce(figure: &Figure) -> Option<Reduced> {
    match figure {
        Figure::Paired { rounds, .. } => {
            let each = |pick: fn(&[f64; 2]) -> f64| spread(&rounds.iter().map(pick).collect::<Vec<_>>());
            Some(Reduced::Paired {
                a: each(|[a, _]| *a)?,
                b: each(|[_, b]| *b)?,
                // The ratio of each round, not of the medians: what disturbs both sides of a round cancels out.
                ratio: each(|[a, b]| b / a)?,
            })
        }
        Figure::Distribution { samples } => {
            let sorted = sorted(samples)?;
            let count = sorted.len();
            let (p50, p99, max) =
                (percentile(&sorted, 50), percentile(&sorted, 99), percentile(&sorted, 100));
            Some(Reduced::Distribution { count, p50, p99, max })
        }
        Figure::Repeated { samples } => {
            Some(Reduced::Repeated { count: samples.len(), value: spread(samples)? })
        }
        Figure::Several { numbers } => {
            let usable = !numbers.is_empty() && numbers.iter().all(|(number, _)| number.is_finite());
            usable.then_some(Reduced::Several)
        }
    }
}

/// Whether the target is met.
pub(super) fn meets(reduced: &Reduced, target: Target) -> bool {
    let value = match reduced {
        Reduced::Paired { ratio, .. } => ratio.median,
        Reduced::Distribution { p99, .. } => *p99,
        Reduced::Repeated { value, .. } => value.median,
        Reduced::Several => return false,
    };
    match target {
        Target::AtMost(most) => value <= most,
        Target::AtLeast(least) => value >= least,
    }
}

fn spread(samples: &[f64]) -> Option<Spread> {
    let sorted = sorted(samples)?;
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    Some(Spread { min: sorted[0], median: f64::midpoint(low, high), max: sorted[sorted.len() - 1] })
}

fn sorted(samples: &[f64]) -> Option<Vec<f64>> {
    let usable = !samples.is_empty() && samples.iter().all(|sample| sample.is_finite());
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    usable.then_some(sorted)
}

/// The smallest sample that at least so many percent do not exceed (nearest rank). `sorted` is not empty.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted[rank.max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(rounds: &[[f64; 2]]) -> Option<Reduced> {
        reduce(&Figure::Paired { a: "without".into(), b: "with".into(), rounds: rounds.to_vec() })
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(spread(&[7.0]), Some(Spread { min: 7.0, median: 7.0, max: 7.0 }));
    }

    #[test]
    fn the_ratio_is_that_of_the_rounds() {
        // The machine was twice as slow in the second round: the ratio of each round does not see that.
        let Some(Reduced::Paired { a, b, ratio }) = paired(&[[100.0, 110.0], [200.0, 220.0], [100.0, 120.0]])
        else {
            panic!("not a pair");
        };
        assert_eq!((a.median, b.median), (100.0, 120.0));
        assert_eq!(ratio, Spread { min: 1.1, median: 1.1, max: 1.2 });
    }

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let reduced = reduce(&Figure::Distribution { samples });
        assert_eq!(reduced, Some(Reduced::Distribution { count: 200, p50: 100.0, p99: 198.0, max: 200.0 }));
        let few = reduce(&Figure::Distribution { samples: vec![2.0, 1.0] });
        assert_eq!(few, Some(Reduced::Distribution { count: 2, p50: 1.0, p99: 2.0, max: 2.0 }));
    }

    #[test]
    fn what_cannot_be_reduced_is_nothing() {
        assert_eq!(reduce(&Figure::Repeated { samples: vec![] }), None);
        assert_eq!(reduce(&Figure::Repeated { samples: vec![1.0, f64::NAN] }), None);
        assert_eq!(paired(&[[0.0, 1.0]]), None, "a ratio to nothing");
        assert_eq!(reduce(&Figure::Several { numbers: vec![] }), None);
        assert_eq!(reduce(&Figure::Several { numbers: vec![(f64::NAN, "ns".into())] }), None);
    }

    #[test]
    fn targets_are_held_against_the_ratio_the_tail_and_the_median() {
        let pair = paired(&[[100.0, 101.0]]).expect("a pair");
        assert!(meets(&pair, Target::AtMost(1.01)) && !meets(&pair, Target::AtMost(1.0)));
        let samples: Vec<f64> = (1..=100).map(f64::from).collect();
        let tail = reduce(&Figure::Distribution { samples: samples.clone() }).expect("a distribution");
        assert!(meets(&tail, Target::AtMost(99.0)) && !meets(&tail, Target::AtMost(98.0)));
        let rate = reduce(&Figure::Repeated { samples }).expect("repeated");
        assert!(meets(&rate, Target::AtLeast(50.5)) && !meets(&rate, Target::AtLeast(51.0)));
    }
}
