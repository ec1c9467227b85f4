//! What becomes known after a login: it is stored, and a session that becomes yellow or red is told again, once for each.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use login_tracer::assess::{Assessment, Level};
use login_tracer::notify::outbox::{DeliveryState, Reader};
use login_tracer::session::{
    Attempt, AttemptKey, Auth, Escalation, Identity, Reason, SessionKey, Tried, TriedUser, Update,
};
use serde_json::Value;

use crate::http::Reply;
use crate::slack::Slack;
use crate::threat_jammer::{ThreatJammer, assessment};
use crate::world::{World, ago, closed, eventually, key, opened, opened_at};

pub(crate) const PEER: &str = "193.146.30.20";

pub(crate) fn assessed(world: &World, session: SessionKey) -> Option<Assessment> {
    Reader::open(world.path()).ok()?.assessment(session).unwrap()
}

/// Summary and colour of each message, oldest first.
pub(crate) fn told(slack: &Slack) -> Vec<(String, String)> {
    let told = |payload: String| {
        let payload: Value = serde_json::from_str(&payload).unwrap();
        let attachment = &payload["attachments"][0];
        let text = attachment["fallback"].as_str().or(payload["text"].as_str()).unwrap();
        (text.to_owned(), attachment["color"].as_str().unwrap().to_owned())
    };
    slack.shown().into_iter().map(told).collect()
}

/// So many times somebody was refused from there.
pub(crate) fn refused(number: u32, peer: &str, failures: u32) -> Update {
    let now = Timestamp::now();
    Update::Attempt(Box::new(Attempt {
        key: AttemptKey::of_monitor("machine", "boot", 1000 + number, u64::from(number)),
        host: "web-1".to_owned(),
        peer: SocketAddr::new(peer.parse().unwrap(), 40_001),
        local: None,
        sshd_pid: None,
        began_at: now,
        ended_at: now,
        tried: Tried {
            users: vec![TriedUser { name: "bob".to_owned(), is_known: true }],
            methods: Vec::new(),
            failures,
        },
        reason: Reason::WrongPassword,
    }))
}

#[test]
fn what_a_service_says_too_late_is_stored_and_told() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    service.mood(|request| {
        let answer = Reply::new(200, assessment("x", "80"));
        let is_slow = request.path.starts_with("/v1/assess");
        is_slow.then(|| Reply::Slow(Duration::from_millis(1500), Box::new(answer)))
    });
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    world.setup.deadline_ms = 300;
    let _role = world.start();
    world.commit(&[opened(1, "alice", PEER)]);
    eventually("both messages", || (told(&slack).len() == 2).then_some(()));
    let [(login, grey), (raised, red)] = told(&slack).try_into().unwrap();
    assert_eq!(
        (login.as_str(), grey.as_str()),
        ("SSH login: alice on web-1 from 193.146.30.20, risk unknown", "#9e9e9e")
    );
    assert_eq!(raised, "SSH session is riskier: alice on web-1 from 193.146.30.20, risk 80 (HIGH)");
    assert_eq!(red, "#ff0002");
    assert_eq!(
        assessed(&world, key(1)).map(|found| (found.level, found.score)),
        Some((Level::High, Some(80)))
    );
    // The end shows what is known by then.
    world.commit(&[closed(1)]);
    eventually("the end", || (told(&slack).len() == 3).then_some(()));
    assert!(told(&slack)[2].0.ends_with("risk 80 (HIGH)"));
}

#[test]
fn an_address_that_is_listed_later_is_told_once() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    // The folder of the databases changes all the time.
    let lists = tempfile::tempdir().unwrap();
    let list = lists.path().join("drop.txt");
    fs::write(&list, "198.51.100.1\n").unwrap();
    world.setup.list = Some(list.clone());
    let _role = world.start();
    world.commit(&[opened(1, "alice", PEER), opened(2, "bob", "193.146.31.20"), opened(3, "carol", PEER)]);
    for number in 1..=3 {
        world.settled(key(number), DeliveryState::Delivered);
    }
    world.commit(&[closed(3)]);
    eventually("the end", || (told(&slack).len() == 4).then_some(()));
    let write = |content: &str| {
        let beside = lists.path().join("drop.new");
        fs::write(&beside, content).unwrap();
        fs::rename(&beside, &list).unwrap();
    };
    write("193.146.30.0/24 # SBL1\n");
    eventually("the news", || (told(&slack).len() == 5).then_some(()));
    let (raised, colour) = told(&slack).remove(4);
    assert_eq!(raised, "SSH session is riskier: alice on web-1 from 193.146.30.20, risk 90 (HIGH)");
    assert_eq!(colour, "#ff0002");
    let found = assessed(&world, key(1)).unwrap();
    assert_eq!(found.reasons[0].text, "on the list drop (193.146.30.0/24)");
    // A damaged list, none, and the same once more: nothing new is told.
    write("<html>");
    thread::sleep(Duration::from_millis(500));
    write("198.51.100.1\n");
    eventually("the fall", || (assessed(&world, key(1))?.level == Level::Low).then_some(()));
    write("193.146.30.0/24 # SBL1\n");
    eventually("the rise", || (assessed(&world, key(1))?.level == Level::High).then_some(()));
    thread::sleep(Duration::from_millis(500));
    assert_eq!(told(&slack).len(), 5);
    // Who was gone, and who came from elsewhere, stays as they were.
    assert_eq!(assessed(&world, key(3)).unwrap().score, Some(20));
    assert_eq!(assessed(&world, key(2)).unwrap().score, Some(20));
}

