//! Where changes go: routes, quiet hours and the allowlist, with the role as a process and doubles of Slack.

use jiff::{SignedDuration, Timestamp, ToSpan as _, Zoned};
use login_tracer::notify::outbox::{self, DeliveryState};
use login_tracer::notify::route::Why;
use login_tracer::session::{Attempt, AttemptKey, Escalation, Identity, Reason, Tried, TriedUser, Update};
use rusqlite::Connection;

use crate::slack::Slack;
use crate::threat_jammer::ThreatJammer;
use crate::world::{World, ago, closed, eventually, key, lost, opened, opened_at};

const NEAR: &str = "10.0.0.1";

/// Two sinks, `team` and `pager`.
struct Pair {
    team: Slack,
    pager: Slack,
    world: World,
}

impl Pair {
    fn new(rules: &str) -> Self {
        let (team, pager) = (Slack::start(), Slack::start());
        let mut world = World::new();
        for (name, slack) in [("team", &team), ("pager", &pager)] {
            world.setup.slack.push((name.to_owned(), slack.url()));
        }
        world.setup.rules = rules.to_owned();
        Self { team, pager, world }
    }

    /// Waits until the verdicts of a session are there, and returns their reasons.
    fn reasons(&self, number: u32, count: usize) -> Vec<Why> {
        eventually("verdicts", || {
            let decisions = self.world.decisions(key(number));
            let found: Vec<_> = decisions.iter().filter_map(|decision| decision.verdict.as_ref()).collect();
            (found.len() == count).then(|| found.iter().map(|verdict| verdict.reason).collect())
        })
    }
}

#[test]
fn each_level_goes_where_its_route_says() {
    let mut pair = Pair::new(
        "[[routes]]\nname = \"alarm\"\nat_least = \"high\"\nsinks = [\"pager\", \"team\"]\n\
         [[routes]]\nname = \"ends of the harmless\"\nkind = \"closed\"\nat_most = \"low\"\nsinks = []\n\
         [[routes]]\nname = \"rest\"\nsinks = [\"team\"]\n",
    );
    let service = ThreatJammer::start();
    pair.world.setup.threat_jammer = Some(service.server.url());
    let _role = pair.world.start();
    // The double rates by the last number of the address.
    pair.world.commit(&[
        opened(1, "far", "193.146.30.90"),
        opened(2, "mild", "193.146.30.3"),
        opened(3, "near", NEAR),
        closed(1),
        closed(2),
        closed(3),
        lost(2),
    ]);
    assert_eq!(pair.reasons(1, 2), [Why::FirstRoute; 2]);
    assert_eq!(pair.reasons(2, 2), [Why::FirstRoute, Why::Dropped]);
    // What no service rates because it is near is judged by what is known here.
    assert_eq!(pair.reasons(3, 2), [Why::FirstRoute, Why::Dropped]);
    for session in [1, 2, 3] {
        pair.world.settled(key(session), DeliveryState::Delivered);
    }
    eventually("news of the tracer", || {
        pair.team.texts().iter().any(|text| text.starts_with("Kernel events lost")).then_some(())
    });
    let told = |slack: &Slack| {
        let mut texts: Vec<_> = slack.texts().iter().map(|text| text[..18].to_owned()).collect();
        texts.sort();
        texts
    };
    assert_eq!(told(&pair.pager), ["SSH login: far on ", "SSH session ended:"]);
    assert_eq!(
        told(&pair.team),
        [
            "Kernel events lost",
            "SSH login: far on ",
            "SSH login: mild on",
            "SSH login: near on",
            "SSH session ended:"
        ]
    );
}

