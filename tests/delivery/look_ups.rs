//! The look-up service in every mood: the message comes, in its colour, and grey never turns green.

use std::fs;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use login_tracer::assess::{Assessment, Level};
use login_tracer::notify::outbox::{DeliveryState, Reader};
use login_tracer::session::SessionKey;
use serde_json::Value;

use crate::databases::{city, database};
use crate::http::{Reply, Server};
use crate::slack::Slack;
use crate::threat_jammer::{ThreatJammer, assessment};
use crate::world::{Role, World, closed, eventually, key, opened};

fn world(slack: &Slack, service: &ThreatJammer) -> World {
    let mut world = World::with_slack(slack);
    world.setup.threat_jammer = Some(service.server.url());
    world
}

fn assessment_of(world: &World, session: SessionKey) -> Assessment {
    Reader::open(world.path()).unwrap().assessment(session).unwrap().unwrap()
}

/// Colour, network, place and risk of a payload.
fn shown(payload: &str) -> [String; 4] {
    let payload: Value = serde_json::from_str(payload).unwrap();
    let attachment = &payload["attachments"][0];
    let blocks = attachment["blocks"].as_array().unwrap();
    let fields: Vec<&str> = blocks
        .iter()
        .flat_map(|block| block["fields"].as_array().unwrap())
        .map(|field| field["text"].as_str().unwrap())
        .collect();
    let get = |label| fields[fields.iter().position(|field| *field == label).unwrap() + 1].to_owned();
    [attachment["color"].as_str().unwrap().to_owned(), get("*Network*"), get("*Place*"), get("*Risk*")]
}

#[test]
fn scores_become_colours() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = world(&slack, &service);
    let _role = world.start();
    let table = [
        (34, "#02ff00", "34 (LOW)", Level::Low),
        (35, "#ffe200", "35 (MEDIUM)", Level::Medium),
        (67, "#ffe200", "67 (MEDIUM)", Level::Medium),
        (68, "#ff0002", "68 (HIGH)", Level::High),
    ];
    for (score, colour, risk, level) in table {
        let before = slack.shown().len();
        world.commit(&[opened(score, "alice", &format!("193.146.30.{score}"))]);
        world.settled(key(score), DeliveryState::Delivered);
        let shown = shown(&slack.shown()[before]);
        assert_eq!(
            shown,
            [
                colour.to_owned(),
                "AS15704 XTRA TELECOM - XTRA TELECOM S.A., ES".to_owned(),
                "Madrid - Community of Madrid (ES)".to_owned(),
                format!("{risk} - Score from one dataset"),
            ]
        );
        let stored = assessment_of(&world, key(score));
        assert_eq!((stored.level, stored.score), (level, Some(score as u8)));
        assert_eq!(i32::from(stored.reasons[0].points), score as i32);
    }
    // The autonomous system was asked for once: it is the same for all.
    assert_eq!(service.paths().iter().filter(|path| path.starts_with("/v1/asn/")).count(), 1);
}

