//! The sum: every rule's points, what trust takes away, the level, and what keeps a login from being green.
//!
//! A login is *low* only if its score is, everybody who was asked about it could answer, and somebody vouches for it:
//!
//! - a reputation service that knows its address, or
//! - the address is of a network of our own (private, loopback, shared, link-local) and its past could be read, or
//! - the user came from its network before, and has been known for longer than the learning period, or
//! - its network or its key is trusted.
//!
//! Otherwise a low score is *unknown*. Medium and high are never hidden: what is known suffices for them.
//!
//! Whatever is added against a login never lowers its score (`tests/risk/monotony.rs`). Two steps take something away as well:
//! a password in the place of a new key leaves no key that could be new, and root in the place of a locked user is judged as
//! root; there the score may fall, by the points of those two rules at most.

use super::rules::{self, Case, is_learned};
use super::{Assessment, Level, Login, Reason, level};
use crate::config::{Risk, Rule};
use crate::enrich::address::Scope;
use crate::enrich::{Fact, Facts, Why};
use crate::words;

/// A whole assessment, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calculation {
    /// What the rules gave, most points first; those of trust, which are negative, last.
    pub items: Vec<Item>,
    /// What is not known, in words.
    pub remarks: Vec<String>,
    /// The sum of the points, before it was cut to 0 to 100.
    pub sum: i32,
    /// 0 to 100.
    pub score: u8,
    /// By the score alone.
    pub by_score: Level,
    /// Who was asked and could not answer, in words.
    pub failed: Vec<String>,
    /// Who vouches for the login, in words.
    pub vouched_by: Option<String>,
    /// The outcome.
    pub level: Level,
}

/// What one rule gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub rule: Rule,
    pub points: i16,
    /// Why; may hold text that strangers chose.
    pub text: String,
}

impl Calculation {
    /// Judges a login by what is known.
    pub fn of(login: &Login, facts: &Facts, risk: &Risk) -> Self {
        let case = Case { login, facts, risk };
        let mut items: Vec<Item> = Rule::ALL
            .iter()
            .filter_map(|rule| {
                let (points, text) = rules::judge(*rule, &case)?;
                Some(Item { rule: *rule, points: i16::from(points), text })
            })
            .collect();
        // The order of the rules among equals.
        items.sort_by_key(|item| -item.points);
        trust(&case, &mut items);
        let sum = items.iter().map(|item| i32::from(item.points)).sum();
        // Clamped to what a u8 holds.
        let score = i32::clamp(sum, 0, 100) as u8;
        let by_score = level(score, risk.thresholds);
        let failed = failures(facts);
        let vouched_by = voucher(&case);
        let level = match by_score {
            Level::Low | Level::Unknown if !failed.is_empty() || vouched_by.is_none() => Level::Unknown,
            Level::Low | Level::Unknown => Level::Low,
            Level::Medium | Level::High => by_score,
        };
        Self { items, remarks: remarks(facts), sum, score, by_score, failed, vouched_by, level }
    }

    /// As it is stored and told.
    pub fn assessment(&self) -> Assessment {
        let items = self.items.iter().map(|item| Reason { points: item.points, text: item.text.clone() });
        let remarks = self.remarks.iter().map(|text| Reason { points: 0, text: text.clone() });
        let score = (self.level != Level::Unknown).then_some(self.score);
        Assessment { level: self.level, score, reasons: items.chain(remarks).collect() }
    }
}

