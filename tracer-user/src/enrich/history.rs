//! What earlier sessions say about a login: pure, from what the store recorded before it.
//!
//! Everything is asked at the place of the login itself: only what was stored before it counts, so that the same login
//! gets the same answer whenever it is asked about. The one exception is what follows it, which is named so.

use std::net::IpAddr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::place::Position;
use crate::store::Recorded;

/// Window within which addresses of a user and users of an address are counted.
pub const DAY: SignedDuration = SignedDuration::from_hours(24);

/// From so many logins on, their hours say something.
const HOURS_KNOWN_FROM: usize = 20;

/// What is known of the past of a login.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Of all users.
    pub host: Known,
    /// `None` where it is not known who logged in.
    pub user: Option<UserHistory>,
    /// `None` without an address.
    pub address: Option<AddressHistory>,
    /// Kernel events that were lost shortly before: what they said is missing here.
    pub events_lost: u64,
}

/// How much past there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Logins, counted up to [`crate::config::Learning::MOST_LOGINS`].
    pub logins: u16,
    /// Whole days since the first one.
    pub days: u32,
}

/// The past of a user. `None` stands for what cannot be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserHistory {
    pub known: Known,
    /// Whole days since the last login; `None` without one.
    pub days_away: Option<u32>,
    pub address_seen: Option<bool>,
    /// The network of the address: /24, or /48 of IPv6.
    pub network_seen: Option<bool>,
    pub key_seen: Option<bool>,
    /// Whether one of the last logins was within an hour of this time of day.
    pub hour_seen: Option<bool>,
    pub country_seen: Option<bool>,
    pub travel: Option<Travel>,
    /// Other addresses of the user in the day before.
    pub other_addresses: u32,
    /// Refused tries to log in as this user, in the hour before.
    pub failures: u32,
}

/// From the place of the login before to the place of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Travel {
    pub km: u32,
    pub minutes: u32,
}

/// The past of an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressHistory {
    /// Other users from there in the day before.
    pub other_users: u32,
    /// Refused tries from there, in the day before.
    pub failures: u32,
    /// Refused tries from there in the hour after the login.
    pub failures_after: u32,
}

/// What is known of addresses apart from their logins.
pub trait Atlas {
    /// ISO 3166-1, two letters.
    fn country(&self, address: IpAddr) -> Option<String>;
    fn position(&self, address: IpAddr) -> Option<Position>;
}

/// The login that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    pub user: Option<&'a str>,
    pub address: Option<IpAddr>,
    pub at: Timestamp,
}

impl History {
    /// From what the store recorded before the login `now`.
    pub fn of(recorded: &Recorded, now: Now<'_>, atlas: &dyn Atlas, zone: &TimeZone) -> Self {
        let user = now.user.map(|_| UserHistory {
            known: known(recorded.user_logins, recorded.user_first_at, now.at),
            days_away: recorded.visits.iter().map(|visit| visit.at).max().map(|last| days(last, now.at)),
            address_seen: recorded.address_seen,
            network_seen: recorded.network_seen,
            key_seen: recorded.key_seen,
            hour_seen: hour_seen(recorded, now.at, zone),
            country_seen: country_seen(recorded, now.address, atlas),
            travel: travel(recorded, now, atlas),
            other_addresses: others(
                recorded.visits.iter().filter(|visit| is_within(visit.at, now.at)).map(|visit| visit.address),
                now.address,
            ),
            failures: recorded.failures_of_user,
        });
        let address = now.address.map(|_| AddressHistory {
            other_users: others(
                recorded.visitors.iter().filter(|(at, _)| is_within(*at, now.at)).map(|(_, user)| Some(user)),
                now.user.map(str::to_owned).as_ref(),
            ),
            failures: recorded.failures_from_address,
            failures_after: recorded.failures_after,
        });
        Self {
            host: known(recorded.host_logins, recorded.host_first_at, now.at),
            user,
            address,
            events_lost: recorded.events_lost,
        }
    }
}

fn known(logins: u16, first_at: Option<Timestamp>, now: Timestamp) -> Known {
    Known { logins, days: first_at.map_or(0, |first| days(first, now)) }
}

