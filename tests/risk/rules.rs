//! Each rule on both sides of its boundary.

use login_tracer::assess::Level;
use login_tracer::config::Rule;
use login_tracer::enrich::address::Scope;
use login_tracer::enrich::history::{Known, Travel};
use login_tracer::enrich::reverse_dns::ReverseName;
use login_tracer::enrich::{Fact, Listing, Why};
use login_tracer::session::AccountState;
use login_tracer::session::{AuthKey, Certificate};

use crate::case::{Case, KEY, by};

/// The rule finds something in the second case and nothing in the first, and gives its points.
fn boundary(rule: Rule, below: Case, above: Case) {
    assert_eq!(below.points(rule), None, "{below:#?}");
    assert_eq!(above.points(rule), Some(i16::from(rule.default_points())), "{above:#?}");
    // A rule without points is switched off.
    let off = above.with(|case| case.risk.points.set(rule, 0));
    assert_eq!(off.points(rule), None);
}

#[test]
fn a_plain_login_is_green_and_has_no_points() {
    let calculation = Case::plain().calculation();
    assert_eq!((calculation.level, calculation.sum), (Level::Low, 0));
    assert!(calculation.items.iter().all(|item| item.rule == Rule::Reputation), "{calculation:#?}");
}

#[test]
fn reputation() {
    assert_eq!(Case::plain().offline().points(Rule::Reputation), None);
    for (score, percent, points) in
        [(0, 100, 0), (34, 100, 34), (99, 100, 99), (35, 50, 18), (1, 1, 1), (90, 0, 0), (250, 50, 50)]
    {
        let case =
            Case::plain().reputation(score).with(|case| case.risk.points.set(Rule::Reputation, percent));
        assert_eq!(case.points(Rule::Reputation), Some(points));
    }
}

#[test]
fn listed() {
    let on = |lists: &[(&str, Option<u8>)]| {
        Case::plain().with(|case| {
            case.facts.listings = lists
                .iter()
                .map(|(list, points)| Listing {
                    list: (*list).to_owned(),
                    entry: "193.146.30.0/24".to_owned(),
                    points: *points,
                })
                .collect();
        })
    };
    boundary(Rule::Listed, on(&[]), on(&[("drop", None)]));
    assert_eq!(on(&[("mild", Some(20))]).points(Rule::Listed), Some(20));
    assert_eq!(on(&[("silent", Some(0))]).points(Rule::Listed), None);
    let both = on(&[("mild", Some(20)), ("drop", None)]);
    assert_eq!(both.points(Rule::Listed), Some(70));
    let text = &both.calculation().items[0].text;
    assert_eq!(text, "on the list mild (193.146.30.0/24) and on drop (193.146.30.0/24)");
}

#[test]
fn unconfirmed_name() {
    let named = |confirmed| {
        let name = ReverseName { name: "bank.example".to_owned(), confirmed };
        Case::plain().with(|case| case.facts.reverse_name = Fact::Known(name))
    };
    boundary(Rule::UnconfirmedName, named(true), named(false));
}

#[test]
fn root_is_told_by_its_number() {
    boundary(Rule::Root, Case::plain(), Case::plain().root());
    let called_root = Case::plain().with(|case| case.login.user = Some("root".to_owned()));
    assert_eq!(called_root.points(Rule::Root), None);
    assert_eq!(called_root.with(|case| case.login.uid = None).points(Rule::Root), Some(15));
    let toor = Case::plain().with(|case| case.login.uid = Some(0));
    assert_eq!(toor.points(Rule::Root), Some(15));
}

#[test]
fn passwords_and_answers() {
    boundary(Rule::Password, Case::plain(), Case::plain().password());
    for (method, is_password) in [
        ("keyboard-interactive/pam", true),
        ("none", true),
        ("publickey", false),
        ("hostbased", false),
        ("gssapi-with-mic", false),
    ] {
        let case = Case::plain().with(|case| case.login.auth = Some(by(method)));
        assert_eq!(case.points(Rule::Password).is_some(), is_password, "{method}");
    }
    assert_eq!(Case::plain().with(|case| case.login.auth = None).points(Rule::Password), None);
}

