//! The sections `[risk]`, `[risk.points]` and `[risk.trusted]`.

use super::section::Section;
use super::{known_keys, values};
use crate::config::{Learning, Points, Risk, Rule, Thresholds, Trusted};

pub(super) fn risk(section: &mut Section<'_, '_>) -> Risk {
    let default = Learning::default();
    let learning = Learning {
        days: section.integer("learning_days", 0, 365).unwrap_or(default.days),
        logins: section
            .integer("learning_logins", 0, i64::from(Learning::MOST_LOGINS))
            .unwrap_or(default.logins),
    };
    let thresholds = thresholds(section);
    let points =
        section.subsection("points", known_keys("risk.points")).map(|mut section| points(&mut section));
    let trusted =
        section.subsection("trusted", known_keys("risk.trusted")).map(|mut section| trusted(&mut section));
    Risk { thresholds, learning, points: points.unwrap_or_default(), trusted: trusted.unwrap_or_default() }
}

fn thresholds(section: &mut Section<'_, '_>) -> Thresholds {
    let default = Thresholds::default();
    let medium = section.integer("medium_above", 0, 100);
    let high = section.integer("high_above", 0, 100);
    let thresholds = Thresholds {
        medium_above: medium.unwrap_or(default.medium_above),
        high_above: high.unwrap_or(default.high_above),
    };
    if thresholds.medium_above >= thresholds.high_above {
        let Thresholds { medium_above, high_above } = thresholds;
        let key = if medium.is_some() { "medium_above" } else { "high_above" };
        section.problem(
            key,
            &format!("medium_above ({medium_above}) must be lower than high_above ({high_above})"),
        );
    }
    thresholds
}

fn points(section: &mut Section<'_, '_>) -> Points {
    let mut points = Points::default();
    for rule in Rule::ALL {
        if let Some(given) = section.integer(rule.key(), 0, 100) {
            points.set(*rule, given);
        }
    }
    points
}

fn trusted(section: &mut Section<'_, '_>) -> Trusted {
    Trusted {
        networks: section.texts("networks", values::network).unwrap_or_default(),
        users: section.texts("users", values::login_user).unwrap_or_default(),
        keys: section.texts("keys", values::fingerprint).unwrap_or_default(),
    }
}
