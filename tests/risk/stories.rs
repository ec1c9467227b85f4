//! Logins from real life, with what is made of them.

use std::fmt::Write as _;

use expect_test::expect_file;
use jiff::tz::TimeZone;
use login_tracer::config::Rule;
use login_tracer::enrich::address::Scope;
use login_tracer::enrich::history::{History, Known, Travel, UserHistory};
use login_tracer::enrich::{Fact, Listing, Place, Reputation, Why};
use login_tracer::output::{View, calculation};
use login_tracer::session::AccountState;
use login_tracer::session::Identity;

use crate::case::{Case, KEY};

#[test]
fn logins_from_real_life() {
    let mut text = String::new();
    for (story, case) in stories() {
        let calculation = case.calculation();
        let assessment = calculation.assessment();
        let score = assessment.score.map_or(String::new(), |score| format!(" {score}"));
        writeln!(text, "{story}\n  {}{score}", assessment.level).unwrap();
        for reason in assessment.reasons {
            writeln!(text, "  {:>+5} {}", reason.points, reason.text).unwrap();
        }
        text.push('\n');
    }
    expect_file![format!("{}/../tests/goldens/risk-stories.txt", env!("CARGO_MANIFEST_DIR"))]
        .assert_eq(&text);
}

/// Without a database of places nothing is held against anybody, and the page says what is not known.
#[test]
fn what_cannot_be_known_is_explained_as_unknown() {
    let page = |case: &Case| {
        let view = View { now: case.login.at, zone: TimeZone::UTC, has_colour: false };
        let mut page = Vec::new();
        calculation::write(&case.calculation(), &case.facts, case.risk.thresholds, &view, &mut page).unwrap();
        String::from_utf8(page).unwrap()
    };
    let line = |case: &Case, name: &str| {
        let start = format!("  {name:<14} ");
        page(case).lines().find_map(|line| Some(line.strip_prefix(&start)?.to_owned())).unwrap()
    };
    let known = Case::plain().user(|user| user.travel = Some(Travel { km: 7, minutes: 90 }));
    assert_eq!(
        line(&known, "User"),
        "200 logins in 100 days, last 1 days before, address known, network known, country known, key known, \
         hour known, 7 km in 90 min"
    );
    let unknown = Case::plain().user(|user| {
        (user.country_seen, user.key_seen, user.hour_seen) = (None, None, None);
    });
    assert_eq!(
        line(&unknown, "User"),
        "200 logins in 100 days, last 1 days before, address known, network known, country unknown, no key, \
         hours not learned yet, journey unknown"
    );
    assert_eq!(unknown.calculation().sum, 0);
    assert_eq!(line(&unknown, "Place"), "unknown - no look-up is configured");
    let account = |case: &Case| line(case, "Account");
    assert!(account(&unknown).ends_with("; locked, expired or neither, which only /etc/shadow says"));
    let locked = Case::plain().state(AccountState::Locked);
    assert!(account(&locked).ends_with("; locked: its password lets nobody in"));
}