#[test]
fn all_routes_that_match_are_taken_where_that_is_wanted() {
    let mut pair = Pair::new(
        "[notify]\nrouting = \"all\"\n\
         [[routes]]\nuser = \"root\"\nsinks = [\"pager\"]\n\
         [[routes]]\naddress = \"10.0.0.0/8\"\nsinks = [\"team\", \"pager\"]\n",
    );
    let _role = pair.world.start();
    pair.world.commit(&[
        opened(1, "root", "[::ffff:10.0.0.1]"),
        opened(2, "alice", NEAR),
        opened(3, "root", "192.168.0.1"),
        opened(4, "alice", "192.168.0.1"),
    ]);
    assert_eq!(pair.reasons(4, 1), [Why::NoMatch]);
    let sinks = |session| -> Vec<_> {
        let rows = pair.world.settled(key(session), DeliveryState::Delivered);
        rows.into_iter().map(|row| row.sink).collect()
    };
    assert_eq!(sinks(1), ["pager", "team"]);
    assert_eq!(sinks(2), ["pager", "team"]);
    assert_eq!(sinks(3), ["pager"]);
    assert_eq!(pair.world.deliveries(key(4)), []);
}

#[test]
fn quiet_hours_hold_until_they_end_and_not_what_is_red() {
    // From an hour ago to an hour from now, whatever the clock shows.
    let now = Zoned::now();
    let clock = |at: Zoned| at.strftime("%H:%M").to_string();
    let (from, to) = (clock(&now - 1.hour()), clock(&now + 1.hour()));
    let mut pair =
        Pair::new(&format!("[quiet_hours]\nfrom = \"{from}\"\nto = \"{to}\"\nsinks = [\"team\"]\n"));
    let service = ThreatJammer::start();
    pair.world.setup.threat_jammer = Some(service.server.url());
    let mut role = pair.world.start();
    pair.world.commit(&[opened(1, "mild", "193.146.30.3"), opened(2, "far", "193.146.30.90")]);
    pair.world.settled(key(2), DeliveryState::Delivered);
    let rows = eventually("the other sink", || {
        let rows = pair.world.deliveries(key(1));
        rows.iter().any(|row| row.state == DeliveryState::Delivered).then_some(rows)
    });
    assert_eq!((rows[0].sink.as_str(), rows[0].state), ("pager", DeliveryState::Delivered));
    assert_eq!((rows[1].sink.as_str(), rows[1].state), ("team", DeliveryState::Held));
    let until = rows[1].next_at.unwrap().duration_since(Timestamp::now());
    assert!(until > SignedDuration::from_mins(50) && until <= SignedDuration::from_mins(61), "{until}");
    assert_eq!((pair.team.texts().len(), pair.pager.texts().len()), (1, 2));
    // A new role, with the hours over: told once, with the same id.
    role.kill();
    drop(role);
    Connection::open(outbox::path(pair.world.path()))
        .unwrap()
        .execute("UPDATE deliveries SET next_us = 1 WHERE state = 'held'", [])
        .unwrap();
    let _role = pair.world.start();
    let after = pair.world.settled(key(1), DeliveryState::Delivered);
    assert_eq!(after[1].id, rows[1].id);
    assert_eq!((pair.team.texts().len(), pair.pager.texts().len()), (2, 2));
}

#[test]
fn who_is_allowed_is_stored_and_rated_and_not_told() {
    let mut pair = Pair::new(
        "[[allow]]\nuser = \"backup\"\naddress = \"10.0.0.0/8\"\nreason = \"the nightly backup\"\n\
         [[allow]]\nuser = \"guest\"\nuntil = 2020-12-31\nreason = \"was here for a week\"\n",
    );
    let _role = pair.world.start();
    pair.world.commit(&[
        opened(1, "backup", NEAR),
        opened(2, "backup", "192.168.0.1"),
        opened(3, "guest", NEAR),
        opened_at(4, "guest", NEAR, ago(1)),
        gained(1),
        closed(1),
        closed(2),
    ]);
    assert_eq!(pair.reasons(1, 3), [Why::Allowed, Why::NoRoutes, Why::Allowed]);
    assert_eq!(pair.reasons(2, 2), [Why::NoRoutes; 2]);
    assert_eq!(pair.reasons(3, 1), [Why::NoRoutes]);
    let rows = pair.world.settled(key(1), DeliveryState::Delivered);
    assert!(rows.iter().all(|row| row.kind.as_str() == "escalated"), "{rows:?}");
    let reader = outbox::Reader::open(pair.world.path()).unwrap();
    assert_eq!(reader.allowed(key(1)).unwrap().unwrap().reason, "the nightly backup");
    assert_eq!(reader.allowed(key(3)).unwrap(), None);
    assert!(reader.assessment(key(1)).unwrap().is_some(), "it is rated");
}

