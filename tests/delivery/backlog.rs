//! Queues with much in them: a week of a dead sink beside a slow and a healthy one, and a hundred thousand messages at once.

use std::time::{Duration, Instant};
use std::{env, fs};

use jiff::{SignedDuration, Timestamp};
use login_tracer::notify::intake::delivery_id;
use login_tracer::notify::message::{Event, Message};
use login_tracer::notify::outbox::{self, Finished, NewAnnouncement, NewDelivery, Outbox, Reader, TakenIn};
use login_tracer::notify::route::{Verdict, Why};
use login_tracer::session::ChangeKind;
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::http::Reply;
use crate::receiver::Receiver;
use crate::slack::Slack;
use crate::world::{World, eventually, key, opened};

/// A private address: known to be unknown at once.
const NEAR: &str = "10.0.0.1";
/// Numbers of sessions of which only the queue knows.
const QUEUED: u32 = 1_000_000;

/// Puts so many logins into the queues of these sinks, as if they had happened over the hours before.
fn fill(world: &World, count: u32, over_hours: i64, sinks: &[&str]) {
    fs::create_dir_all(world.path().join(outbox::DIRECTORY)).unwrap();
    let mut outbox = Outbox::open(world.path()).unwrap();
    let begun = Timestamp::now() - SignedDuration::from_hours(over_hours);
    let apart = SignedDuration::from_hours(over_hours) / i32::try_from(count).unwrap();
    let mut number = 0;
    while number < count {
        let until = count.min(number + 5000);
        let announcements = (number..until).map(|number| login(QUEUED + number, begun, sinks)).collect();
        let batch = TakenIn {
            store_id: Uuid::nil(),
            cursor: 0,
            ratings: Vec::new(),
            announcements,
            better_known: Vec::new(),
            untold_after: None,
            reassessed: Vec::new(),
        };
        outbox.take_in(&batch, begun + apart * i32::try_from(number).unwrap()).unwrap();
        number = until;
    }
}

fn login(number: u32, at: Timestamp, sinks: &[&str]) -> NewAnnouncement {
    let subject = key(number).to_string();
    let to = |sink: &&str| NewDelivery {
        id: delivery_id(&subject, ChangeKind::Opened, 1, sink),
        sink: (*sink).to_owned(),
        held_until: None,
        message: None,
    };
    let verdict = Verdict { at, reason: Why::NoRoutes, allowed: None, routes: Vec::new(), sinks: Vec::new() };
    NewAnnouncement {
        session: Some(key(number)),
        kind: ChangeKind::Opened,
        seq: 1,
        event: Event::EventsLost { host: "web-1".to_owned(), at, count: 1 },
        finished: Some(Finished {
            message: Message {
                summary: format!("login {number}"),
                level: None,
                lines: Vec::new(),
                is_reworded: false,
            },
            verdict,
            deliveries: sinks.iter().map(to).collect(),
        }),
        subject,
    }
}

