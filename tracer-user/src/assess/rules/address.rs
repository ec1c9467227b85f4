//! What others say of the address.

use super::{Case, Finding};
use crate::config::Rule;
use crate::words;

/// Weighs the worst score. A weight of 0 takes it out; the source must answer still for a login to be green.
pub(super) fn reputation(case: &Case<'_>) -> Option<Finding> {
    let reputation = case.facts.reputation.known()?;
    let percent = u16::from(case.points().of(Rule::Reputation));
    // Rounded up, so that a fraction above a threshold stays above it; 100 at most.
    let points = (u16::from(reputation.score.min(100)) * percent).div_ceil(100) as u8;
    let text = reputation.reason.clone().unwrap_or_else(|| words::risk::REPUTATION.to_owned());
    // A score of zero is said as well: it is the reason for a green login.
    Some((points, text))
}

/// The list that weighs most; the others are named with it.
pub(super) fn listed(case: &Case<'_>) -> Option<Finding> {
    let usual = case.points().of(Rule::Listed);
    let listings = &case.facts.listings;
    let points = listings.iter().map(|listing| listing.points.unwrap_or(usual)).max()?;
    let named = listings.iter().map(|listing| (listing.list.as_str(), listing.entry.as_str()));
    (points > 0).then(|| (points, words::risk::listed(named)))
}

pub(super) fn unconfirmed_name(case: &Case<'_>) -> Option<String> {
    let name = case.facts.reverse_name.known().filter(|name| !name.confirmed)?;
    Some(words::risk::unconfirmed_name(&name.name))
}
