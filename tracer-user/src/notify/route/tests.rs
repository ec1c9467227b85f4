mod decisions;

use std::net::SocketAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::config::{Conditions, Days, Hours, Quiet, Route, Until};
use crate::notify::message::Subject;
use crate::session::{Auth, AuthKey, End};

const SINKS: [&str; 2] = ["ops", "pager"];

/// Every condition alone: what it matches and what it does not.
#[test]
fn each_condition_decides() {
    let event = opened("alice", Some("192.0.2.7:1"));
    let case = Case::of(&event, Some(Level::Medium), Groups::Known(vec!["wheel".to_owned()]));
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let nets = |words: &[&str]| words.iter().map(|word| word.parse().unwrap()).collect::<Vec<IpNet>>();
    // It happened on a Saturday at 10:00.
    let hours = |from: u16, to: u16| Some(Hours { from: from * 60, to: to * 60, days: Days::ALL });
    let default = Conditions::default;
    let table: [(&str, Conditions, Conditions); 11] = [
        (
            "kind",
            Conditions { kinds: vec![Kind::Loss, Kind::Opened], ..default() },
            Conditions { kinds: vec![Kind::Closed], ..default() },
        ),
        (
            "level",
            Conditions { levels: vec![Level::High, Level::Medium], ..default() },
            Conditions { levels: vec![Level::Low], ..default() },
        ),
        (
            "at_least",
            Conditions { at_least: Some(Level::Medium), ..default() },
            Conditions { at_least: Some(Level::High), ..default() },
        ),
        (
            "at_most",
            Conditions { at_most: Some(Level::Medium), ..default() },
            Conditions { at_most: Some(Level::Low), ..default() },
        ),
        (
            "user",
            Conditions { users: text(&["bob", "alice"]), ..default() },
            Conditions { users: text(&["Alice"]), ..default() },
        ),
        (
            "group",
            Conditions { groups: text(&["adm", "wheel"]), ..default() },
            Conditions { groups: text(&["adm"]), ..default() },
        ),
        (
            "address",
            Conditions { addresses: nets(&["192.0.2.7/32"]), ..default() },
            Conditions { addresses: nets(&["192.0.2.8/32", "2001:db8::/32"]), ..default() },
        ),
        (
            "network",
            Conditions { networks: nets(&["10.0.0.0/8", "192.0.2.0/24"]), ..default() },
            Conditions { networks: nets(&["192.0.3.0/24"]), ..default() },
        ),
        (
            "host",
            Conditions { hosts: text(&["WEB-1"]), ..default() },
            Conditions { hosts: text(&["web"]), ..default() },
        ),
        (
            "service",
            Conditions { services: text(&["ssh"]), ..default() },
            Conditions { services: text(&["su", "sudo"]), ..default() },
        ),
        (
            "hours",
            Conditions { hours: hours(9, 17), ..default() },
            Conditions { hours: hours(17, 9), ..default() },
        ),
    ];
    let mut all = Conditions::default();
    for (name, holds, fails) in table {
        assert_eq!(condition::check(&holds, &case, &TimeZone::UTC), Ok(()), "{name}");
        let failed = condition::check(&fails, &case, &TimeZone::UTC).unwrap_err();
        assert_eq!(failed.condition, name);
        assert!(failed.found.is_some() && !failed.wanted.is_empty(), "{failed:?}");
        // All of them hold together until one does not.
        all = merged(all, holds);
        assert_eq!(condition::check(&all, &case, &TimeZone::UTC), Ok(()));
    }
    all.users = text(&["bob"]);
    assert_eq!(condition::check(&all, &case, &TimeZone::UTC).unwrap_err().condition, "user");
}

#[test]
fn what_is_not_known_matches_nothing() {
    let event = Event::EventsLost { host: "h".to_owned(), at: at(), count: 1 };
    let loss = Case::of(&event, Some(Level::High), Groups::Unknown);
    assert_eq!(loss.level, None);
    let any: IpNet = "0.0.0.0/0".parse().unwrap();
    for when in [
        Conditions { at_least: Some(Level::Low), ..Conditions::default() },
        Conditions { at_most: Some(Level::High), ..Conditions::default() },
        Conditions { users: vec![String::new()], ..Conditions::default() },
        Conditions { groups: vec!["wheel".to_owned()], ..Conditions::default() },
        Conditions { addresses: vec![any], ..Conditions::default() },
        Conditions { services: vec!["ssh".to_owned()], ..Conditions::default() },
    ] {
        let failed = condition::check(&when, &loss, &TimeZone::UTC).unwrap_err();
        assert_eq!(failed.found, None, "{failed:?}");
    }
}

