//! What earlier sessions and attempts say.

use super::{Case, is_learned};
use crate::enrich::history::AddressHistory;
use crate::words;

/// Days without a login that make an account a forgotten one.
const DORMANT_DAYS: u32 = 90;
/// Refused tries from one address that are no typing errors any more: sshd's own limit of a connection is 6, people's is 3.
const FAILURES_FROM_ADDRESS: u32 = 5;
/// Refused tries to be one user. More, since everybody may try.
const FAILURES_OF_USER: u32 = 10;
/// Below this distance, places of addresses are too uncertain to tell a journey.
const FAR_KM: u32 = 500;
/// An airliner's speed.
const FASTEST_KMH: u64 = 900;
const MANY_USERS: u32 = 3;
const MANY_ADDRESSES: u32 = 4;

/// The host must be known, since the user cannot be.
pub(super) fn new_user(case: &Case<'_>) -> Option<String> {
    let history = case.history()?;
    let is_new = history.user.as_ref()?.known.logins == 0;
    (is_new && is_learned(history.host, case.risk.learning)).then(|| words::risk::NEW_USER.to_owned())
}

pub(super) fn new_address(case: &Case<'_>) -> Option<String> {
    (case.learned()?.address_seen == Some(false)).then(|| words::risk::NEW_ADDRESS.to_owned())
}

pub(super) fn new_network(case: &Case<'_>) -> Option<String> {
    (case.learned()?.network_seen == Some(false)).then(|| words::risk::NEW_NETWORK.to_owned())
}

pub(super) fn new_country(case: &Case<'_>) -> Option<String> {
    if case.learned()?.country_seen != Some(false) {
        return None;
    }
    let country = case.facts.place.known().and_then(|place| place.country_code.as_deref());
    Some(words::risk::new_country(country))
}

pub(super) fn new_key(case: &Case<'_>) -> Option<String> {
    (case.learned()?.key_seen == Some(false)).then(|| words::risk::NEW_KEY.to_owned())
}

pub(super) fn new_hour(case: &Case<'_>) -> Option<String> {
    (case.learned()?.hour_seen == Some(false)).then(|| words::risk::NEW_HOUR.to_owned())
}

pub(super) fn dormant(case: &Case<'_>) -> Option<String> {
    let days = case.history()?.user.as_ref()?.days_away.filter(|days| *days >= DORMANT_DAYS)?;
    Some(words::risk::dormant(days))
}

pub(super) fn failures_from_address(case: &Case<'_>) -> Option<String> {
    let failures = address(case)?.failures;
    (failures >= FAILURES_FROM_ADDRESS).then(|| words::risk::failures_from_address(failures))
}

pub(super) fn failures_of_user(case: &Case<'_>) -> Option<String> {
    let failures = case.history()?.user.as_ref()?.failures;
    (failures >= FAILURES_OF_USER).then(|| words::risk::failures_of_user(failures))
}

pub(super) fn impossible_travel(case: &Case<'_>) -> Option<String> {
    let travel = case.history()?.user.as_ref()?.travel?;
    let is_too_fast = u64::from(travel.km) * 60 > FASTEST_KMH * u64::from(travel.minutes);
    (travel.km > FAR_KM && is_too_fast).then(|| words::risk::travel(travel.km, travel.minutes))
}

pub(super) fn many_users(case: &Case<'_>) -> Option<String> {
    let users = address(case)?.other_users;
    (users >= MANY_USERS).then(|| words::risk::many_users(users))
}

pub(super) fn many_addresses(case: &Case<'_>) -> Option<String> {
    let addresses = case.history()?.user.as_ref()?.other_addresses;
    (addresses >= MANY_ADDRESSES).then(|| words::risk::many_addresses(addresses))
}

pub(super) fn events_lost(case: &Case<'_>) -> Option<String> {
    let lost = case.history()?.events_lost;
    (lost > 0).then(|| words::risk::events_lost(lost))
}

fn address<'a>(case: &'a Case<'_>) -> Option<&'a AddressHistory> {
    case.history()?.address.as_ref()
}
