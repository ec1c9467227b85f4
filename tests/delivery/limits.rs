//! Queues within their limits: what that costs is counted and told, what is long over is forgotten.

use jiff::{SignedDuration, Timestamp};
use login_tracer::notify::outbox::{self, DeliveryState, QueueRow, Reader};
use rusqlite::Connection;

use crate::http::Reply;
use crate::slack::Slack;
use crate::world::{World, eventually, key, opened};

/// A private address: known to be unknown at once.
const NEAR: &str = "10.0.0.1";

fn queue(world: &World, sink: &str) -> QueueRow {
    Reader::open(world.path()).unwrap().queues().unwrap().into_iter().find(|row| row.sink == sink).unwrap()
}

/// Makes everything in the queue older than it is.
fn age(world: &World, hours: i64) {
    let by = SignedDuration::from_hours(hours).as_micros() as i64;
    let connection = Connection::open(outbox::path(world.path())).unwrap();
    connection
        .execute("UPDATE deliveries SET queued_us = queued_us - ?1, finished_us = finished_us - ?1", [by])
        .unwrap();
}

fn count(world: &World, table: &str) -> u32 {
    let connection = Connection::open(outbox::path(world.path())).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// A world with a dead sink that so many messages wait for, and a healthy one that was told them.
fn with_backlog(logins: u32) -> (World, Slack, Slack) {
    let (dead, alive) = (Slack::start(), Slack::start());
    dead.next((0..100).map(|_| Reply::with(503, "retry-after", "3600", "")));
    let mut world = World::with_slack(&dead);
    world.setup.slack.push(("other".to_owned(), alive.url()));
    let mut role = world.start();
    let logins: Vec<_> = (1..=logins).map(|number| opened(number, "alice", NEAR)).collect();
    world.commit(&logins);
    eventually("all at the other", || (alive.shown().len() == logins.len()).then_some(()));
    eventually("an attempt at the dead one", || (!dead.server.requests().is_empty()).then_some(()));
    role.terminate();
    (world, dead, alive)
}

#[test]
fn what_is_too_old_expires_and_that_is_told_once_by_the_others() {
    let (mut world, dead, alive) = with_backlog(3);
    age(&world, 48);
    world.commit(&[opened(4, "young", NEAR)]);
    world.setup.max_age_s = Some(24 * 3600);
    let mut role = world.start();
    eventually("expiry", || (queue(&world, "team").expired == 3).then_some(()));
    let told = || alive.texts().into_iter().filter(|text| text.contains("given up")).collect::<Vec<_>>();
    let texts = eventually("the news", || Some(told()).filter(|texts| !texts.is_empty()));
    assert_eq!(texts, ["3 messages for team on web-1 could not be delivered and were given up"]);
    assert_eq!(queue(&world, "team").waiting, 1, "the young one stays");
    for number in 1..=3 {
        let states: Vec<_> = world.deliveries(key(number)).into_iter().map(|row| row.state).collect();
        assert!(states.contains(&DeliveryState::Expired) && states.contains(&DeliveryState::Delivered));
    }
    // More of it within a day is counted, and told with the next news.
    role.terminate();
    age(&world, 48);
    let _role = world.start();
    eventually("expiry of the last", || (queue(&world, "team").expired == 4).then_some(()));
    assert_eq!(told().len(), 1);
    assert!(dead.shown().is_empty());
}

#[test]
fn beyond_the_limit_the_oldest_are_dropped() {
    let (mut world, _dead, alive) = with_backlog(20);
    world.setup.max_queued = Some(5);
    let _role = world.start();
    eventually("dropping", || (queue(&world, "team").dropped == 15).then_some(()));
    let row = queue(&world, "team");
    assert_eq!((row.waiting + row.sending, row.expired), (5, 0));
    for number in 1..=20 {
        let rows = world.deliveries(key(number));
        let dropped = rows.iter().any(|row| row.state == DeliveryState::Dropped);
        assert_eq!(dropped, number <= 15, "login {number}: {rows:?}");
    }
    eventually("the news", || {
        let told = alive.texts().into_iter().find(|text| text.contains("given up"));
        told.map(|text| {
            assert_eq!(text, "15 messages for team on web-1 could not be delivered and were given up")
        })
    });
}

#[test]
fn what_is_long_over_is_forgotten_and_the_rest_stays() {
    let (mut world, _dead, alive) = with_backlog(1200);
    age(&world, 24 * 100);
    world.commit(&[opened(5000, "young", NEAR)]);
    world.setup.slack.remove(0);
    let _role = world.start();
    eventually("the young one", || (alive.shown().len() == 1201).then_some(()));
    eventually("pruning", || (count(&world, "deliveries") == 1200 + 2 - 1).then_some(()));
    // Those that the dead sink still waits for are there, with what they say; so are the ratings.
    assert_eq!(count(&world, "announcements"), 1201);
    assert_eq!(count(&world, "assessments"), 1201);
    assert_eq!(queue(&world, "team").waiting, 1200);
    assert!(!queue(&world, "team").is_configured);
    let now = Timestamp::now();
    assert!(world.deliveries(key(1)).iter().all(|row| row.finished_at.is_none_or(|at| at > now)));
}