#[test]
fn every_failure_is_grey_and_says_why() {
    let elsewhere = Server::start(|_| Reply::new(200, assessment("193.146.30.12", "1")));
    let to_elsewhere = Reply::with(302, "location", elsewhere.url(), "");
    let huge = Reply::new(200, format!(r#"{{"score":1,"reason":"{}"}}"#, "x".repeat(70_000)));
    let slow = Reply::Slow(Duration::from_secs(5), Box::new(Reply::new(200, assessment("x", "1"))));
    let moods = [
        (Reply::new(400, "{}"), "the look-up answered with status 400"),
        (Reply::new(401, "{}"), "the look-up refuses the token"),
        (Reply::new(403, "{}"), "the look-up refuses the token"),
        (Reply::new(422, "{}"), "the look-up answered with status 422"),
        (Reply::with(429, "retry-after", "30", "{}"), "the look-up's limit of requests is reached"),
        (Reply::new(500, "oops"), "the look-up answered with status 500"),
        (slow, "the look-up did not answer in time"),
        (Reply::CutOff, "the look-up could not be reached"),
        (Reply::Reset, "the look-up could not be reached"),
        (Reply::Garbage, "the look-up could not be reached"),
        (Reply::new(200, "<html>It works!</html>"), "the look-up's answer is not understood"),
        (Reply::new(200, ""), "the look-up's answer is not understood"),
        (Reply::new(200, assessment("x", "null")), "the look-up has no data on it"),
        (Reply::new(200, assessment("x", "-5")), "the look-up's answer is not understood"),
        (huge, "the look-up's answer is not understood"),
        (to_elsewhere, "the look-up answered with status 302"),
    ];
    let worlds: Vec<_> = moods
        .into_iter()
        .map(|(mood, why)| {
            let (slack, service) = (Slack::start(), ThreatJammer::start());
            service.mood(move |_| Some(mood.clone()));
            let mut world = world(&slack, &service);
            world.setup.deadline_ms = 1500;
            let role = world.start();
            world.commit(&[opened(1, "alice", "193.146.30.12")]);
            (why, slack, world, role)
        })
        .collect();
    for (why, slack, world, _role) in &worlds {
        world.settled(key(1), DeliveryState::Delivered);
        let [colour, _, _, risk] = shown(&slack.shown()[0]);
        assert_eq!((colour.as_str(), risk), ("#9e9e9e", format!("unknown - {why}")));
        let stored = assessment_of(world, key(1));
        assert_eq!((stored.level, stored.score), (Level::Unknown, None));
    }
    assert!(elsewhere.requests().is_empty(), "the token went elsewhere");
}

#[test]
fn a_database_is_old_then_damaged_then_new() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("city.mmdb");
    let write = |content: &[u8]| {
        let beside = folder.path().join("new");
        fs::write(&beside, content).unwrap();
        fs::rename(&beside, &path).unwrap();
    };
    let of = |name: &'static str, days: u64| {
        let now = u64::try_from(Timestamp::now().as_second()).unwrap();
        database("City", now - days * 86_400, &[("193.146.0.0/16", city(name, "ES", 40.4, -3.7))])
    };
    write(&of("Madrid", 32));
    world.setup.city = Some(path.clone());
    let role = world.start();
    let logged = |words: &str| eventually(words, || role.log().contains(words).then_some(()));
    let place = |world: &mut World, number| {
        world.commit(&[opened(number, "alice", "193.146.30.12")]);
        world.settled(key(number), DeliveryState::Delivered);
        shown(slack.shown().last().unwrap())[2].clone()
    };
    logged("a database is old");
    assert_eq!(place(&mut world, 1), "Madrid - Region (ES)");
    write(b"<html>licence key missing</html>");
    logged("a file cannot be used");
    assert_eq!(place(&mut world, 2), "Madrid - Region (ES)");
    write(&of("Getafe", 1));
    logged("read again");
    assert_eq!(place(&mut world, 3), "Getafe - Region (ES)");
    assert_eq!(role.log().matches("a database is old").count(), 1);
}

#[test]
fn half_an_answer_is_half_a_message() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    service.mood(|request| (!request.path.starts_with("/v1/assess")).then(|| Reply::new(500, "")));
    let mut world = world(&slack, &service);
    let _role = world.start();
    world.commit(&[opened(1, "alice", "193.146.30.12")]);
    world.settled(key(1), DeliveryState::Delivered);
    let [colour, network, place, risk] = shown(&slack.shown()[0]);
    assert_eq!((colour.as_str(), risk.as_str()), ("#02ff00", "12 (LOW) - Score from one dataset"));
    assert_eq!(
        (network.as_str(), place.as_str()),
        ("AS15704", "unknown - the look-up answered with status 500")
    );
}