#[test]
fn the_end_follows_the_beginning_when_the_allowlist_changes() {
    const ALLOW: &str = "[[allow]]\nuser = \"alice\"\nreason = \"knows what she does\"\n";
    let mut pair = Pair::new("");
    let mut role = pair.world.start();
    pair.world.commit(&[opened(1, "alice", NEAR)]);
    pair.world.settled(key(1), DeliveryState::Delivered);
    role.terminate();
    drop(role);
    pair.world.setup.rules = ALLOW.to_owned();
    let mut role = pair.world.start();
    pair.world.commit(&[opened(2, "alice", NEAR), closed(1)]);
    assert_eq!(pair.reasons(1, 2), [Why::NoRoutes; 2], "its beginning was told");
    assert_eq!(pair.reasons(2, 1), [Why::Allowed]);
    role.kill();
    drop(role);
    pair.world.setup.rules = String::new();
    let _role = pair.world.start();
    pair.world.commit(&[closed(2)]);
    assert_eq!(pair.reasons(2, 2), [Why::Allowed; 2], "its beginning was not told");
}

#[test]
fn groups_of_this_host_are_a_condition() {
    let mut pair = Pair::new(
        "[[routes]]\ngroup = [\"root\", \"nosuchgroup\"]\nsinks = [\"pager\"]\n\
         [[routes]]\nsinks = [\"team\"]\n",
    );
    let role = pair.world.start();
    pair.world.commit(&[opened(1, "root", NEAR), opened(2, "nobody-of-this-host", NEAR)]);
    assert_eq!(pair.world.settled(key(1), DeliveryState::Delivered)[0].sink, "pager");
    assert_eq!(pair.world.settled(key(2), DeliveryState::Delivered)[0].sink, "team");
    eventually("a warning", || role.log().contains("nosuchgroup").then_some(()));
}

#[test]
fn attempts_are_told_where_a_route_names_them_and_not_without_end() {
    let mut pair = Pair::new(
        "[[routes]]\nsinks = [\"team\"]\n\
         [[routes]]\nkind = \"attempts\"\nnetwork = \"192.0.2.0/24\"\nsinks = [\"pager\"]\n\
         [[routes]]\nkind = \"attempts\"\naddress = \"198.51.100.7\"\nsinks = [\"pager\", \"team\"]\n\
         [notify]\ngather_attempts = \"1h\"\n",
    );
    let mut role = pair.world.start();
    // Those that go nowhere take nobody's turn.
    pair.world.commit(&(1000..1300).map(|number| attempt(number, "203.0.113.7")).collect::<Vec<_>>());
    pair.world.commit(&(0..300).map(attempt_near).collect::<Vec<_>>());
    pair.world.commit(&[opened(1, "alice", NEAR)]);
    pair.world.settled(key(1), DeliveryState::Delivered);
    let told = |pair: &Pair, count: usize| {
        eventually("attempts", || {
            let texts = pair.pager.texts();
            (texts.len() >= count).then_some(texts)
        })
    };
    let texts = told(&pair, 10);
    assert_eq!(texts.len(), 10, "{texts:?}");
    assert!(
        texts.iter().all(|text| text.starts_with("SSH attempt: a name that is no account on web-1 from "))
    );
    // The others are told together, each once: also those that came while the role was gone, and each by its own route.
    role.terminate();
    drop(role);
    let elsewhere = (300..305).map(|number| attempt(number, "198.51.100.7"));
    pair.world.commit(&(305..310).map(attempt_near).chain(elsewhere).collect::<Vec<_>>());
    pair.world.setup.rules = pair.world.setup.rules.replace("1h", "1s");
    let mut role = pair.world.start();
    let texts = told(&pair, 12);
    let mut storms = texts[10..].to_vec();
    storms.sort();
    assert!(storms[0].starts_with("295 SSH attempts on web-1 from 250 addresses"), "{storms:?}");
    assert!(storms[1].starts_with("5 SSH attempts on web-1 from 1 address"), "{storms:?}");
    // A storm that was told is over, for the next run as well.
    role.terminate();
    drop(role);
    let _role = pair.world.start();
    pair.world.commit(&[opened(2, "bob", NEAR)]);
    pair.world.settled(key(2), DeliveryState::Delivered);
    assert_eq!(pair.pager.texts().len(), 12);
    assert!(pair.team.texts().iter().any(|text| text.starts_with("5 SSH attempts")));
    assert_eq!(pair.team.texts().len(), 3, "a route without kinds is not meant");
    // What was typed in the place of a name may be a password: it is nowhere in what the role keeps or says.
    let kept = std::fs::read(outbox::path(pair.world.path()).with_extension("db-wal")).unwrap();
    assert!(!String::from_utf8_lossy(&kept).contains("hunter2"));
    assert!(pair.pager.shown().iter().all(|payload| !payload.contains("hunter2")));
}