#[test]
fn a_list_that_can_be_read_at_last_takes_the_doubt_away() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    let lists = tempfile::tempdir().unwrap();
    let list = lists.path().join("drop.txt");
    world.setup.list = Some(list.clone());
    let _role = world.start();
    world.commit(&[opened(1, "alice", PEER)]);
    world.settled(key(1), DeliveryState::Delivered);
    assert_eq!(assessed(&world, key(1)).unwrap().level, Level::Unknown);
    fs::write(&list, "198.51.100.1\n").unwrap();
    eventually("green", || (assessed(&world, key(1))?.level == Level::Low).then_some(()));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(told(&slack).len(), 1, "what falls is told nobody");
}

#[test]
fn refused_tries_after_the_login_are_told() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    let _role = world.start();
    world.commit(&[opened(1, "alice", PEER)]);
    world.settled(key(1), DeliveryState::Delivered);
    world.commit(&[refused(1, PEER, 4), refused(2, "193.146.31.9", 50)]);
    eventually("the refusals", || {
        let found = assessed(&world, key(1))?;
        (found.score == Some(20)).then_some(())
    });
    world.commit(&[refused(3, PEER, 1)]);
    eventually("the news", || (told(&slack).len() == 2).then_some(()));
    let (raised, colour) = told(&slack).remove(1);
    assert_eq!(raised, "SSH session is riskier: alice on web-1 from 193.146.30.20, risk 35 (MEDIUM)");
    assert_eq!(colour, "#ffe200");
    // More of the same is the same.
    world.commit(&[refused(4, PEER, 100)]);
    eventually("the count", || {
        let reasons = assessed(&world, key(1))?.reasons;
        reasons.iter().any(|reason| reason.text.starts_with("105 refused")).then_some(())
    });
    assert_eq!(told(&slack).len(), 2);
}

/// It becomes known that a password did.
fn by_password(number: u32) -> Update {
    let auth = Auth { method: "password".to_owned(), key: None, certificate: None, user_log: None };
    Update::Authenticated { key: key(number), at: Timestamp::now(), user: None, auth: Box::new(auth) }
}

fn identified(number: u32, uid: Option<u32>, tty: Option<&str>) -> Update {
    let (at, tty) = (Timestamp::now(), tty.map(str::to_owned));
    Update::Identified { key: key(number), at, user: None, uid, tty }
}

#[test]
fn how_somebody_came_in_counts_when_it_is_known() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    let _role = world.start();
    world.commit(&[opened(1, "alice", PEER), opened(2, "bob", PEER)]);
    for number in 1..=2 {
        world.settled(key(number), DeliveryState::Delivered);
    }
    let score = |number| assessed(&world, key(number))?.score;
    assert_eq!((score(1), score(2)), (Some(20), Some(20)));
    // Worse, and green still: stored, not told.
    let scored = |world: &World, number, expected| {
        eventually("the score", || (assessed(world, key(number))?.score == Some(expected)).then_some(()));
    };
    world.commit(&[by_password(1)]);
    scored(&world, 1, 30);
    assert_eq!(told(&slack).len(), 2);
    // Root, and by a password.
    world.commit(&[identified(1, Some(0), None)]);
    scored(&world, 1, 65);
    eventually("the news", || (told(&slack).len() == 3).then_some(()));
    let (raised, colour) = told(&slack).remove(2);
    assert_eq!(raised, "SSH session is riskier: alice on web-1 from 193.146.30.20, risk 65 (MEDIUM)");
    assert_eq!(colour, "#ffe200");
    // What makes no difference, and what falls, is told nobody; what rises again to the same, neither.
    world.commit(&[identified(1, None, Some("pts/0")), identified(1, Some(1000), None)]);
    scored(&world, 1, 30);
    world.commit(&[identified(1, Some(0), None)]);
    scored(&world, 1, 65);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(told(&slack).len(), 3);
    assert_eq!(assessed(&world, key(2)).unwrap().score, Some(20), "the other one stays as it is");
}

