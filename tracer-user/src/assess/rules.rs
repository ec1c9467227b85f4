//! One function per thing that is judged: facts -> points and reasons.

use super::Reason;
use crate::enrich::{Fact, Facts};

/// What a rule found. A rule that could not judge has remarks and no points, which is not the same as zero points.
pub(super) struct Findings {
    pub(super) points: Option<i16>,
    pub(super) reasons: Vec<Reason>,
}

/// The reputation of the address gives its score as points.
pub(super) fn reputation(facts: &Facts) -> Findings {
    match &facts.reputation {
        Fact::Known(reputation) => {
            let points = i16::from(reputation.score);
            let text = reputation.reason.clone().unwrap_or_else(|| "reputation of the address".to_owned());
            Findings { points: Some(points), reasons: vec![Reason { points, text }] }
        }
        Fact::Unknown { why } => {
            Findings { points: None, reasons: vec![Reason { points: 0, text: why.to_string() }] }
        }
    }
}
