//! Where reading begins and goes on: first starts, other stores, lost and damaged databases.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use login_tracer::event::Doubt;
use login_tracer::notify::outbox::{self, DeliveryState};
use login_tracer::session::{Attempt, AttemptKey, Escalation, ForeignSshd, Identity, Reason, Tried, Update};

use crate::slack::Slack;
use crate::world::{World, ago, eventually, key, lost, opened, opened_at};

const NEAR: &str = "10.0.0.1";

#[test]
fn a_first_start_tells_news_and_no_history() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    let old: Vec<_> = (1..=500).map(|number| opened_at(number, "history", NEAR, ago(60))).collect();
    world.commit(&old);
    world.commit(&[opened_at(501, "news", NEAR, ago(2))]);
    let mut role = world.start();
    world.settled(key(501), DeliveryState::Delivered);
    role.terminate();
    drop(role);
    // Later absences are another matter: what happened meanwhile is told, however old it is.
    world.commit(&[opened_at(502, "meanwhile", NEAR, ago(30))]);
    let _role = world.start();
    world.settled(key(502), DeliveryState::Delivered);
    let texts = slack.texts();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("news") && texts[1].contains("meanwhile"), "{texts:?}");
}

#[test]
fn a_store_that_takes_the_place_of_another_is_read_without_repeating() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    let _role = world.start();
    let first = opened(1, "alice", NEAR);
    world.commit(&[first.clone(), opened(2, "bob", NEAR)]);
    world.settled(key(2), DeliveryState::Delivered);
    world.replace_store();
    // The tracer finds alice still there and writes her again; row numbers begin anew.
    world.commit(&[first]);
    world.commit(&[opened(3, "carol", NEAR)]);
    world.settled(key(3), DeliveryState::Delivered);
    let texts = slack.texts();
    assert_eq!(texts.iter().filter(|text| text.contains("alice")).count(), 1, "{texts:?}");
    assert_eq!(texts.len(), 3, "{texts:?}");
}

#[test]
fn attempts_are_passed_over_without_a_word_and_without_a_write() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    world.commit(&[opened(1, "alice", NEAR)]);
    let mut role = world.start();
    world.settled(key(1), DeliveryState::Delivered);
    let delivery = outbox::path(world.path());
    let written = || fs::metadata(delivery.with_extension("db-wal")).expect("the log").len();
    let before = written();
    // In many batches, as a port scan comes.
    for batch in 0..20 {
        world.commit(&(0..300).map(|number| attempt(batch * 300 + number)).collect::<Vec<_>>());
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(written(), before, "a port scan costs the notify role no disk");
    // Whatever comes after them is told, also when the role begins anew behind its last position.
    world.commit(&[opened(2, "bob", NEAR)]);
    world.settled(key(2), DeliveryState::Delivered);
    world.commit(&(6000..6300).map(attempt).collect::<Vec<_>>());
    role.kill();
    drop(role);
    world.commit(&[opened(3, "carol", NEAR)]);
    let _role = world.start();
    world.settled(key(3), DeliveryState::Delivered);
    assert_eq!(slack.texts().len(), 3, "{:?}", slack.texts());
}

fn attempt(number: u32) -> Update {
    let now = Timestamp::now();
    Update::Attempt(Box::new(Attempt {
        key: AttemptKey::of_monitor("machine", "boot", number, 1),
        host: "web-1".to_owned(),
        peer: "192.0.2.7:40000".parse().expect("an address"),
        local: None,
        sshd_pid: Some(number),
        began_at: now,
        ended_at: now,
        tried: Tried::default(),
        reason: Reason::NoAuthentication,
    }))
}

#[test]
fn a_damaged_delivery_database_is_set_aside() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    world.commit(&[opened_at(1, "early", NEAR, ago(30)), opened(2, "alice", NEAR)]);
    let mut role = world.start();
    world.settled(key(2), DeliveryState::Delivered);
    role.kill();
    drop(role);
    let path = outbox::path(world.path());
    // All of it: what is whole in the write-ahead log would repair what is broken in the database.
    for companion in ["delivery.db-wal", "delivery.db-shm"] {
        fs::remove_file(path.with_file_name(companion)).unwrap();
    }
    let size = fs::metadata(&path).unwrap().len().max(8192);
    fs::write(&path, vec![0x5a; usize::try_from(size).unwrap()]).unwrap();
    let role = world.start();
    world.commit(&[opened(3, "bob", NEAR)]);
    world.settled(key(3), DeliveryState::Delivered);
    assert!(role.log().contains("delivery.db is damaged and was set aside"), "{}", role.log());
    let kept = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("delivery.db.damaged-"));
    assert!(kept);
    // No history; what is new enough that it may not have been told is told once more.
    let told = |name: &str| slack.texts().iter().filter(|text| text.contains(name)).count();
    assert_eq!((told("early"), told("alice"), told("bob")), (0, 2, 1));
}

