//! What decides beside the conditions: the beginning of a session, attempts, entries of one condition, exceptions.

use super::*;
use crate::event::Doubt;
use crate::session::{Attempt, AttemptKey, Escalation, ForeignSshd, Identity, Reason, Tried, TriedUser};

const KEY: &str = "SHA256:7L5FXqCp1cnVTcsWCKPhBLXgDd4YNbsk2gHbYYBmYfI";

fn entry() -> Allow {
    Allow {
        number: 1,
        reason: "robots".to_owned(),
        addresses: Vec::new(),
        networks: Vec::new(),
        users: Vec::new(),
        keys: Vec::new(),
        until: None,
    }
}

fn allowing(entry: Allow) -> Rules {
    Rules { allow: vec![entry], ..Rules::default() }
}

fn subject(event: Event) -> Subject {
    event.subject().unwrap().clone()
}

fn closed() -> Event {
    Event::Closed { subject: subject(opened("alice", Some("192.0.2.7:1"))), at: at(), end: End::Logout }
}

fn gained() -> Event {
    let somebody = |uid| Identity { uid, user: None };
    let how = Escalation { pid: 1, from: somebody(1000), to: somebody(0), exe: "sudo".to_owned() };
    Event::Escalated { subject: subject(opened("alice", Some("192.0.2.7:1"))), at: at(), how }
}

fn raised() -> Event {
    Event::Raised { subject: subject(opened("alice", Some("192.0.2.7:1"))), at: at(), from: Level::Low }
}

fn attempted(users: &[(&str, bool)]) -> Event {
    let user = |(name, is_known): &(&str, bool)| TriedUser { name: (*name).to_owned(), is_known: *is_known };
    Event::Attempted {
        attempt: Box::new(Attempt {
            key: AttemptKey::of_monitor("machine", "boot", 1, 1),
            host: "web-1".to_owned(),
            peer: "192.0.2.7:1".parse().unwrap(),
            local: None,
            sshd_pid: None,
            began_at: at(),
            ended_at: at(),
            tried: Tried { users: users.iter().map(user).collect(), methods: Vec::new(), failures: 1 },
            reason: Reason::UnknownUser,
        }),
    }
}

fn after(beginning: &Beginning, rules: &Rules, event: &Event) -> Verdict {
    let case = Case::of(event, Some(Level::Low), Groups::Unknown);
    decide(rules, &SINKS.map(str::to_owned), &case, beginning, at(), &TimeZone::UTC)
}

#[test]
fn an_entry_of_one_condition_asks_for_that_one_alone() {
    let Event::Opened(mut known) = opened("alice", Some("192.0.2.7:1")) else { unreachable!() };
    let key = AuthKey { kind: "ED25519".to_owned(), fingerprint: KEY.to_owned() };
    known.auth =
        Some(Auth { method: "publickey".to_owned(), key: Some(key), certificate: None, user_log: None });
    let (login, stranger) = (Event::Opened(known), opened("eve", Some("198.51.100.7:1")));
    for entry in [
        Allow { addresses: vec!["192.0.2.7/32".parse().unwrap()], ..entry() },
        Allow { networks: vec!["192.0.2.0/24".parse().unwrap()], ..entry() },
        Allow { users: vec!["alice".to_owned()], ..entry() },
        Allow { keys: vec![KEY.to_owned()], ..entry() },
    ] {
        let rules = allowing(entry);
        assert_eq!(verdict(&rules, &login, Some(Level::High)).reason, Why::Allowed, "{rules:?}");
        assert_eq!(verdict(&rules, &stranger, Some(Level::High)).allowed, None, "{rules:?}");
    }
}

#[test]
fn what_was_decided_about_the_beginning_holds_for_the_rest() {
    let told = |verdict: &Verdict| (verdict.reason == Why::Allowed, verdict.allowed.is_some());
    let everybody = allowing(entry());
    let first = verdict(&everybody, &opened("alice", None), Some(Level::Low));
    let allowed = Beginning::of(Some(&first));
    assert!(matches!(allowed, Beginning::Allowed(_)));
    assert_eq!(Beginning::of(None), Beginning::NotAllowed);
    for rules in [&everybody, &Rules::default()] {
        // The end is silent, whatever the list says by then; what happens inside is told.
        assert_eq!(told(&after(&allowed, rules, &closed())), (true, true));
        assert_eq!(told(&after(&allowed, rules, &gained())), (false, true));
        assert_eq!(told(&after(&allowed, rules, &raised())), (false, true));
        assert_eq!(told(&after(&Beginning::NotAllowed, rules, &closed())), (false, false));
    }
    // An end that is decided first is looked up itself; what is no session is on no list.
    assert_eq!(told(&after(&Beginning::Undecided, &everybody, &closed())), (true, true));
    assert_eq!(told(&after(&Beginning::Undecided, &everybody, &gained())), (false, true));
    assert_eq!(told(&after(&Beginning::Undecided, &everybody, &raised())), (false, true));
    let loss = Event::EventsLost { host: "h".to_owned(), at: at(), count: 1 };
    assert_eq!(told(&after(&Beginning::Undecided, &everybody, &loss)), (false, false));
}