#[test]
fn tries_count_by_when_they_were_made() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    let mut role = world.start();
    // What was before the first start is no news.
    world.commit(&[opened(9, "dave", "10.0.0.1")]);
    world.settled(key(9), DeliveryState::Delivered);
    world.commit(&[
        opened_at(1, "alice", PEER, ago(55)),
        opened_at(2, "bob", PEER, ago(65)),
        opened(3, "carol", PEER),
    ]);
    for number in 1..=3 {
        world.settled(key(number), DeliveryState::Delivered);
    }
    role.kill();
    drop(role);
    // The tries were made while nobody listened, and one of the sessions ended among them.
    world.commit(&[refused(1, PEER, 5)]);
    world.commit(&[closed(3)]);
    world.commit(&[refused(2, PEER, 1)]);
    let _role = world.start();
    world.settled(key(3), DeliveryState::Delivered);
    let raised = || -> Vec<String> {
        told(&slack).into_iter().map(|(text, _)| text).filter(|text| text.contains("riskier")).collect()
    };
    eventually("the news", || (raised().len() == 2).then_some(()));
    thread::sleep(Duration::from_millis(300));
    let texts = raised();
    assert!(["alice", "carol"].iter().all(|name| texts.iter().any(|text| text.contains(name))), "{texts:?}");
    assert_eq!(assessed(&world, key(2)).unwrap().score, Some(20));
}

#[test]
fn killed_after_every_step_of_a_rise() {
    // Six steps are those of the first login, before anybody tries; the other six of the second login and of the rise.
    for step in 7..=13 {
        let (slack, service) = (Slack::start(), ThreatJammer::start());
        let mut world = World::with_slack(&slack);
        world.setup.threat_jammer = Some(service.server.url());
        world.setup.kill_at = Some(step);
        let mut role = world.start();
        world.commit(&[opened(1, "alice", PEER)]);
        world.settled(key(1), DeliveryState::Delivered);
        // A login with them makes sure that the position is written down.
        world.commit(&[opened(2, "bob", "10.0.0.1"), refused(1, PEER, 5)]);
        eventually("end by the kill", || role.ended());
        drop(role);
        world.setup.kill_at = None;
        let _role = world.start();
        let texts = || {
            let mut texts: Vec<String> = told(&slack).into_iter().map(|(text, _)| text).collect();
            texts.sort();
            texts.dedup();
            texts
        };
        eventually("all three", || (texts().len() == 3).then_some(()));
        let raised = "SSH session is riskier: alice on web-1 from 193.146.30.20, risk 35 (MEDIUM)";
        assert!(texts().iter().any(|text| text == raised), "killed after step {step}: {:?}", texts());
        assert_eq!(assessed(&world, key(1)).map(|found| found.score), Some(Some(35)));
        // Only what was on its way is repeated.
        assert!(told(&slack).len() <= 4, "killed after step {step}: {:?}", told(&slack));
    }
}

#[test]
fn a_user_id_that_is_gained_is_told_with_its_risk() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    let _role = world.start();
    world.commit(&[opened(1, "alice", PEER)]);
    world.settled(key(1), DeliveryState::Delivered);
    let identity = |uid: u32, user: &str| Identity { uid, user: Some(user.to_owned()) };
    let how = Escalation {
        pid: 4711,
        from: identity(1000, "alice"),
        to: identity(0, "root"),
        exe: "/home/alice/a.out".to_owned(),
    };
    // What else becomes known at the same time is told with it.
    let gained = Update::Escalated {
        key: key(1),
        at: Timestamp::now(),
        boot_ns: 5,
        escalation: Box::new(how),
        count: 1,
    };
    world.commit(&[by_password(1), gained]);
    eventually("the news", || (told(&slack).len() == 2).then_some(()));
    let (gained, colour) = told(&slack).remove(1);
    assert!(gained.ends_with("risk 100 (HIGH)"), "{gained}");
    assert_eq!(colour, "#ff0002");
    assert_eq!(assessed(&world, key(1)).unwrap().level, Level::High);
    // The change itself told it: there is no second message about it.
    thread::sleep(Duration::from_millis(500));
    assert_eq!(told(&slack).len(), 2);
}