#[test]
fn a_session_becomes_known_before_its_message_is_written() {
    let slack = Slack::start();
    let service = crate::threat_jammer::ThreatJammer::start();
    service.mood(|_| {
        let late = crate::http::Reply::new(500, "");
        Some(crate::http::Reply::Slow(Duration::from_millis(700), Box::new(late)))
    });
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    let _role = world.start();
    let Update::Opened(mut opening) = opened(1, "x", "193.146.30.12") else { unreachable!() };
    opening.user = None;
    world.commit(&[Update::Opened(opening)]);
    eventually("taken in", || (!world.decisions(key(1)).is_empty()).then_some(()));
    let (at, user) = (Timestamp::now(), Some("alice".to_owned()));
    world.commit(&[Update::Identified { key: key(1), at, user, uid: None, tty: None }]);
    world.settled(key(1), DeliveryState::Delivered);
    assert!(slack.texts()[0].starts_with("SSH login: alice on web-1"), "{:?}", slack.texts());
}

#[test]
fn a_gained_user_id_is_told_once_for_each_program() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    let _role = world.start();
    let gained = |boot_ns, uid, exe: &str| {
        let identity = |uid| Identity { uid, user: None };
        let how = Escalation { pid: 9, from: identity(1001), to: identity(uid), exe: exe.to_owned() };
        let at = Timestamp::now();
        Update::Escalated { key: key(1), at, boot_ns, escalation: Box::new(how), count: 1 }
    };
    world.commit(&[opened(1, "alice", NEAR), gained(1, 0, "/usr/bin/sudo"), gained(2, 0, "/usr/bin/sudo")]);
    world.commit(&[
        gained(3, 0, "/usr/bin/su"),
        gained(4, 1002, "/usr/bin/sudo"),
        gained(5, 0, "/usr/bin/su"),
    ]);
    eventually("deliveries", || (world.settled(key(1), DeliveryState::Delivered).len() == 4).then_some(()));
    let told: Vec<_> = slack.texts().into_iter().filter(|text| text.starts_with("User id gained")).collect();
    let expected = ["uid 0 by /usr/bin/sudo", "uid 0 by /usr/bin/su ", "uid 1002 by /usr/bin/sudo"];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for words in expected {
        assert!(told.iter().any(|text| text.contains(words)), "{words}: {told:?}");
    }
}

#[test]
fn foreign_sshds_are_told() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    let _role = world.start();
    let run_by = Identity { uid: 1001, user: Some("alice".to_owned()) };
    let foreign = ForeignSshd { pid: 9, run_by, exe: "/home/alice/sshd".to_owned(), doubt: Doubt::User };
    world.commit(&[Update::ForeignSshd { key: key(1), at: Timestamp::now(), foreign: Box::new(foreign) }]);
    let words = "SSH server that is not the system's: /home/alice/sshd by alice (uid 1001) on web-1 (not run by root)";
    eventually("message", || slack.texts().contains(&words.to_owned()).then_some(()));
}

#[test]
fn lost_events_are_told() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    let _role = world.start();
    world.commit(&[lost(17)]);
    eventually("message", || {
        slack.texts().contains(&"Kernel events lost on web-1: 17".to_owned()).then_some(())
    });
}

#[test]
fn the_role_waits_for_a_store_that_is_not_there_yet() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    let aside = world.dir.path().join("elsewhere");
    fs::create_dir(&aside).unwrap();
    for name in ["sessions.db", "sessions.db-wal", "sessions.db-shm"] {
        fs::remove_file(world.path().join(name)).ok();
    }
    let role = world.start();
    eventually("waiting", || role.log().contains("waiting for the database of the trace role").then_some(()));
    world.replace_store();
    world.commit(&[opened(1, "alice", NEAR)]);
    world.settled(key(1), DeliveryState::Delivered);
}