#[test]
fn an_unknown_level_is_neither_harmless_nor_an_alarm() {
    let event = opened("alice", None);
    let case = Case::of(&event, Some(Level::Unknown), Groups::Unknown);
    let holds = |when: &Conditions| condition::check(when, &case, &TimeZone::UTC).is_ok();
    for (level, at_least, at_most) in
        [(Level::Low, true, false), (Level::Medium, true, true), (Level::High, false, true)]
    {
        assert_eq!(holds(&Conditions { at_least: Some(level), ..Conditions::default() }), at_least);
        assert_eq!(holds(&Conditions { at_most: Some(level), ..Conditions::default() }), at_most);
        assert!(!holds(&Conditions { levels: vec![level], ..Conditions::default() }));
    }
    assert!(holds(&Conditions { levels: vec![Level::Unknown], ..Conditions::default() }));
}

#[test]
fn news_of_the_tracer_are_not_silenced_by_accident() {
    let loss = Event::EventsLost { host: "h".to_owned(), at: at(), count: 1 };
    let only_root =
        rules(vec![route(Conditions { users: vec!["root".to_owned()], ..Conditions::default() }, &["ops"])]);
    let verdict = verdict(&only_root, &loss, None);
    assert_eq!((verdict.reason, sinks(&verdict)), (Why::NewsWithoutRoute, SINKS.to_vec()));
    let knowingly = rules(vec![route(Conditions { kinds: vec![Kind::Loss], ..Conditions::default() }, &[])]);
    let verdict = super::tests::verdict(&knowingly, &loss, None);
    assert_eq!((verdict.reason, sinks(&verdict)), (Why::Dropped, vec![]));
}

#[test]
fn the_allowlist_asks_for_all_of_its_conditions() {
    let key = "SHA256:7L5FXqCp1cnVTcsWCKPhBLXgDd4YNbsk2gHbYYBmYfI";
    let entry = Allow {
        number: 3,
        reason: "robots".to_owned(),
        addresses: Vec::new(),
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        users: vec!["alice".to_owned()],
        keys: vec![key.to_owned()],
        until: Some(Until { end: "2026-11-21T10:00:00".parse().unwrap(), text: "then".to_owned() }),
    };
    let with_key = |user: &str, peer: &str, fingerprint: &str| {
        let Event::Opened(mut subject) = opened(user, Some(peer)) else { unreachable!() };
        let key = AuthKey { kind: "ED25519".to_owned(), fingerprint: fingerprint.to_owned() };
        subject.auth =
            Some(Auth { method: "publickey".to_owned(), key: Some(key), certificate: None, user_log: None });
        subject.opened_at -= jiff::SignedDuration::from_secs(1);
        Event::Opened(subject)
    };
    let allow = |event: &Event, entry: &Allow| {
        let rules = Rules { allow: vec![entry.clone()], ..Rules::default() };
        verdict(&rules, event, Some(Level::High)).allowed.map(|allowed| allowed.entry)
    };
    let right = with_key("alice", "[::ffff:192.0.2.9]:7", key);
    assert_eq!(allow(&right, &entry), Some(3));
    assert_eq!(allow(&with_key("bob", "192.0.2.9:7", key), &entry), None);
    assert_eq!(allow(&with_key("alice", "192.0.3.9:7", key), &entry), None);
    assert_eq!(allow(&with_key("alice", "192.0.2.9:7", "SHA256:other"), &entry), None);
    assert_eq!(allow(&opened("alice", Some("192.0.2.9:7")), &Allow { until: None, ..entry.clone() }), None);
    // It ends with its moment.
    let over = Until { end: "2026-11-21T09:59:59".parse().unwrap(), text: "then".to_owned() };
    assert_eq!(allow(&right, &Allow { until: Some(over), ..entry }), None);
}

#[test]
fn quiet_hours_let_exceptions_and_other_sinks_pass() {
    let quiet = Quiet {
        hours: Hours { from: 9 * 60, to: 11 * 60, days: Days::ALL },
        except: vec![Exception::AtLeast(Level::High), Exception::Kind(Kind::Escalated)],
        sinks: vec!["ops".to_owned()],
    };
    let rules = Rules { quiet: vec![quiet], ..Rules::default() };
    let held = |event: &Event, level| {
        let verdict = verdict(&rules, event, level);
        verdict.sinks.into_iter().map(|to| to.held.map(|held| held.until.to_string())).collect::<Vec<_>>()
    };
    let until = Some("2026-11-21T11:00:00Z".to_owned());
    let event = opened("alice", None);
    assert_eq!(held(&event, Some(Level::Medium)), [until.clone(), None]);
    assert_eq!(held(&event, Some(Level::Unknown)), [until.clone(), None]);
    assert_eq!(held(&event, Some(Level::High)), [None, None]);
    let loss = Event::EventsLost { host: "h".to_owned(), at: at(), count: 1 };
    assert_eq!(held(&loss, None), [until, None]);
}