fn attempt_near(number: u32) -> Update {
    attempt(number, &format!("192.0.2.{}", number % 250))
}

/// Somebody types a password where a name is asked for.
pub(crate) fn attempt(number: u32, address: &str) -> Update {
    let now = Timestamp::now();
    Update::Attempt(Box::new(Attempt {
        key: AttemptKey::of_monitor("machine", "boot", number, 1),
        host: "web-1".to_owned(),
        peer: format!("{address}:40000").parse().unwrap(),
        local: None,
        sshd_pid: Some(number),
        began_at: now,
        ended_at: now,
        tried: Tried {
            users: vec![TriedUser { name: "hunter2".to_owned(), is_known: false }],
            methods: vec!["password".to_owned()],
            failures: 1,
        },
        reason: Reason::UnknownUser,
    }))
}

/// Somebody becomes root in a session.
fn gained(number: u32) -> Update {
    let identity = |uid: u32, user: &str| Identity { uid, user: Some(user.to_owned()) };
    let escalation = Escalation {
        pid: 4711,
        from: identity(1000, "backup"),
        to: identity(0, "root"),
        exe: "/usr/bin/sudo".to_owned(),
    };
    Update::Escalated {
        key: key(number),
        at: Timestamp::now(),
        boot_ns: 5,
        escalation: Box::new(escalation),
        count: 1,
    }
}

#[test]
fn each_sink_is_told_in_the_words_of_its_template() {
    let mut pair = Pair::new(
        "[[templates]]\nsinks = [\"team\"]\nkind = \"opened\"\n\
         template = \"{{ user }} has come\\nRisk: {{ level }}\\nring 112\"\n",
    );
    let mut role = pair.world.start();
    pair.world.commit(&[opened(1, "a\nRisk: none", NEAR), closed(1)]);
    pair.world.settled(key(1), DeliveryState::Delivered);
    let (team, pager) = (pair.team.texts(), pair.pager.texts());
    assert!(team[0].starts_with("a\u{fffd}Risk: none has come"), "{team:?}");
    assert!(pair.team.shown()[0].contains("ring 112") && !pair.pager.shown()[0].contains("ring 112"));
    assert!(team[1].starts_with("SSH session ended: ") && pager[0].starts_with("SSH login: "), "{team:?}");
    // Words that were stored are told, whatever the configuration says when they are sent.
    pair.team.next([crate::http::Reply::new(503, "")]);
    pair.world.commit(&[opened(2, "bob", NEAR)]);
    eventually("a failure", || role.log().contains("not delivered yet").then_some(()));
    role.kill();
    drop(role);
    pair.world.setup.rules = String::new();
    let _role = pair.world.start();
    pair.world.settled(key(2), DeliveryState::Delivered);
    assert!(pair.team.texts().iter().any(|text| text.starts_with("bob has come")), "{:?}", pair.team.texts());
}
