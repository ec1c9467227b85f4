//! What a service says of an address by now is about all who are in from there: when somebody else's login makes it be
//! asked again, and when nobody's does.

use std::thread;
use std::time::Duration;

use login_tracer::assess::Level;
use login_tracer::notify::outbox::DeliveryState;
use login_tracer::session::{Service, Update};

use crate::catch_up::{level, risen, run_idle};
use crate::http::Reply;
use crate::reassessment::{PEER, assessed, told};
use crate::slack::Slack;
use crate::threat_jammer::{ThreatJammer, assessment};
use crate::world::{World, ago, closed, eventually, key, opened, opened_at};

/// Until an answer that is good for a second is forgotten.
const FORGOTTEN: Duration = Duration::from_millis(1200);
const RISEN: &str = "SSH session is riskier: alice on web-1 from 193.146.30.20, risk 80 (HIGH)";

/// A world in which answers are good for a second, and nobody is in.
fn forgetful() -> (Slack, ThreatJammer, World) {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    world.setup.good_for_s = Some(1);
    (slack, service, world)
}

/// From now on every address is listed, and that is said after so long.
fn lists(service: &ThreatJammer, after: Duration) {
    service.mood(move |request| {
        let answer = Reply::new(200, assessment("x", "80"));
        let is_assessment = request.path.starts_with("/v1/assess");
        is_assessment.then(|| Reply::Slow(after, Box::new(answer)))
    });
}

/// The login of somebody who is on the host already, by a process that still holds a connection.
fn by_sudo(login: Update) -> Update {
    let Update::Opened(mut opening) = login else { return login };
    opening.service = Service::Sudo;
    Update::Opened(opening)
}

/// In time, and too late: what bob's login makes be asked is about alice, who is in for hours, and not about carol, who was.
#[test]
fn an_address_that_a_service_lists_later_is_told() {
    for after in [Duration::ZERO, Duration::from_millis(1500)] {
        let (slack, service, mut world) = forgetful();
        world.setup.deadline_ms = 600;
        let _role = world.start();
        // What was before the first start is no news.
        world.commit(&[opened(9, "dave", "10.0.0.1")]);
        world.settled(key(9), DeliveryState::Delivered);
        world.commit(&[
            opened_at(1, "alice", PEER, ago(300)),
            opened_at(2, "carol", PEER, ago(300)),
            by_sudo(opened(6, "root", PEER)),
        ]);
        for number in [1, 2, 6] {
            world.settled(key(number), DeliveryState::Delivered);
        }
        world.commit(&[closed(2)]);
        let of_the_host = assessed(&world, key(6));
        thread::sleep(FORGOTTEN);
        lists(&service, after);
        world.commit(&[opened(3, "bob", PEER)]);
        for number in [1, 3] {
            eventually("red", || (level(&world, key(number)) == Some(Level::High)).then_some(()));
        }
        let is_late = !after.is_zero();
        let expected = if is_late { 2 } else { 1 };
        eventually("the news", || (risen(&slack) == expected).then_some(()));
        assert_eq!(told(&slack).iter().filter(|(text, _)| text == RISEN).count(), 1);
        assert_eq!(level(&world, key(2)), Some(Level::Low), "who is gone");
        assert_eq!(assessed(&world, key(6)), of_the_host, "no address is asked about who was on the host");

        // A service that fails says what it said.
        thread::sleep(FORGOTTEN);
        service.mood(|request| request.path.starts_with("/v1/assess").then(|| Reply::new(500, "oops")));
        world.commit(&[opened(4, "erin", PEER)]);
        world.settled(key(4), DeliveryState::Delivered);
        assert_eq!(level(&world, key(4)), Some(Level::Unknown));
        thread::sleep(Duration::from_millis(300));
        assert_eq!(assessed(&world, key(1)).unwrap().score, Some(80));

        // What it takes back is taken back, and told nobody.
        thread::sleep(FORGOTTEN);
        service.mood(|_| None);
        world.commit(&[opened(5, "frank", PEER)]);
        eventually("green", || (level(&world, key(1)) == Some(Level::Low)).then_some(()));
        world.settled(key(5), DeliveryState::Delivered);
        // Of erin nothing was known: she is one of many who came from there that day.
        let erin = "SSH session is riskier: erin on web-1 from 193.146.30.20, risk 40 (MEDIUM)";
        eventually("erin", || told(&slack).iter().any(|(text, _)| text == erin).then_some(()));
        assert_eq!(level(&world, key(3)), Some(Level::Medium));
        assert_eq!(risen(&slack), expected + 1);
    }
}

#[test]
fn killed_after_every_step_of_somebody_else_s_login() {
    // Six steps are those of the first login; then those of the second and of what it says about the first.
    for step in 7..=14 {
        let (slack, service, mut world) = forgetful();
        world.setup.kill_at = Some(step);
        let mut role = world.start();
        world.commit(&[opened(1, "alice", PEER)]);
        world.settled(key(1), DeliveryState::Delivered);
        thread::sleep(FORGOTTEN);
        lists(&service, Duration::ZERO);
        world.commit(&[opened(2, "bob", PEER)]);
        eventually("end by the kill", || role.ended());
        drop(role);
        world.setup.kill_at = None;
        let _role = world.start();
        eventually("the news", || (risen(&slack) > 0).then_some(()));
        for number in 1..=2 {
            world.settled(key(number), DeliveryState::Delivered);
            assert_eq!(level(&world, key(number)), Some(Level::High), "killed after step {step}");
        }
        // Bob's is told once, alice's twice; only what was on its way is repeated.
        let messages = told(&slack).len();
        assert!((3..=4).contains(&messages), "killed after step {step}: {:?}", told(&slack));
        assert!(told(&slack).iter().any(|(text, _)| text == RISEN), "killed after step {step}");
    }
}

#[test]
fn who_stays_in_is_asked_about_again_with_half_of_the_quota() {
    let (slack, service, mut world) = forgetful();
    let role = world.start();
    world.commit(&[opened(1, "alice", PEER), opened(2, "bob", "10.0.0.1")]);
    for number in 1..=2 {
        world.settled(key(number), DeliveryState::Delivered);
    }
    drop(role);
    lists(&service, Duration::ZERO);
    thread::sleep(FORGOTTEN);
    // Three of six were made for her login: the other half is for those who log in.
    world.setup.per_minute = 6;
    let asked = service.paths().len();
    assert_eq!(asked, 3);
    run_idle(&world);
    assert_eq!(service.paths().len(), asked);
    assert_eq!(assessed(&world, key(1)).unwrap().score, Some(20), "who is not asked says what they said");
    world.setup.per_minute = 1000;
    let _role = world.start();
    eventually("the news", || (risen(&slack) == 1).then_some(()));
    assert_eq!(told(&slack).last().map(|(text, _)| text.as_str()), Some(RISEN));
    assert_eq!(service.paths().iter().filter(|path| path.starts_with("/v1/assess")).count(), 2);
}