#[test]
fn a_message_waits_for_the_deadline_and_no_longer() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    service.mood(|request| {
        let answer = Reply::new(200, assessment("x", "80"));
        request
            .path
            .starts_with("/v1/assess")
            .then(|| Reply::Slow(Duration::from_millis(2500), Box::new(answer)))
    });
    let mut world = world(&slack, &service);
    world.setup.deadline_ms = 500;
    let _role = world.start();
    let begun = Instant::now();
    // Many at once, from many addresses: they wait beside each other.
    let logins: Vec<_> =
        (1..=40).map(|number| opened(number, "alice", &format!("193.146.30.{number}"))).collect();
    world.commit(&logins);
    // What comes later is told by messages of their own.
    let logins = || {
        let is_login = |payload: &String| payload.contains("SSH login");
        slack.shown().into_iter().filter(is_login).collect::<Vec<_>>()
    };
    eventually("all of them", || (logins().len() == 40).then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(logins().iter().all(|payload| shown(payload)[0] == "#9e9e9e"));
    // What came too late for the first login is there for the second, without another question.
    let assess = |paths: Vec<String>| paths.iter().filter(|path| path.ends_with("/193.146.30.7")).count();
    eventually("the late answers", || {
        let geo = service.paths().iter().filter(|path| path.starts_with("/v1/geo")).count();
        (geo == 40).then_some(())
    });
    let asked = assess(service.paths());
    std::thread::sleep(Duration::from_millis(500));
    world.commit(&[opened(100, "bob", "193.146.30.7")]);
    world.settled(key(100), DeliveryState::Delivered);
    assert_eq!(shown(logins().last().unwrap())[0], "#ff0002");
    assert_eq!(assess(service.paths()), asked);
}

#[test]
fn answers_are_remembered_across_restarts() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = world(&slack, &service);
    let mut role: Role = world.start();
    world.commit(&[opened(1, "alice", "193.146.30.12")]);
    world.settled(key(1), DeliveryState::Delivered);
    role.kill();
    drop(role);
    let asked = service.paths().len();
    assert_eq!(asked, 3);
    let _role = world.start();
    world.commit(&[opened(2, "bob", "193.146.30.12"), closed(2), closed(1)]);
    eventually("all of them", || (slack.shown().len() == 4).then_some(()));
    assert!(slack.shown().iter().all(|payload| shown(payload)[3] == "12 (LOW) - Score from one dataset"));
    assert_eq!(service.paths().len(), asked);
}

#[test]
fn the_end_shows_the_rating_of_the_beginning() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = world(&slack, &service);
    let _role = world.start();
    world.commit(&[opened(1, "alice", "193.146.30.90")]);
    world.settled(key(1), DeliveryState::Delivered);
    service.mood(|_| Some(Reply::new(200, assessment("x", "0"))));
    world.commit(&[closed(1)]);
    eventually("the end", || (slack.shown().len() == 2).then_some(()));
    let [first, second] = &slack.shown()[..] else { panic!("not two") };
    assert_eq!(shown(first), shown(second));
}

#[test]
fn the_quota_holds_across_restarts() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = world(&slack, &service);
    world.setup.per_minute = 4;
    for number in 1..=3 {
        let mut role = world.start();
        world.commit(&[opened(number, "alice", &format!("193.146.30.{number}"))]);
        world.settled(key(number), DeliveryState::Delivered);
        role.kill();
    }
    // Three for the first login, one for the second (the network is known, the place is not asked), none for the third.
    assert_eq!(service.paths().len(), 4, "{:?}", service.paths());
    let why = "not looked up: the limit of requests per minute is reached";
    let all = slack.shown();
    assert_eq!(
        shown(&all[1])[2..],
        [format!("unknown - {why}"), "2 (LOW) - Score from one dataset".to_owned()]
    );
    assert_eq!((shown(&all[2])[0].as_str(), &shown(&all[2])[3]), ("#9e9e9e", &format!("unknown - {why}")));
}

#[test]
fn addresses_of_our_own_are_not_told_to_anybody() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = world(&slack, &service);
    let _role = world.start();
    let addresses = [
        "127.0.0.1",
        "10.1.2.3",
        "100.64.0.9",
        "169.254.1.1",
        "203.0.113.7",
        "[fd00::1]",
        "[fe80::1]",
        "[::ffff:192.168.1.1]",
        "[2001:db8::1]",
        "[::1]",
    ];
    for (number, address) in (1..).zip(addresses) {
        world.commit(&[opened(number, "alice", address)]);
        world.settled(key(number), DeliveryState::Delivered);
    }
    assert!(service.paths().is_empty());
    let risks: Vec<String> = slack.shown().iter().map(|payload| shown(payload)[3].clone()).collect();
    for (risk, address) in risks.iter().zip(addresses) {
        // A connection cannot come from addresses of books: that is nothing to be green about.
        let is_from_a_book = address.starts_with("203.0.113.") || address.starts_with("[2001:db8:");
        let is_known = !risk.starts_with("unknown - ");
        assert!(is_known != is_from_a_book && risk.ends_with("not looked up"), "{address}: {risk}");
    }
}
