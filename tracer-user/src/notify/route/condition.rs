//! Single conditions: whether they hold, and if not, what was found instead.

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::{Case, Failed, Groups, hours, rank};
use crate::assess::Level;
use crate::config::{Allow, Conditions, Kind, day_word};
use crate::sanitize;

/// Characters kept of what was found: enough for any real name.
const FOUND_CHARS: usize = 64;
/// Characters kept of a list of values.
const WANTED_CHARS: usize = 200;

/// Whether all conditions hold; the first that does not, otherwise.
pub(super) fn check(when: &Conditions, case: &Case<'_>, zone: &TimeZone) -> Result<(), Failed> {
    let word = |level: &Level| level.to_string();
    let level = case.level;
    let kind = |kind: &Kind| kind.as_str().to_owned();
    if case.kind == Kind::Attempts && when.kinds.is_empty() {
        let (wanted, found) = ("all but attempts".to_owned(), Some(kind(&case.kind)));
        return Err(Failed { condition: "kind".to_owned(), wanted, found });
    }
    one_of("kind", &when.kinds, |wanted| *wanted == case.kind, kind, || Some(kind(&case.kind)))?;
    let found = || level.map(|level| level.to_string());
    one_of("level", &when.levels, |wanted| Some(*wanted) == level, word, found)?;
    let at_least = |wanted: &Level| level.is_some_and(|level| rank(level) >= rank(*wanted));
    one_of("at_least", when.at_least.as_slice(), at_least, word, found)?;
    let at_most = |wanted: &Level| level.is_some_and(|level| rank(level) <= rank(*wanted));
    one_of("at_most", when.at_most.as_slice(), at_most, word, found)?;
    let users = || (!case.users.is_empty()).then(|| case.users.join(", "));
    one_of("user", &when.users, |user| case.users.contains(&user.as_str()), Clone::clone, users)?;
    let is_member = |group: &String| match &case.groups {
        Groups::Known(groups) => groups.contains(group),
        Groups::Unknown => false,
    };
    let found = || match &case.groups {
        Groups::Known(_) => users(),
        Groups::Unknown => None,
    };
    one_of("group", &when.groups, is_member, Clone::clone, found)?;
    let address = || case.address.map(|address| address.to_string());
    let is_within = |network: &IpNet| case.address.is_some_and(|address| network.contains(&address));
    one_of("address", &when.addresses, is_within, shown, address)?;
    one_of("network", &when.networks, is_within, shown, address)?;
    let is_host = |host: &String| host.eq_ignore_ascii_case(case.host);
    one_of("host", &when.hosts, is_host, Clone::clone, || Some(case.host.to_owned()))?;
    let service = || case.service.map(str::to_owned);
    let is_service = |service: &String| case.service == Some(service.as_str());
    one_of("service", &when.services, is_service, Clone::clone, service)?;
    let at = zone.to_datetime(case.at);
    let clock = || {
        let day = day_word(at.weekday());
        Some(format!("{day} {:02}:{:02}", at.hour(), at.minute()))
    };
    one_of("hours", when.hours.as_slice(), |wanted| hours::covers(wanted, at), ToString::to_string, clock)
}

/// Whether a login matches an entry of the allowlist.
pub(super) fn is_allowed(entry: &Allow, case: &Case<'_>) -> bool {
    let is_within = |networks: &[IpNet]| {
        networks.is_empty()
            || case.address.is_some_and(|address| networks.iter().any(|network| network.contains(&address)))
    };
    is_within(&entry.addresses)
        && is_within(&entry.networks)
        && (entry.users.is_empty()
            || case.users.iter().any(|user| entry.users.iter().any(|wanted| wanted == user)))
        && (entry.keys.is_empty()
            || case.key.is_some_and(|key| entry.keys.iter().any(|wanted| wanted == key)))
}

/// Holds if nothing is wanted, or any of it is there.
fn one_of<T>(
    condition: &str,
    wanted: &[T],
    holds: impl Fn(&T) -> bool,
    word: impl Fn(&T) -> String,
    found: impl Fn() -> Option<String>,
) -> Result<(), Failed> {
    if wanted.is_empty() || wanted.iter().any(holds) {
        return Ok(());
    }
    let words: Vec<String> = wanted.iter().map(word).collect();
    Err(Failed {
        condition: condition.to_owned(),
        wanted: sanitize::text(&words.join(", "), WANTED_CHARS),
        found: found().map(|found| sanitize::text(&found, FOUND_CHARS)),
    })
}

/// An address without the length of its prefix, a network with it.
fn shown(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}
