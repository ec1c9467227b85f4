//! Summaries by schedule: what they say, to whom, and that each is told once.

use jiff::{SignedDuration, Timestamp};
use login_tracer::notify::outbox::{DeliveryState, Outbox};
use login_tracer::session::{Attempt, AttemptKey, Escalation, Identity, Reason, Tried, TriedUser, Update};

use crate::catch_up::steps;
use crate::slack::Slack;
use crate::world::{World, ago, eventually, key, opened, opened_at};

const DAILY: &str = "[[summaries]]\nevery = \"day\"\nat = \"00:00\"\nsinks = [\"team\"]\n";
/// What the schedule above is known by.
const NAME: &str = "day to team";

#[test]
fn the_first_one_comes_at_its_time_and_not_at_once() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    world.setup.rules = DAILY.to_owned();
    for number in 1..3 {
        let _role = world.start();
        world.commit(&[opened(number, "alice", "10.0.0.1")]);
        world.settled(key(number), DeliveryState::Delivered);
    }
    assert!(slack.texts().iter().all(|text| text.starts_with("SSH login")), "{:?}", slack.texts());
    // The schedule is known since the first start, so that the next midnight is not missed.
    let told = Outbox::open(world.path()).unwrap().summarized(NAME, Timestamp::now()).unwrap();
    assert!(told < Timestamp::now() && told > ago(5), "{told}");
}

#[test]
fn one_that_was_missed_is_told_once_whatever_kills_the_role() {
    for kill_at in 1..=4 {
        let slack = Slack::start();
        let mut world = missed(&slack);
        world.setup.kill_at = Some(kill_at);
        let mut role = world.start();
        // Claim, send, record; then there is nothing more to do.
        let has_ended = kill_at < 4;
        if has_ended {
            eventually("the end of the role", || role.ended());
        } else {
            // Killed before it has written down that it was confirmed, it would tell it once more.
            eventually("a summary", || steps(&world).iter().any(|step| step == "Record").then_some(()));
        }
        drop(role);
        world.setup.kill_at = None;
        let _role = world.start();
        world.commit(&[opened(9, "last", "10.0.0.9")]);
        world.settled(key(9), DeliveryState::Delivered);
        let texts = slack.texts();
        let summaries: Vec<_> = texts.iter().filter(|text| text.starts_with("Daily summary")).collect();
        // Only a confirmation that was lost repeats it, word for word.
        let expected = if kill_at == 2 { 2 } else { 1 };
        assert_eq!(summaries.len(), expected, "killed at step {kill_at}: {texts:?}");
        assert!(summaries.windows(2).all(|pair| pair[0] == pair[1]));
        assert!(summaries[0].starts_with("Daily summary of web-1: 3 logins, 2 attempts"), "{summaries:?}");
        assert!(slack.shown().iter().any(|payload| payload.contains("alice (2), root (1)")));
        assert!(slack.shown().iter().all(|payload| !payload.contains("hunter2")));
    }
}

#[test]
fn routes_and_quiet_hours_are_not_for_summaries() {
    let slack = Slack::start();
    let mut world = missed(&slack);
    world.setup.slack.push(("other".to_owned(), slack.url()));
    world.setup.rules = format!(
        "{DAILY}[[routes]]\nsinks = []\n[quiet_hours]\nfrom = \"00:00\"\nto = \"23:59\"\n\
         [[templates]]\ntemplate = \"{{{{ user }}}} was here\"\n"
    );
    let _role = world.start();
    let texts = eventually("a summary", || Some(slack.texts()).filter(|texts| !texts.is_empty()));
    assert!(texts.len() == 1 && texts[0].starts_with("Daily summary"), "{texts:?}");
}

#[test]
fn a_clock_that_was_set_back_stops_nothing() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    world.setup.rules = DAILY.to_owned();
    let role = world.start();
    // As exact as the database.
    let now = Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap();
    world.commit(&[opened(1, "alice", "10.0.0.1")]);
    world.settled(key(1), DeliveryState::Delivered);
    drop(role);
    let mut outbox = Outbox::open(world.path()).unwrap();
    let year = SignedDuration::from_hours(24 * 365);
    assert!(outbox.summarized(NAME, now + year).is_ok());
    assert!(outbox.summarized("another", now + year).unwrap() == now + year);
    assert_eq!(outbox.summarized("another", now).unwrap(), now, "told in a year that has not come yet");
    assert_eq!(outbox.summarized("another", now + SignedDuration::from_secs(1)).unwrap(), now);
}

/// A host on which things happened yesterday, and nobody was told a summary for three days.
fn missed(slack: &Slack) -> World {
    let mut world = World::with_slack(slack);
    // Midnight is in between, whatever the time is; and what was before is not told by itself.
    let yesterday = |number: u32, user: &str| opened_at(number, user, "10.0.0.1", ago(24 * 60));
    world.commit(&[
        yesterday(1, "alice"),
        yesterday(2, "root"),
        yesterday(3, "alice"),
        attempt(1),
        attempt(2),
        Update::Escalated {
            key: key(1),
            at: ago(24 * 60),
            boot_ns: 5,
            escalation: Box::new(Escalation {
                pid: 4711,
                from: Identity { uid: 1000, user: Some("alice".to_owned()) },
                to: Identity { uid: 0, user: Some("root".to_owned()) },
                exe: "/usr/bin/sudo".to_owned(),
            }),
            count: 1,
        },
    ]);
    std::fs::create_dir_all(world.path().join("notify")).unwrap();
    Outbox::open(world.path()).unwrap().summarized(NAME, ago(3 * 24 * 60)).unwrap();
    world.setup.rules = DAILY.to_owned();
    world
}

/// Somebody types a password where a name is asked for.
fn attempt(number: u32) -> Update {
    let at = ago(24 * 60);
    Update::Attempt(Box::new(Attempt {
        key: AttemptKey::of_monitor("machine", "boot", number, 1),
        host: "web-1".to_owned(),
        peer: "192.0.2.7:40000".parse().unwrap(),
        local: None,
        sshd_pid: Some(number),
        began_at: at,
        ended_at: at,
        tried: Tried {
            users: vec![TriedUser { name: "hunter2".to_owned(), is_known: false }],
            methods: vec!["password".to_owned()],
            failures: 1,
        },
        reason: Reason::UnknownUser,
    }))
}