#[test]
fn root_by_password() {
    boundary(Rule::RootPassword, Case::plain().root(), Case::plain().root().password());
    assert_eq!(Case::plain().password().points(Rule::RootPassword), None);
}

#[test]
fn shells_that_let_nobody_in() {
    let shell = |shell: &str| Case::plain().account(|account| account.shell = shell.to_owned());
    boundary(Rule::NoLoginShell, shell("/bin/sh"), shell("/usr/sbin/nologin"));
    assert!(shell("/bin/false").points(Rule::NoLoginShell).is_some());
    assert!(shell("/opt/nologin-not").points(Rule::NoLoginShell).is_none());
}

#[test]
fn accounts_of_services_and_disabled_ones() {
    boundary(Rule::ServiceAccount, Case::plain(), Case::plain().account(|account| account.is_service = true));
    let stands = |state| Case::plain().state(state);
    boundary(Rule::DisabledAccount, stands(AccountState::Usable), stands(AccountState::Expired));
    for state in [AccountState::Locked, AccountState::NoPassword] {
        boundary(Rule::DisabledAccount, stands(state), stands(state).password());
    }
    assert_eq!(stands(AccountState::Usable).password().points(Rule::DisabledAccount), None);
}

#[test]
fn locked_accounts() {
    let stands = |state| Case::plain().state(state);
    boundary(Rule::LockedAccount, stands(AccountState::NoPassword), stands(AccountState::Locked));
    for other in [AccountState::Usable, AccountState::Expired] {
        assert_eq!(stands(other).points(Rule::LockedAccount), None);
    }
    // A password that did is judged by another rule, and root's is locked by intention.
    assert_eq!(stands(AccountState::Locked).password().points(Rule::LockedAccount), None);
    assert_eq!(stands(AccountState::Locked).root().points(Rule::LockedAccount), None);
    // It is yellow by itself.
    assert_eq!(stands(AccountState::Locked).calculation().level, Level::Medium);
}

/// What is not known of an account is held against nobody.
#[test]
fn an_account_that_is_not_known_gives_nothing() {
    let unknown = Case::plain().with(|case| case.facts.account = Fact::unknown(Why::NoAccount));
    assert_eq!(unknown.calculation().sum, 0);
    assert_eq!(Case::plain().password().calculation().sum, i32::from(Rule::Password.default_points()));
}

/// A password leaves nothing of the key behind: neither that it is new nor that it is trusted. Where the key was new, that
/// is the one step for the worse that may give fewer points, by those of the new key at most.
#[test]
fn a_password_takes_the_place_of_a_new_key() {
    let new_key = Case::plain().user(|user| user.key_seen = Some(false));
    assert_eq!(new_key.calculation().sum, 15);
    assert_eq!(new_key.clone().by_password_instead().calculation().sum, 10);
    let trusted = new_key.with(|case| case.risk.trusted.keys = vec![KEY.to_owned()]);
    assert_eq!(trusted.calculation().sum, 0);
    assert_eq!(trusted.by_password_instead().calculation().sum, 10);
}

#[test]
fn the_first_login_of_a_user() {
    let seen = |logins, host| {
        Case::plain().user(|user| user.known = Known { logins, days: 0 }).past(|past| past.host = host)
    };
    let old = Known { logins: 19, days: 14 };
    boundary(Rule::NewUser, seen(1, old), seen(0, old));
    // The host itself is still being learned.
    assert_eq!(seen(0, Known { logins: 19, days: 13 }).points(Rule::NewUser), None);
    assert!(seen(0, Known { logins: 20, days: 0 }).points(Rule::NewUser).is_some());
}

#[test]
fn what_is_new_of_a_user() {
    boundary(Rule::NewAddress, Case::plain(), Case::plain().user(|user| user.address_seen = Some(false)));
    boundary(Rule::NewNetwork, Case::plain(), Case::plain().user(|user| user.network_seen = Some(false)));
    boundary(Rule::NewCountry, Case::plain(), Case::plain().user(|user| user.country_seen = Some(false)));
    boundary(Rule::NewKey, Case::plain(), Case::plain().user(|user| user.key_seen = Some(false)));
    boundary(Rule::NewHour, Case::plain(), Case::plain().user(|user| user.hour_seen = Some(false)));
}