/// Whole days; none if the clock was set back.
fn days(from: Timestamp, to: Timestamp) -> u32 {
    u32::try_from(to.duration_since(from).as_hours() / 24).unwrap_or(0)
}

fn is_within(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) <= DAY
}

/// How many different ones there are besides this one.
fn others<T: Ord>(all: impl Iterator<Item = Option<T>>, this: Option<T>) -> u32 {
    let mut all: Vec<T> = all.flatten().filter(|one| Some(one) != this.as_ref()).collect();
    all.sort();
    all.dedup();
    u32::try_from(all.len()).unwrap_or(u32::MAX)
}

fn hour_seen(recorded: &Recorded, now: Timestamp, zone: &TimeZone) -> Option<bool> {
    if recorded.visits.len() < HOURS_KNOWN_FROM {
        return None;
    }
    let hour = |at: Timestamp| i32::from(zone.to_datetime(at).hour());
    let this = hour(now);
    let is_near = |other: i32| {
        let apart = (this - other).abs();
        apart.min(24 - apart) <= 1
    };
    Some(recorded.visits.iter().any(|visit| is_near(hour(visit.at))))
}

/// Whether one of the last logins came from the same country.
fn country_seen(recorded: &Recorded, address: Option<IpAddr>, atlas: &dyn Atlas) -> Option<bool> {
    let this = atlas.country(address?)?;
    let mut earlier: Vec<IpAddr> = recorded.visits.iter().filter_map(|visit| visit.address).collect();
    earlier.sort();
    earlier.dedup();
    let countries: Vec<String> = earlier.into_iter().filter_map(|address| atlas.country(address)).collect();
    // Where no earlier login has a country (all came from networks of our own), this one is no stranger.
    (!countries.is_empty()).then(|| countries.contains(&this))
}