/// What a week of knocking leaves behind: at most one attempt in five minutes, since the sink rests after each, and each
/// message at its own time within the longest wait.
fn as_after_a_dead_week(world: &World, sink: &str) {
    let mut connection = Connection::open(outbox::path(world.path())).unwrap();
    let ids: Vec<Uuid> = connection
        .prepare("SELECT id FROM deliveries WHERE sink = ?1 ORDER BY announcement LIMIT 2016")
        .unwrap()
        .query_map([sink], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let now = Timestamp::now().as_microsecond();
    let transaction = connection.transaction().unwrap();
    for (index, id) in (0..).zip(&ids) {
        transaction
            .execute(
                "INSERT INTO attempts (delivery, number, started_us, duration_us, result, status, detail)
                 VALUES (?1, 1, ?2, 10000, 'failed', 503, 'HTTP 503')",
                params![id, now - 300_000_000 * (2016 - index)],
            )
            .unwrap();
        transaction
            .execute(
                "UPDATE deliveries SET attempts = 1, last_error = 'HTTP 503', next_us = ?2 WHERE id = ?1",
                params![id, now + 150_000 * index],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn a_week_of_a_dead_sink_and_a_slow_one_cost_the_healthy_one_nothing() {
    const LOGINS: u32 = 150;
    let (dead, slow, healthy, alone) = (Slack::start(), Slack::start(), Slack::start(), Slack::start());
    dead.next((0..1000).map(|_| Reply::new(503, "")));
    let mut loaded = World::with_slack(&dead);
    loaded.setup.slack.push(("slow".to_owned(), slow.url()));
    loaded.setup.slack.push(("healthy".to_owned(), healthy.url()));
    loaded.setup.paces.push(("slow".to_owned(), 1, 1000));
    // Two thousand logins a day, none of which the dead sink took; the slow one is two hours behind.
    fill(&loaded, 14_000, 7 * 24, &["team"]);
    as_after_a_dead_week(&loaded, "team");
    let mut outbox = Outbox::open(loaded.path()).unwrap();
    let late = (0..7200).map(|number| login(2 * QUEUED + number, Timestamp::now(), &["slow"])).collect();
    let batch = TakenIn {
        store_id: Uuid::nil(),
        cursor: 0,
        ratings: Vec::new(),
        announcements: late,
        better_known: Vec::new(),
        untold_after: None,
        reassessed: Vec::new(),
    };
    outbox.take_in(&batch, Timestamp::now()).unwrap();
    drop(outbox);
    let mut empty = World::with_slack(&alone);
    let (_loaded_role, _empty_role) = (loaded.start(), empty.start());
    loaded.commit(&[opened(1, "warm", NEAR)]);
    empty.commit(&[opened(1, "warm", NEAR)]);
    eventually("both to be warm", || {
        (!healthy.shown().is_empty() && !alone.shown().is_empty()).then_some(())
    });
    let begun = Instant::now();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    // In turns, so that whatever else the machine does hits both.
    for number in 2..LOGINS + 2 {
        for (world, sink, delays) in [(&mut loaded, &healthy, &mut with), (&mut empty, &alone, &mut without)]
        {
            let before = sink.server.requests().len();
            world.commit(&[opened(number, "alice", NEAR)]);
            let written = Instant::now();
            let request = eventually("request", || sink.server.requests().get(before).cloned());
            delays.push(request.at.saturating_duration_since(written));
        }
    }
    let elapsed = begun.elapsed();
    with.sort();
    without.sort();
    let (with_median, without_median) = (with[with.len() / 2], without[without.len() / 2]);
    let ratio = with_median.as_secs_f64() / without_median.as_secs_f64();
    println!(
        "healthy beside a dead and a slow sink: {with_median:?}, alone: {without_median:?}, ratio {ratio:.2}"
    );
    // Generous: a machine that builds something beside this has its own ideas of when who runs.
    assert!(
        ratio < 1.5 || with_median < Duration::from_millis(2),
        "{with_median:?} against {without_median:?}"
    );
    // The slow one kept its pace, the dead one was not knocked at for every login.
    let seconds = usize::try_from(elapsed.as_secs()).unwrap();
    let (slowly, knocks) = (slow.server.requests().len(), dead.server.requests().len());
    assert!((1..=seconds + 30).contains(&slowly), "{slowly} in {elapsed:?}");
    assert!(knocks < 40, "{knocks} in {elapsed:?}");
    let queues = Reader::open(loaded.path()).unwrap().queues().unwrap();
    let team = queues.iter().find(|row| row.sink == "team").unwrap();
    assert_eq!(team.waiting + team.sending, u64::from(14_000 + LOGINS + 1), "nothing is lost");
    assert_eq!((team.expired, team.dropped, team.parked), (0, 0, 0));
}

#[test]
fn a_long_queue_drains_quickly_in_flat_memory() {
    let count: u32 = env::var("LOGIN_TRACER_BACKLOG").ok().map_or(5000, |count| count.parse().unwrap());
    let receiver = Receiver::start();
    let mut world = World::new();
    world.setup.webhooks.push(("receiver".to_owned(), receiver.url()));
    fill(&world, count, 1, &["receiver"]);
    let role = world.start();
    let at = |part: usize| {
        let enough = count as usize * part / 100;
        eventually("a part of the queue", || (receiver.count() >= enough).then_some(()));
        (Instant::now(), resident_kib(role.pid()))
    };
    let (begun, early) = at(10);
    let (ended, late) = at(90);
    let rate = f64::from(count) * 0.8 / (ended - begun).as_secs_f64();
    eventually("all of it", || (receiver.count() == count as usize).then_some(()));
    println!("{count} deliveries: {rate:.0} a second, memory from {early} to {late} KiB");
    assert!(late < early + 6 * 1024, "from {early} to {late} KiB");
    receiver.with(|received| {
        assert!(received.ids.values().all(|(times, _)| *times == 1), "none came twice");
    });
    // The promise is 1,000 a second from an optimized program on a quiet machine.
    assert!(rate > 100.0, "{rate} a second");
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