#[test]
fn nothing_is_new_while_a_user_is_learned() {
    let all_new = |logins, days| {
        Case::plain().user(|user| {
            user.known = Known { logins, days };
            (user.address_seen, user.network_seen, user.country_seen) =
                (Some(false), Some(false), Some(false));
            (user.key_seen, user.hour_seen) = (Some(false), Some(false));
        })
    };
    let new = [Rule::NewAddress, Rule::NewNetwork, Rule::NewCountry, Rule::NewKey, Rule::NewHour];
    for (logins, days, is_learned) in [(19, 13, false), (20, 0, true), (1, 14, true), (0, 300, false)] {
        let case = all_new(logins, days);
        for rule in new {
            assert_eq!(case.points(rule).is_some(), is_learned, "{rule:?} {logins} {days}");
        }
        let owners =
            case.with(|case| case.risk.learning.days = 400).with(|case| case.risk.learning.logins = 21);
        assert!(new.into_iter().all(|rule| owners.points(rule).is_none()));
    }
}

#[test]
fn what_is_not_known_is_not_new() {
    let unknown = Case::plain().user(|user| {
        (user.address_seen, user.network_seen, user.country_seen) = (None, None, None);
        (user.key_seen, user.hour_seen) = (None, None);
    });
    assert_eq!(unknown.calculation().sum, 0);
}

#[test]
fn counts_and_times() {
    let away = |days| Case::plain().user(|user| user.days_away = Some(days));
    boundary(Rule::Dormant, away(89), away(90));
    let failures = |count| Case::plain().address(|address| address.failures = count);
    boundary(Rule::FailuresFromAddress, failures(4), failures(5));
    let failures = |count| Case::plain().user(|user| user.failures = count);
    boundary(Rule::FailuresOfUser, failures(9), failures(10));
    let users = |count| Case::plain().address(|address| address.other_users = count);
    boundary(Rule::ManyUsers, users(2), users(3));
    let addresses = |count| Case::plain().user(|user| user.other_addresses = count);
    boundary(Rule::ManyAddresses, addresses(3), addresses(4));
    let after = |count| Case::plain().address(|address| address.failures_after = count);
    boundary(Rule::FailuresAfter, after(4), after(5));
    let lost = |count| Case::plain().past(|past| past.events_lost = count);
    boundary(Rule::EventsLost, lost(0), lost(1));
}

#[test]
fn journeys() {
    let journey = |km, minutes| Case::plain().user(|user| user.travel = Some(Travel { km, minutes }));
    boundary(Rule::ImpossibleTravel, journey(900, 60), journey(901, 60));
    boundary(Rule::ImpossibleTravel, journey(500, 0), journey(501, 0));
}

#[test]
fn user_ids_that_are_gained() {
    let became = |exe: &str| Case::plain().became(1000, 0, exe);
    boundary(Rule::Escalation, Case::plain(), became("/usr/bin/sudo"));
    boundary(Rule::UnusualEscalation, became("/usr/bin/sudo"), became("/tmp/sudo"));
    for (exe, is_usual) in [
        ("/usr/lib/openssh/ssh-keysign", true),
        ("/bin/su", true),
        ("/usr/bin/bash", false),
        ("/usr/bin/../../tmp/sudo", false),
        ("/usr/binaries/sudo", false),
        ("sudo", false),
        ("", false),
    ] {
        let case = became(exe);
        let found = (case.points(Rule::Escalation).is_some(), case.points(Rule::UnusualEscalation).is_some());
        assert_eq!(found, (is_usual, !is_usual), "{exe}");
    }
    // Root becomes somebody: that is no gain.
    assert_eq!(Case::plain().became(0, 33, "/tmp/x").calculation().sum, 0);
    // Both kinds count, each once.
    let both = became("/usr/bin/sudo").became(1000, 0, "/tmp/a").became(1000, 0, "/tmp/b");
    assert_eq!(both.calculation().sum, 80);
}