/// Takes the points of trust away, and no more than there are. Of root with a password what the rules of root and
/// password gave stays, and so much that it is yellow at least.
fn trust(case: &Case<'_>, items: &mut Vec<Item>) {
    let (login, trusted) = (case.login, &case.risk.trusted);
    let network = login.address.and_then(|address| {
        trusted.networks.iter().find(|network| network.contains(&address.to_canonical()))
    });
    let user = login.user.as_ref().filter(|user| trusted.users.contains(user));
    let key = login.fingerprints().into_iter().find(|key| trusted.keys.iter().any(|known| known == key));
    let reasons = [
        (Rule::TrustedNetwork, network.map(words::risk::trusted_network)),
        (Rule::TrustedKey, key.map(|_| words::risk::TRUSTED_KEY.to_owned())),
        (Rule::TrustedUser, user.map(|_| words::risk::TRUSTED_USER.to_owned())),
    ];
    let is_root_with_password = login.is_root() && login.is_by_password();
    let sum: i32 = items.iter().map(|item| i32::from(item.points)).sum();
    let untouchable: i32 = items
        .iter()
        .filter(|item| matches!(item.rule, Rule::Root | Rule::Password | Rule::RootPassword))
        .map(|item| i32::from(item.points))
        .sum();
    let floor = if is_root_with_password {
        untouchable.max(i32::from(case.risk.thresholds.medium_above) + 1)
    } else {
        0
    };
    let mut left = (sum - floor).max(0);
    for (rule, reason) in reasons {
        let Some(mut text) = reason else { continue };
        let wanted = i32::from(case.risk.points.of(rule));
        let taken = wanted.min(left);
        left -= taken;
        if taken < wanted && is_root_with_password {
            text.push_str(words::risk::NOT_HIDDEN);
        }
        // At most 100: it fits.
        items.push(Item { rule, points: -(taken as i16), text });
    }
}

/// Whether the network or the key is trusted.
fn is_trusted(case: &Case<'_>) -> bool {
    let trusted = &case.risk.trusted;
    let network = case.login.address.is_some_and(|address| {
        trusted.networks.iter().any(|network| network.contains(&address.to_canonical()))
    });
    network || case.login.fingerprints().into_iter().any(|key| trusted.keys.iter().any(|known| known == key))
}

fn voucher(case: &Case<'_>) -> Option<String> {
    let facts = case.facts;
    if facts.reputation.known().is_some() {
        return Some(words::risk::REPUTATION_KNOWN.to_owned());
    }
    if is_trusted(case) {
        return Some(words::risk::TRUSTED.to_owned());
    }
    let history = facts.history.known()?;
    if let Fact::Unknown { why: Why::NotPublic(scope) } = facts.reputation
        && is_ours(scope)
    {
        return Some(words::risk::our_own(scope));
    }
    let user = history.user.as_ref()?;
    let is_known = is_learned(user.known, case.risk.learning) && user.network_seen == Some(true);
    is_known.then(|| words::risk::SAME_NETWORK.to_owned())
}

/// Whether an address of this kind comes from nearby; the others come from nowhere.
const fn is_ours(scope: Scope) -> bool {
    match scope {
        Scope::Loopback | Scope::Private | Scope::SharedByCarrier | Scope::LinkLocal => true,
        Scope::Public | Scope::Documentation | Scope::Reserved => false,
    }
}

/// Everybody who was asked about the address or the past and could not answer.
fn failures(facts: &Facts) -> Vec<String> {
    let mut failed: Vec<String> = facts
        .opinions
        .iter()
        .filter_map(|opinion| match &opinion.answer {
            Fact::Unknown { why } if why.is_failure() => Some(words::risk::said_by(&opinion.source, *why)),
            Fact::Unknown { .. } | Fact::Known(_) => None,
        })
        .collect();
    if let (Fact::Unknown { why }, true) = (&facts.reputation, facts.opinions.is_empty())
        && why.is_failure()
    {
        failed.push(why.to_string());
    }
    failed.extend(facts.unreadable.iter().map(|name| words::risk::said_by(name, Why::Unreadable)));
    if let Fact::Unknown { why } = &facts.history
        && why.is_failure()
    {
        failed.push(words::risk::unknown_past(*why));
    }
    failed
}

/// What is said beside the points: who has no opinion, and why.
fn remarks(facts: &Facts) -> Vec<String> {
    let mut remarks = Vec::new();
    match (&facts.reputation, facts.opinions.as_slice()) {
        // A single service needs no name.
        (Fact::Unknown { why }, [] | [_]) => remarks.push(why.to_string()),
        (_, opinions) => remarks.extend(opinions.iter().filter_map(|opinion| match &opinion.answer {
            Fact::Unknown { why } => Some(words::risk::said_by(&opinion.source, *why)),
            Fact::Known(_) => None,
        })),
    }
    remarks.extend(facts.unreadable.iter().map(|name| words::risk::said_by(name, Why::Unreadable)));
    if let Fact::Unknown { why } = &facts.history
        && why.is_failure()
    {
        remarks.push(words::risk::unknown_past(*why));
    }
    remarks
}
