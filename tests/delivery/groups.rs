//! Changes that are told together: nothing is dropped for it, and every change names the delivery that told it.

use std::time::Duration;

use login_tracer::notify::outbox::{self, DeliveryRow, DeliveryState};
use rusqlite::Connection;
use uuid::Uuid;

use crate::http::Reply;
use crate::slack::Slack;
use crate::threat_jammer::ThreatJammer;
use crate::world::{World, closed, eventually, key, opened};

/// A private address: known to be unknown at once.
const NEAR: &str = "10.0.0.1";

fn grouped(slack: &Slack, window_ms: u64) -> World {
    let mut world = World::with_slack(slack);
    world.setup.groups.push(("team".to_owned(), window_ms));
    world
}

/// The delivery that told a change, as the database has it.
fn carrier(world: &World, delivery: Uuid) -> Uuid {
    let connection = Connection::open(outbox::path(world.path())).unwrap();
    let query = "SELECT coalesce(carried_by, id) FROM deliveries WHERE id = ?1";
    connection.query_row(query, [delivery], |row| row.get(0)).unwrap()
}

fn rows(world: &World, sessions: std::ops::RangeInclusive<u32>) -> Vec<DeliveryRow> {
    sessions.flat_map(|number| world.deliveries(key(number))).collect()
}

#[test]
fn a_burst_of_two_hundred_is_one_message() {
    let slack = Slack::start();
    let mut world = grouped(&slack, 1500);
    let _role = world.start();
    let logins: Vec<_> = (1..=200).map(|number| opened(number, "backup", NEAR)).collect();
    world.commit(&logins);
    let rows = eventually("all of them", || {
        let rows = rows(&world, 1..=200);
        (rows.len() == 200 && rows.iter().all(|row| row.state == DeliveryState::Delivered)).then_some(rows)
    });
    assert_eq!(slack.texts(), ["200 SSH logins on web-1: backup (200) from 10.0.0.1 (200), worst risk low"]);
    let first = carrier(&world, rows[0].id);
    assert!(rows.iter().all(|row| carrier(&world, row.id) == first && row.finished_at.is_some()));
    assert_eq!(rows.iter().filter(|row| row.id == first).count(), 1);
    let covered = outbox::Reader::open(world.path()).unwrap().covered_by(first).unwrap();
    assert_eq!((covered.deliveries, covered.attempts), (200, 0));
    // The ends come later, and in a message of their own; one alone says what it always says.
    world.commit(&[closed(7)]);
    eventually("the end", || (slack.texts().len() == 2).then_some(()));
    assert!(slack.texts()[1].starts_with("SSH session ended: backup on web-1 from 10.0.0.1"));
}

#[test]
fn high_risk_does_not_wait_and_takes_its_session_with_it() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = grouped(&slack, 60_000);
    world.setup.threat_jammer = Some(service.server.url());
    let role = world.start();
    world.commit(&[
        opened(1, "calm", NEAR),
        opened(2, "red", "193.146.30.70"),
        closed(2),
        opened(3, "calm", NEAR),
    ]);
    let texts = eventually("what is red", || {
        let texts = slack.texts();
        (texts.len() == 2).then_some(texts)
    });
    assert!(texts[0].starts_with("SSH login: red") && texts[0].contains("(HIGH)"), "{texts:?}");
    assert!(texts[1].starts_with("SSH session ended: red"), "{texts:?}");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(slack.texts().len(), 2, "the others wait: {}", role.log());
}

#[test]
fn members_and_words_stay_through_failures_kills_and_refusals() {
    let slack = Slack::start();
    slack.next([Reply::new(503, ""), Reply::CutOff, Reply::new(400, "invalid_payload")]);
    let mut world = grouped(&slack, 300);
    let mut role = world.start();
    world.commit(&[opened(1, "a", NEAR), opened(2, "b", NEAR), closed(1)]);
    eventually("a failed attempt", || (!slack.server.requests().is_empty()).then_some(()));
    role.kill();
    let _role = world.start();
    let group = eventually("refusal", || {
        let rows = rows(&world, 1..=2);
        (rows.len() == 3 && rows.iter().all(|row| row.state == DeliveryState::Parked)).then_some(rows)
    });
    let requests = slack.server.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests.iter().all(|request| request.body == requests[0].body), "{requests:?}");
    let first = carrier(&world, group[0].id);
    assert!(group.iter().all(|row| carrier(&world, row.id) == first));
    assert!(group.iter().all(|row| row.last_error.as_deref() == Some("HTTP 400: invalid_payload")));
    // It holds up nothing that comes after it.
    world.commit(&[opened(3, "c", NEAR)]);
    world.settled(key(3), DeliveryState::Delivered);
    assert!(slack.texts().iter().all(|text| text.starts_with("SSH login: c")), "{:?}", slack.texts());
}