#[test]
fn trust_takes_away_what_there_is() {
    let listed = |case: &mut Case| {
        case.facts.listings.push(Listing { list: "drop".to_owned(), entry: "x".to_owned(), points: None });
    };
    let trusting = Case::plain().with(|case| {
        case.risk.trusted.networks = vec!["193.146.0.0/16".parse().unwrap()];
        case.risk.trusted.users = vec!["alice".to_owned()];
        case.risk.trusted.keys = vec![KEY.to_owned()];
    });
    let rules = [Rule::TrustedNetwork, Rule::TrustedKey, Rule::TrustedUser];
    let taken = |case: &Case| rules.map(|rule| case.points(rule).unwrap_or(1));
    assert_eq!(taken(&trusting), [0, 0, 0]);
    let some = trusting.clone().password().with(|case| case.login.auth = Some(by("password")));
    assert_eq!((taken(&some), some.calculation().sum), ([-10, 1, 0], 0));
    let much = trusting.clone().with(listed);
    assert_eq!((taken(&much), much.calculation().sum), ([-40, -20, -10], 0));
    let elsewhere = trusting.with(|case| {
        case.login.address = Some("193.147.0.1".parse().unwrap());
        case.login.user = Some("alicia".to_owned());
        case.login.auth.as_mut().unwrap().key.as_mut().unwrap().fingerprint = KEY.to_lowercase();
    });
    assert_eq!(taken(&elsewhere.with(listed)), [1, 1, 1]);
}

/// A host that listens on IPv6 alone sees IPv4 in it.
#[test]
fn trusted_networks_hold_addresses_mapped_into_ipv6() {
    let mapped = Case::plain().with(|case| {
        case.login.address = Some("::ffff:193.146.30.12".parse().unwrap());
        case.risk.trusted.networks = vec!["193.146.0.0/16".parse().unwrap()];
    });
    assert_eq!(mapped.clone().reputation(50).points(Rule::TrustedNetwork), Some(-40));
    // And it vouches for a stranger there.
    let stranger = mapped.offline().user(|user| user.network_seen = Some(false));
    assert_eq!(stranger.calculation().level, Level::Low);
    let vouched_by = stranger.calculation().vouched_by;
    assert_eq!(vouched_by.as_deref(), Some("its network or its key is trusted"));
    let elsewhere = stranger.with(|case| case.login.address = Some("193.147.0.1".parse().unwrap()));
    assert_eq!(elsewhere.calculation().level, Level::Unknown);
}

#[test]
fn an_authority_can_be_trusted() {
    let ca = AuthKey { kind: "RSA".to_owned(), fingerprint: KEY.to_owned() };
    let case = Case::plain().with(|case| {
        let auth = case.login.auth.as_mut().unwrap();
        auth.key.as_mut().unwrap().fingerprint = "SHA256:other".to_owned();
        auth.certificate = Some(Certificate { id: "alice".to_owned(), serial: 1, ca });
        case.risk.trusted.keys = vec![KEY.to_owned()];
    });
    assert_eq!(case.reputation(50).points(Rule::TrustedKey), Some(-20));
}

#[test]
fn trust_never_hides_root_with_a_password() {
    let trusting = |case: Case| {
        case.with(|case| {
            case.risk.trusted.networks = vec!["0.0.0.0/0".parse().unwrap()];
            case.risk.trusted.users = vec!["root".to_owned()];
        })
    };
    let by_password = trusting(Case::plain().root().password().reputation(60)).calculation();
    assert_eq!((by_password.sum, by_password.level), (55, Level::Medium));
    assert_eq!(trusting(Case::plain().root().password()).calculation().score, 45);
    // Also where its own points would be green.
    let cheap = trusting(Case::plain().root().password().reputation(90)).with(|case| {
        case.risk.points.set(Rule::RootPassword, 1);
        case.risk.points.set(Rule::TrustedNetwork, 100);
    });
    assert_eq!((cheap.calculation().score, cheap.calculation().level), (35, Level::Medium));
    let by_key = trusting(Case::plain().root().reputation(30)).calculation();
    assert_eq!((by_key.score, by_key.level), (0, Level::Low));
}