fn stories() -> Vec<(&'static str, Case)> {
    let backup = Case::plain().offline().with(|case| {
        case.login.user = Some("backup".to_owned());
        case.risk.trusted.keys = vec![KEY.to_owned()];
    });
    vec![
        ("The nightly backup, by its trusted key from a known address", backup.clone()),
        (
            "The backup's key, from a network where it never was",
            backup.user(|user| (user.address_seen, user.network_seen) = (Some(false), Some(false))),
        ),
        ("Alice, as every day", Case::plain()),
        ("Alice, by a password today", Case::plain().password()),
        (
            "Alice at home: new address, new network, a clean reputation",
            Case::plain().user(|user| (user.address_seen, user.network_seen) = (Some(false), Some(false))),
        ),
        (
            "Alice on holiday: a new country as well, at an unusual hour",
            abroad(Case::plain()).user(|user| user.hour_seen = Some(false)),
        ),
        (
            "Alice, an hour ago in Madrid and now in Sydney, with a new key",
            abroad(Case::plain()).user(|user| {
                user.travel = Some(Travel { km: 17_650, minutes: 60 });
                user.key_seen = Some(false);
            }),
        ),
        (
            "A new colleague's first login, on a host that is known for long",
            first(Case::plain(), Known { logins: 1000, days: 300 }),
        ),
        (
            "The first login of all, on a new host, from the office",
            first(Case::plain().offline(), Known::default())
                .with(|case| case.facts.reputation = Fact::unknown(Why::NotPublic(Scope::Private))),
        ),
        (
            "The first login of all, from the internet, with nobody to ask",
            first(Case::plain().offline(), Known::default()),
        ),
        (
            "The first login of root, by password, from a listed network, at three in the morning",
            first(listed(Case::plain()).root().password(), Known { logins: 1000, days: 300 })
                .user(|user| user.failures = 640),
        ),
        ("Root, by password, from the trusted office", trusted(Case::plain().root().password())),
        ("Root, by key, from the trusted office", trusted(Case::plain().root())),
        (
            "A password that was guessed: 31 refused tries, then Bob",
            Case::plain().password().reputation(20).address(|address| address.failures = 31),
        ),
        (
            "One address, five accounts in a day, by password",
            Case::plain().password().reputation(40).address(|address| address.other_users = 4),
        ),
        (
            "www-data, whose shell is nologin, by key",
            Case::plain().with(|case| case.login.user = Some("www-data".to_owned())).account(|account| {
                account.shell = "/usr/sbin/nologin".to_owned();
                account.is_service = true;
            }),
        ),
        (
            "Somebody who left the company a year ago",
            Case::plain().state(AccountState::Expired).user(|user| user.days_away = Some(370)),
        ),
        (
            "Somebody who was locked out a week ago, by the key that was forgotten",
            Case::plain().state(AccountState::Locked).user(|user| user.days_away = Some(8)),
        ),
        ("A colleague without a password, by key as always", Case::plain().state(AccountState::NoPassword)),
        ("An administrator who uses sudo", Case::plain().offline().became(1000, 0, "/usr/bin/sudo")),
        (
            "Alice becomes root by no program that is there for it",
            Case::plain().with(|case| {
                case.login.escalations.push(login_tracer::session::Escalation {
                    pid: 4711,
                    from: Identity { uid: 1000, user: Some("alice".to_owned()) },
                    to: Identity { uid: 0, user: Some("root".to_owned()) },
                    exe: "/home/alice/a.out".to_owned(),
                });
            }),
        ),
        (
            "Nobody answers: two services are silent, a list is gone",
            Case::plain().with(|case| {
                for opinion in &mut case.facts.opinions {
                    opinion.answer = Fact::unknown(Why::Deadline);
                }
                case.facts.reputation = Fact::unknown(Why::Deadline);
                case.facts.opinions.push(login_tracer::enrich::Opinion {
                    source: "CrowdSec".to_owned(),
                    answer: Fact::unknown(Why::Throttled),
                });
                case.facts.unreadable.push("list drop".to_owned());
            }),
        ),
        (
            "A Tor exit that one of two services knows",
            Case::plain().with(|case| {
                let reason = Some("AbuseIPDB: reported 37 times, 85 % sure of abuse, Tor exit".to_owned());
                let reputation = Reputation { score: 85, reason, asn: None };
                case.facts.reputation = Fact::Known(reputation.clone());
                case.facts.opinions.push(login_tracer::enrich::Opinion {
                    source: "AbuseIPDB".to_owned(),
                    answer: Fact::Known(reputation),
                });
            }),
        ),
    ]
}

fn abroad(case: Case) -> Case {
    let place = Place { city: None, region: None, country_code: Some("AU".to_owned()) };
    case.with(|case| case.facts.place = Fact::Known(place)).user(|user| {
        (user.address_seen, user.network_seen, user.country_seen) = (Some(false), Some(false), Some(false));
    })
}

fn first(case: Case, host: Known) -> Case {
    case.past(|past: &mut History| {
        past.host = host;
        past.user = Some(UserHistory {
            address_seen: Some(false),
            network_seen: Some(false),
            key_seen: Some(false),
            ..UserHistory::default()
        });
    })
}

fn listed(case: Case) -> Case {
    case.offline().with(|case| {
        case.facts.listings.push(Listing {
            list: "drop".to_owned(),
            entry: "193.146.0.0/16".to_owned(),
            points: None,
        });
    })
}

fn trusted(case: Case) -> Case {
    case.with(|case| {
        case.risk.trusted.networks = vec!["193.146.30.0/24".parse().unwrap()];
        assert_eq!(case.risk.points.of(Rule::TrustedNetwork), 40);
    })
}