#[test]
fn an_entry_that_ended_within_a_session_held_when_it_began() {
    let until = Until { end: "2026-11-21T10:30:00".parse().unwrap(), text: "then".to_owned() };
    let rules = allowing(Allow { until: Some(until), ..entry() });
    let closed_at = |at: &str| {
        let subject = subject(opened("alice", None));
        Event::Closed { subject, at: at.parse().unwrap(), end: End::Logout }
    };
    let verdict = after(&Beginning::Undecided, &rules, &closed_at("2026-11-21T23:00:00Z"));
    assert_eq!(verdict.reason, Why::Allowed);
    let over = Until { end: "2026-11-21T10:00:00".parse().unwrap(), text: "then".to_owned() };
    let rules = allowing(Allow { until: Some(over), ..entry() });
    assert_eq!(after(&Beginning::Undecided, &rules, &closed()).allowed, None, "it ends with its moment");
}

#[test]
fn attempts_go_only_where_a_route_names_them_and_a_sink() {
    let event = attempted(&[("root", true), ("hunter2", false)]);
    let told = |routes: Vec<Route>| {
        let verdict = verdict(&rules(routes), &event, None);
        (verdict.reason, verdict.sinks.len())
    };
    let attempts = || Conditions { kinds: vec![Kind::Attempts], ..Conditions::default() };
    assert_eq!(told(vec![]), (Why::NotAsked, 0));
    assert_eq!(told(vec![route(Conditions::default(), &["ops"])]), (Why::NotAsked, 0));
    assert_eq!(told(vec![route(attempts(), &[])]), (Why::NotAsked, 0), "they are not to be taken in at all");
    assert_eq!(told(vec![route(attempts(), &["ops"])]), (Why::FirstRoute, 1));
    // A route without kinds is not meant, even where another one names them.
    let elsewhere = Conditions { hosts: vec!["other".to_owned()], ..attempts() };
    let routes = vec![route(elsewhere, &["pager"]), route(Conditions::default(), &["ops"])];
    assert_eq!(told(routes), (Why::NoMatch, 0));
    // A name that is no account may be a password: no route finds it.
    let by_user = |user: &str| Conditions { users: vec![user.to_owned()], ..attempts() };
    assert_eq!(told(vec![route(by_user("root"), &["ops"])]), (Why::FirstRoute, 1));
    assert_eq!(told(vec![route(by_user("hunter2"), &["ops"])]), (Why::NoMatch, 0));
}

#[test]
fn all_news_of_the_host_and_the_tracer_are_told_without_a_route() {
    let only_root = Conditions { users: vec!["root".to_owned()], ..Conditions::default() };
    let rules = rules(vec![route(only_root, &["ops"])]);
    let run_by = Identity { uid: 1000, user: Some("eve".to_owned()) };
    let foreign = ForeignSshd { pid: 1, run_by, exe: "/tmp/sshd".to_owned(), doubt: Doubt::Place };
    let host = || "web-1".to_owned();
    for event in [
        Event::EventsLost { host: host(), at: at(), count: 1 },
        Event::ForeignSshd { host: host(), at: at(), foreign },
        Event::SinkSuspended { host: host(), at: at(), sink: "ops".to_owned(), why: String::new() },
    ] {
        let verdict = verdict(&rules, &event, None);
        assert_eq!((verdict.reason, sinks(&verdict)), (Why::NewsWithoutRoute, SINKS.to_vec()), "{event:?}");
    }
}

#[test]
fn quiet_hours_without_sinks_are_those_of_all_and_kinds_may_be_excepted() {
    let quiet = |from: u16, to: u16| Quiet {
        hours: Hours { from: from * 60, to: to * 60, days: Days::ALL },
        except: vec![Exception::Kind(Kind::Escalated)],
        sinks: Vec::new(),
    };
    // The second of them is the one that holds: it is 10:00.
    let rules = Rules { quiet: vec![quiet(1, 2), quiet(9, 11)], ..Rules::default() };
    let verdict = verdict(&rules, &opened("alice", None), Some(Level::Low));
    let hours = rules.quiet[1].hours.to_string();
    assert!(verdict.sinks.iter().all(|to| to.held.as_ref().is_some_and(|held| held.hours == hours)));
    assert_eq!(verdict.sinks.len(), 2);
    let gained = after(&Beginning::NotAllowed, &rules, &gained());
    assert!(gained.sinks.iter().all(|to| to.held.is_none()));
    assert_eq!(gained.sinks.len(), 2);
}