fn travel(recorded: &Recorded, now: Now<'_>, atlas: &dyn Atlas) -> Option<Travel> {
    let to = atlas.position(now.address?)?;
    // The last login that has a place.
    let (last, from) =
        recorded.visits.iter().find_map(|visit| Some((visit, atlas.position(visit.address?)?)))?;
    let minutes = now.at.duration_since(last.at).as_mins();
    let minutes = u32::try_from(minutes.max(0)).unwrap_or(u32::MAX);
    Some(Travel { km: from.km_to(to), minutes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Visit;

    /// Addresses that begin with 1 are in Madrid, with 2 in Sydney.
    struct Map;

    impl Atlas for Map {
        fn country(&self, address: IpAddr) -> Option<String> {
            let first = address.to_string();
            [("1", "ES"), ("2", "AU")]
                .iter()
                .find(|(start, _)| first.starts_with(start))
                .map(|(_, code)| (*code).to_owned())
        }

        fn position(&self, address: IpAddr) -> Option<Position> {
            match self.country(address)?.as_str() {
                "ES" => Position::new(40.4, -3.7),
                _ => Position::new(-33.9, 151.2),
            }
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn visit(text: &str, address: &str) -> Visit {
        Visit { at: at(text), address: Some(address.parse().unwrap()) }
    }

    fn user(recorded: &Recorded, time: &str, address: &str) -> UserHistory {
        let now = Now { user: Some("alice"), address: Some(address.parse().unwrap()), at: at(time) };
        History::of(recorded, now, &Map, &TimeZone::UTC).user.unwrap()
    }

    #[test]
    fn travel_is_from_the_last_login_that_has_a_place() {
        let visits = vec![visit("2026-11-21T08:30:00Z", "9.0.0.1"), visit("2026-11-21T08:00:00Z", "1.0.0.1")];
        let recorded = Recorded { visits, ..Recorded::default() };
        let found = user(&recorded, "2026-11-21T10:00:00Z", "2.0.0.1").travel.unwrap();
        assert_eq!(found.minutes, 120);
        assert!((17_000..18_000).contains(&found.km), "{found:?}");
        assert_eq!(user(&recorded, "2026-11-21T10:00:00Z", "9.0.0.1").travel, None);
        assert_eq!(user(&Recorded::default(), "2026-11-21T10:00:00Z", "2.0.0.1").travel, None);
    }

    #[test]
    fn countries_of_the_last_logins() {
        let recorded =
            Recorded { visits: vec![visit("2026-11-20T08:00:00Z", "1.0.0.1")], ..Recorded::default() };
        let seen = |address| user(&recorded, "2026-11-21T10:00:00Z", address).country_seen;
        assert_eq!((seen("1.9.9.9"), seen("2.0.0.1"), seen("9.0.0.1")), (Some(true), Some(false), None));
        assert_eq!(user(&Recorded::default(), "2026-11-21T10:00:00Z", "2.0.0.1").country_seen, None);
    }

    #[test]
    fn hours_need_some_logins_and_go_around_the_clock() {
        let visits: Vec<_> = (0..19).map(|_| visit("2026-11-20T23:30:00Z", "1.0.0.1")).collect();
        let mut recorded = Recorded { visits, ..Recorded::default() };
        let seen = |recorded: &Recorded, time: &str| user(recorded, time, "1.0.0.1").hour_seen;
        assert_eq!(seen(&recorded, "2026-11-21T12:00:00Z"), None);
        recorded.visits.push(visit("2026-11-20T23:30:00Z", "1.0.0.1"));
        assert_eq!(seen(&recorded, "2026-11-21T00:59:00Z"), Some(true));
        assert_eq!(seen(&recorded, "2026-11-21T01:00:00Z"), Some(false));
        assert_eq!(seen(&recorded, "2026-11-21T22:00:00Z"), Some(true));
        assert_eq!(seen(&recorded, "2026-11-21T21:59:00Z"), Some(false));
    }

    #[test]
    fn others_are_counted_once_and_for_a_day() {
        let visits = vec![
            visit("2026-11-21T09:00:00Z", "1.0.0.1"),
            visit("2026-11-21T08:00:00Z", "1.0.0.2"),
            visit("2026-11-21T07:00:00Z", "1.0.0.2"),
            visit("2026-11-20T09:59:59Z", "1.0.0.3"),
        ];
        let recorded = Recorded { visits, ..Recorded::default() };
        let found = user(&recorded, "2026-11-21T10:00:00Z", "1.0.0.1");
        assert_eq!((found.other_addresses, found.days_away), (1, Some(0)));
    }

    #[test]
    fn a_day_is_whole_and_no_longer() {
        let visits = vec![visit("2026-11-20T10:00:00Z", "1.0.0.2"), visit("2026-11-20T09:59:59Z", "1.0.0.3")];
        let visitors = [
            ("2026-11-20T10:00:00Z", "bob"),
            ("2026-11-20T09:59:59Z", "carol"),
            ("2026-11-21T09:00:00Z", "alice"),
        ];
        let visitors = visitors.map(|(time, user)| (at(time), user.to_owned())).to_vec();
        let recorded = Recorded { visits, visitors, user_logins: 2, host_logins: 7, ..Recorded::default() };
        let address = Some("1.0.0.1".parse().unwrap());
        let now = Now { user: Some("alice"), address, at: at("2026-11-21T10:00:00Z") };
        let history = History::of(&recorded, now, &Map, &TimeZone::UTC);
        let user = history.user.unwrap();
        assert_eq!((user.other_addresses, history.address.unwrap().other_users), (1, 1));
        assert_eq!((user.known.logins, history.host.logins), (2, 7));
    }

    #[test]
    fn a_clock_that_was_set_back_harms_nothing() {
        let recorded = Recorded {
            visits: vec![visit("2026-11-22T09:00:00Z", "1.0.0.1")],
            user_logins: 1,
            user_first_at: Some(at("2026-11-22T09:00:00Z")),
            ..Recorded::default()
        };
        let found = user(&recorded, "2026-11-21T10:00:00Z", "2.0.0.1");
        assert_eq!((found.known.days, found.days_away), (0, Some(0)));
        assert_eq!(found.travel.unwrap().minutes, 0);
    }
}