proptest! {
    /// By the first route that matches, and by all: the first is one of all, and only sinks of routes are named.
    #[test]
    fn first_is_a_part_of_all(
        routes in prop::collection::vec((any_conditions(), 0usize..4), 0..6),
        level in prop::sample::select(vec![Level::Unknown, Level::Low, Level::Medium, Level::High]),
        user in prop::sample::select(vec!["alice", "bob"]),
        is_closed in any::<bool>(),
    ) {
        let targets = [&[][..], &["ops"], &["pager"], &["ops", "pager"]];
        let routes: Vec<_> = routes.into_iter().map(|(when, to)| route(when, targets[to])).collect();
        let Event::Opened(subject) = opened(user, Some("192.0.2.7:1")) else { unreachable!() };
        let event = if is_closed {
            Event::Closed { subject, at: at(), end: End::Logout }
        } else {
            Event::Opened(subject)
        };
        let first = Rules { take: Take::First, ..rules(routes.clone()) };
        let all = Rules { take: Take::All, ..rules(routes.clone()) };
        let (first, all) = (verdict(&first, &event, Some(level)), verdict(&all, &event, Some(level)));
        prop_assert!(sinks(&first).iter().all(|sink| sinks(&all).contains(sink)));
        // Each sink once.
        let mut once = sinks(&all);
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), all.sinks.len());
        match routes.len() {
            0 => prop_assert_eq!(first.reason, Why::NoRoutes),
            count => {
                prop_assert_eq!(all.routes.len(), count);
                let matched = all.routes.iter().position(|look| look.failed.is_none());
                prop_assert_eq!(first.routes.len(), matched.map_or(count, |index| index + 1));
                prop_assert_eq!(matched.is_none(), first.reason == Why::NoMatch);
            }
        }
        // What is stored is what is read.
        let stored = serde_json::to_string(&all).unwrap();
        prop_assert_eq!(serde_json::from_str::<Verdict>(&stored).unwrap(), all);
    }

    #[test]
    fn an_ipv4_address_is_one_however_it_is_seen(bits in any::<u32>(), prefix in 0u8..=32, other in any::<u32>()) {
        let network = IpNet::new(std::net::Ipv4Addr::from(bits).into(), prefix).unwrap();
        let when = Conditions { networks: vec![network], ..Conditions::default() };
        let address = std::net::Ipv4Addr::from(other);
        let plain = opened("a", Some(&format!("{address}:1")));
        let mapped = opened("a", Some(&format!("[{}]:1", address.to_ipv6_mapped())));
        let holds = |event: &Event| {
            condition::check(&when, &Case::of(event, None, Groups::Unknown), &TimeZone::UTC).is_ok()
        };
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        prop_assert_eq!(holds(&plain), bits & mask == other & mask);
        prop_assert_eq!(holds(&mapped), holds(&plain));
    }
}

fn any_conditions() -> impl Strategy<Value = Conditions> {
    let kinds = prop::collection::vec(prop::sample::select(Kind::ALL.to_vec()), 0..3);
    let levels = prop::option::of(prop::sample::select(vec![Level::Low, Level::Medium, Level::High]));
    let users = prop::collection::vec(prop::sample::select(vec!["alice".to_owned(), "eve".to_owned()]), 0..2);
    (kinds, levels, users).prop_map(|(kinds, at_least, users)| Conditions {
        kinds,
        at_least,
        users,
        ..Conditions::default()
    })
}

fn merged(all: Conditions, one: Conditions) -> Conditions {
    let join = |mut all: Vec<String>, one: Vec<String>| {
        all.extend(one);
        all
    };
    Conditions {
        kinds: [all.kinds, one.kinds].concat(),
        levels: [all.levels, one.levels].concat(),
        at_least: all.at_least.or(one.at_least),
        at_most: all.at_most.or(one.at_most),
        users: join(all.users, one.users),
        groups: join(all.groups, one.groups),
        addresses: [all.addresses, one.addresses].concat(),
        networks: [all.networks, one.networks].concat(),
        hosts: join(all.hosts, one.hosts),
        services: join(all.services, one.services),
        hours: all.hours.or(one.hours),
    }
}

fn verdict(rules: &Rules, event: &Event, level: Option<Level>) -> Verdict {
    let sinks = SINKS.map(str::to_owned);
    let case = Case::of(event, level, Groups::Known(Vec::new()));
    decide(rules, &sinks, &case, &Beginning::Undecided, at(), &TimeZone::UTC)
}

fn sinks(verdict: &Verdict) -> Vec<&str> {
    verdict.sinks.iter().map(|to| to.sink.as_str()).collect()
}

fn rules(routes: Vec<Route>) -> Rules {
    Rules { routes, ..Rules::default() }
}

fn route(when: Conditions, sinks: &[&str]) -> Route {
    Route { name: "r".to_owned(), when, sinks: sinks.iter().map(|sink| (*sink).to_owned()).collect() }
}

fn opened(user: &str, peer: Option<&str>) -> Event {
    Event::Opened(Subject {
        service: crate::session::Service::Ssh,
        by: None,
        host: "web-1".to_owned(),
        user: Some(user.to_owned()),
        uid: Some(1000),
        peer: peer.map(|peer| peer.parse::<SocketAddr>().unwrap()),
        auth: None,
        opened_at: at(),
        recovered: false,
    })
}

fn at() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}