#[test]
fn green_needs_somebody_who_vouches() {
    let level = |case: Case| case.calculation().level;
    let learning = |case: Case| case.user(|user| user.known = Known { logins: 3, days: 2 });
    // A service.
    assert_eq!(level(learning(Case::plain())), Level::Low);
    // The user's own past.
    assert_eq!(level(Case::plain().offline()), Level::Low);
    assert_eq!(level(learning(Case::plain().offline())), Level::Unknown);
    let elsewhere = Case::plain().offline().user(|user| user.network_seen = Some(false));
    assert_eq!(level(elsewhere.clone()), Level::Unknown);
    // Trust.
    let trusted = elsewhere.with(|case| case.risk.trusted.keys = vec![KEY.to_owned()]);
    assert_eq!(level(trusted), Level::Low);
    // A network of our own; not one that nobody can come from.
    let from = |scope| {
        learning(Case::plain().offline())
            .with(|case| case.facts.reputation = Fact::unknown(Why::NotPublic(scope)))
    };
    for scope in [Scope::Loopback, Scope::Private, Scope::SharedByCarrier, Scope::LinkLocal] {
        assert_eq!(level(from(scope)), Level::Low);
    }
    for scope in [Scope::Documentation, Scope::Reserved] {
        assert_eq!(level(from(scope)), Level::Unknown);
    }
    // No address, and nobody knows who.
    let nobody = Case::plain().offline().past(|past| (past.user, past.address) = (None, None));
    assert_eq!(level(nobody.with(|case| case.login.address = None)), Level::Unknown);
}

#[test]
fn whoever_was_asked_and_failed_keeps_it_from_being_green() {
    for why in [Why::Deadline, Why::Unreachable, Why::Throttled, Why::Denied, Why::Status(500), Why::Garbled]
    {
        let failed = Case::plain().opinion("Example", Fact::unknown(why));
        assert_eq!(failed.calculation().level, Level::Unknown, "{why:?}");
        // Also beside another one that answered, for a trusted network, and with a past.
        let beside = Case::plain().with(|case| {
            case.facts.opinions.extend(failed.facts.opinions.clone());
            case.risk.trusted.networks = vec!["0.0.0.0/0".parse().unwrap()];
        });
        let calculation = beside.calculation();
        assert_eq!(calculation.level, Level::Unknown, "{why:?}");
        assert_eq!(calculation.remarks, [format!("Example: {why}")]);
        // What is known suffices for the other colours.
        assert_eq!(
            failed
                .with(|case| case.facts.listings.push(Listing {
                    list: "drop".to_owned(),
                    entry: "x".to_owned(),
                    points: None,
                }))
                .calculation()
                .level,
            Level::High
        );
    }
    let unread = Case::plain().with(|case| case.facts.unreadable.push("list drop".to_owned()));
    assert_eq!(unread.calculation().level, Level::Unknown);
    let forgetful = Case::plain().with(|case| case.facts.history = Fact::unknown(Why::Unreadable));
    assert_eq!(forgetful.calculation().level, Level::Unknown);
    assert_eq!(forgetful.calculation().remarks, ["history: it cannot be read"]);
    // Facts as earlier versions stored them name no services.
    let earlier = Case::plain().offline().with(|case| case.facts.reputation = Fact::unknown(Why::Deadline));
    assert_eq!(earlier.calculation().level, Level::Unknown);
    assert_eq!(earlier.calculation().failed, ["the look-up did not answer in time"]);
    // To know nothing of an address is no failure, and no reason either.
    let no_data = Case::plain().opinion("Example", Fact::unknown(Why::NoData));
    assert_eq!(no_data.calculation().level, Level::Low);
    let stranger = no_data.user(|user| user.network_seen = Some(false));
    assert_eq!(stranger.calculation().level, Level::Unknown);
}
