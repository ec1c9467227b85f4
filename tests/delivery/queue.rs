//! The outbox by itself: order, times, claims, answers and counts, with a clock of our own.

use std::fs;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use login_tracer::assess::{Assessment, Level};
use login_tracer::enrich::{Facts, Why};
use login_tracer::notify::intake::delivery_id;
use login_tracer::notify::message::{Event, Message};
use login_tracer::notify::outbox::{
    self, Attempt, Claim, Delivery, DeliveryState, Due, Finished, Grouping, LEASE, LONGEST_ATTEMPT,
    NewAnnouncement, NewDelivery, Outbox, Position, Reader, Recorded, Released, Selection, TakenIn,
};
use login_tracer::notify::route::{self, Verdict};
use login_tracer::session::{ChangeKind, SessionKey};
use rusqlite::Connection;
use uuid::Uuid;

use crate::world::key;

const STORE: Uuid = Uuid::from_u128(1);

struct Shelf {
    dir: tempfile::TempDir,
    outbox: Outbox,
}

impl Shelf {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(outbox::DIRECTORY)).unwrap();
        let outbox = Outbox::open(dir.path()).unwrap();
        Self { dir, outbox }
    }

    fn take_in(&mut self, announcements: Vec<NewAnnouncement>, now: Timestamp) {
        let batch = TakenIn {
            store_id: STORE,
            cursor: 7,
            ratings: Vec::new(),
            reassessed: Vec::new(),
            announcements,
            better_known: Vec::new(),
            untold_after: None,
        };
        self.outbox.take_in(&batch, now).unwrap();
    }

    fn next(&mut self, now: Timestamp) -> Delivery {
        match self.outbox.due("team", now).unwrap() {
            Due::Now(delivery) => *delivery,
            other @ (Due::At(_) | Due::Nothing) => panic!("{other:?}"),
        }
    }

    fn nothing(&mut self, now: Timestamp) -> bool {
        matches!(self.outbox.due("team", now).unwrap(), Due::Nothing)
    }

    fn attempt(&mut self, delivery: &Delivery, result: Recorded, now: Timestamp) {
        assert_eq!(self.outbox.claim(delivery.id, now).unwrap(), Claim::Held);
        let attempt = Attempt {
            delivery: delivery.id,
            number: delivery.attempt,
            started: now,
            took: Duration::from_millis(5),
            status: Some(200),
            receipt: None,
            result,
        };
        self.outbox.record(&[attempt]).unwrap();
    }
}

fn announcement(session: u32, kind: ChangeKind, seq: u32, message: Option<&str>) -> NewAnnouncement {
    let subject = key(session).to_string();
    let event = Event::EventsLost { host: "h".to_owned(), at: start(), count: 1 };
    let id = delivery_id(&subject, kind, seq, "team");
    let finished = message.map(|text| finished(id, text, None));
    NewAnnouncement { session: Some(key(session)), subject, kind, seq, event, finished }
}

/// What everybody is told, perhaps later.
fn finished(id: Uuid, text: &str, held_until: Option<Timestamp>) -> Finished {
    let verdict = Verdict {
        at: start(),
        reason: route::Why::NoRoutes,
        allowed: None,
        routes: Vec::new(),
        sinks: Vec::new(),
    };
    let message = Message { summary: text.to_owned(), level: None, lines: Vec::new(), is_reworded: false };
    Finished {
        message,
        verdict,
        deliveries: vec![NewDelivery { id, sink: "team".to_owned(), held_until, message: None }],
    }
}

fn start() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().unwrap()
}

fn retry(at: Timestamp) -> Recorded {
    Recorded::Retry { at, why: "HTTP 503".to_owned() }
}

#[test]
fn changes_of_a_session_keep_their_order_and_other_sessions_pass() {
    let mut shelf = Shelf::new();
    let now = start();
    shelf.take_in(
        vec![
            announcement(1, ChangeKind::Opened, 1, Some("1 opened")),
            announcement(1, ChangeKind::Closed, 2, Some("1 closed")),
            announcement(2, ChangeKind::Opened, 1, Some("2 opened")),
        ],
        now,
    );
    let first = shelf.next(now);
    assert_eq!(first.message.summary, "1 opened");
    shelf.attempt(&first, retry(now + 10.seconds()), now);
    let second = shelf.next(now);
    assert_eq!(second.message.summary, "2 opened");
    shelf.attempt(&second, Recorded::Delivered, now);
    // The end of session 1 waits for its beginning, and that for its time.
    let Due::At(at) = shelf.outbox.due("team", now).unwrap() else { panic!("due already") };
    assert_eq!(at, now + 10.seconds());
    let again = shelf.next(at);
    assert_eq!((again.id, again.attempt), (first.id, 2));
    shelf.attempt(&again, Recorded::Parked { why: "HTTP 400".to_owned() }, at);
    let last = shelf.next(at);
    assert_eq!(last.message.summary, "1 closed");
    shelf.attempt(&last, Recorded::Delivered, at);
    assert!(shelf.nothing(at));
    let reasons: Vec<_> = Reader::open(shelf.dir.path())
        .unwrap()
        .deliveries_of(key(1))
        .unwrap()
        .into_iter()
        .map(|row| (row.state.as_str(), row.attempts, row.last_error))
        .collect();
    assert_eq!(reasons, [("parked", 2, Some("HTTP 400".to_owned())), ("delivered", 1, None)]);
}

#[test]
fn nothing_is_sent_before_it_is_rated() {
    let mut shelf = Shelf::new();
    let now = start();
    shelf.take_in(vec![announcement(1, ChangeKind::Opened, 1, None)], now);
    assert!(shelf.nothing(now));
    let pending = shelf.outbox.pending_of(key(1)).unwrap();
    let assessment = Assessment { level: Level::Low, score: Some(3), reasons: Vec::new() };
    let rating = (assessment.clone(), Facts::unknown(Why::NoData));
    let id = delivery_id(&pending[0].subject, pending[0].kind, pending[0].seq, "team");
    let finished = finished(id, "rated", None);
    shelf.outbox.rate(key(1), &rating, &[(pending[0].id, finished)], now).unwrap();
    assert_eq!(shelf.next(now).message.summary, "rated");
    // The first rating stays.
    let other = (Assessment { level: Level::High, ..assessment.clone() }, Facts::unknown(Why::NoData));
    shelf.outbox.rate(key(1), &other, &[], now).unwrap();
    let reader = Reader::open(shelf.dir.path()).unwrap();
    assert_eq!([key(1), key(2)].map(|key| reader.assessment(key).unwrap()), [Some(assessment), None]);
    let few = |level, at_most| reader.few_of_level(level, at_most).unwrap();
    assert_eq!(
        (few(Level::Low, 1), few(Level::Low, 0), few(Level::High, 0)),
        (Some(vec![key(1)]), None, Some(vec![]))
    );
}

#[test]
fn what_was_taken_in_is_not_taken_in_again() {
    let mut shelf = Shelf::new();
    let now = start();
    for _ in 0..2 {
        shelf.take_in(vec![announcement(1, ChangeKind::Opened, 1, Some("once"))], now);
    }
    let delivery = shelf.next(now);
    shelf.attempt(&delivery, Recorded::Delivered, now);
    shelf.take_in(vec![announcement(1, ChangeKind::Opened, 1, Some("once"))], now);
    assert!(shelf.nothing(now));
    assert_eq!(shelf.outbox.position(STORE).unwrap(), Position::After(7));
    assert_eq!(shelf.outbox.position(Uuid::from_u128(2)).unwrap(), Position::NewStore);
    assert_eq!(Shelf::new().outbox.position(STORE).unwrap(), Position::Never);
}

#[test]
fn interrupted_claims_come_back_with_the_same_id() {
    let mut shelf = Shelf::new();
    let now = start();
    shelf.take_in(vec![announcement(1, ChangeKind::Opened, 1, Some("once"))], now);
    let delivery = shelf.next(now);
    assert_eq!(shelf.outbox.claim(delivery.id, now).unwrap(), Claim::Held);
    assert!(shelf.nothing(now));
    let mut outbox = Outbox::open(shelf.dir.path()).unwrap();
    assert_eq!(outbox.release_claims().unwrap(), 1);
    let Due::Now(again) = outbox.due("team", now).unwrap() else { panic!("not due") };
    assert_eq!((again.id, again.attempt), (delivery.id, 2));
}

#[test]
fn a_claim_ends_with_its_lease_unless_it_is_under_way() {
    let mut shelf = Shelf::new();
    let now = start();
    shelf.take_in(vec![announcement(1, ChangeKind::Opened, 1, Some("once"))], now);
    let delivery = shelf.next(now);
    assert_eq!(shelf.outbox.claim(delivery.id, now).unwrap(), Claim::Held);
    assert_eq!(shelf.outbox.claim(delivery.id, now).unwrap(), Claim::NotWaiting);
    let lease = SignedDuration::try_from(LEASE).unwrap();
    let before = now + lease - 1.seconds();
    assert_eq!(shelf.outbox.release_expired("team", before, |_| false).unwrap(), 0);
    let after = now + lease;
    // Whoever knows that it is under way is believed, whatever the clock says.
    assert_eq!(shelf.outbox.release_expired("team", after, |id| *id == delivery.id).unwrap(), 0);
    assert_eq!(shelf.outbox.release_expired("other", after, |_| false).unwrap(), 0);
    assert_eq!(shelf.outbox.release_expired("team", after, |_| false).unwrap(), 1);
    let again = shelf.next(after);
    assert_eq!((again.id, again.attempt), (delivery.id, 2));
    assert_eq!(shelf.outbox.claim(again.id, after).unwrap(), Claim::Held);
    // A clock that was set back does not make a lease longer.
    let past = now - SignedDuration::from_hours(24);
    assert_eq!(shelf.outbox.release_expired("team", past, |_| false).unwrap(), 1);
    assert!(LEASE > LONGEST_ATTEMPT);
}

#[test]
fn a_result_that_comes_too_late_changes_nothing_unless_it_is_the_confirmation() {
    for (late, then) in [
        (retry(start() + 99.seconds()), DeliveryState::Claimed),
        (Recorded::Parked { why: "HTTP 400".to_owned() }, DeliveryState::Claimed),
        (Recorded::Delivered, DeliveryState::Delivered),
    ] {
        let mut shelf = Shelf::new();
        let now = start();
        shelf.take_in(vec![announcement(1, ChangeKind::Opened, 1, Some("once"))], now);
        let first = shelf.next(now);
        assert_eq!(shelf.outbox.claim(first.id, now).unwrap(), Claim::Held);
        shelf.outbox.release_claims().unwrap();
        let second = shelf.next(now);
        assert_eq!(shelf.outbox.claim(second.id, now).unwrap(), Claim::Held);
        let result = |number, result| Attempt {
            delivery: first.id,
            number,
            started: now,
            took: Duration::ZERO,
            status: None,
            receipt: None,
            result,
        };
        shelf.outbox.record(&[result(1, late)]).unwrap();
        assert_eq!(shelf.outbox.state(first.id).unwrap(), Some(then));
        // What was given up by hand meanwhile stays given up, what is delivered stays delivered.
        shelf.outbox.record(&[result(2, Recorded::Delivered)]).unwrap();
        shelf.outbox.record(&[result(2, retry(now))]).unwrap();
        assert_eq!(shelf.outbox.state(first.id).unwrap(), Some(DeliveryState::Delivered));
        let connection = Connection::open(outbox::path(shelf.dir.path())).unwrap();
        let attempts: u32 =
            connection.query_row("SELECT count(*) FROM attempts", [], |row| row.get(0)).unwrap();
        assert_eq!(attempts, 3, "all of it is written down");
    }
}

#[test]
fn a_restart_is_no_new_budget() {
    let mut shelf = Shelf::new();
    let now = start();
    shelf.take_in(
        (1..=4).map(|session| announcement(session, ChangeKind::Opened, 1, Some("x"))).collect(),
        now,
    );
    for seconds in [0, 30, 58, 60] {
        let at = now + SignedDuration::from_secs(seconds);
        let delivery = shelf.next(at);
        shelf.attempt(&delivery, Recorded::Delivered, at);
    }
    let ages = |oldest, count| {
        shelf.outbox.ages_of_attempts("team", now + 61.seconds(), Duration::from_secs(oldest), count).unwrap()
    };
    assert_eq!(ages(60, 30), [1, 3, 31].map(Duration::from_secs));
    assert_eq!(ages(60, 2), [1, 3].map(Duration::from_secs));
    assert_eq!(ages(0, 0), []);
}

#[test]
fn a_clock_that_is_set_back_delays_nothing_for_years() {
    let mut shelf = Shelf::new();
    let wrong = start() + SignedDuration::from_hours(24 * 365);
    shelf.take_in(vec![announcement(1, ChangeKind::Opened, 1, Some("early"))], wrong);
    let now = start();
    let Due::At(at) = shelf.outbox.due("team", now).unwrap() else { panic!("not noticed") };
    assert_eq!(at, now);
    assert_eq!(shelf.next(now).message.summary, "early");
    // A wait that a service can ask for stays one.
    let delivery = shelf.next(now);
    shelf.attempt(&delivery, retry(now + SignedDuration::from_hours(24)), now);
    assert!(matches!(shelf.outbox.due("team", now).unwrap(), Due::At(at) if at > now));
}

#[test]
fn a_message_that_cannot_be_read_is_parked() {
    let mut shelf = Shelf::new();
    let now = start();
    shelf.take_in(
        vec![
            announcement(1, ChangeKind::Opened, 1, Some("spoilt")),
            announcement(2, ChangeKind::Opened, 1, Some("whole")),
        ],
        now,
    );
    let other = Connection::open(outbox::path(shelf.dir.path())).unwrap();
    other.execute("UPDATE announcements SET message = '{' WHERE message LIKE '%spoilt%'", []).unwrap();
    assert_eq!(shelf.next(now).message.summary, "whole");
    let rows = Reader::open(shelf.dir.path()).unwrap().deliveries_of(key(1)).unwrap();
    assert_eq!(rows[0].state.as_str(), "parked");
}

#[test]
fn delivery_ids_are_stable_and_tell_everything_apart() {
    let subject = key(1).to_string();
    let id = delivery_id(&subject, ChangeKind::Opened, 1, "team");
    assert_eq!(id.get_version_num(), 5);
    let others = [
        delivery_id(&key(2).to_string(), ChangeKind::Opened, 1, "team"),
        delivery_id(&subject, ChangeKind::Closed, 1, "team"),
        delivery_id(&subject, ChangeKind::Opened, 2, "team"),
        delivery_id(&subject, ChangeKind::Opened, 1, "other"),
    ];
    assert!(!others.contains(&id));
    // Written down, from another implementation of RFC 9562: it must be the same in every version.
    let nil = SessionKey(Uuid::nil()).to_string();
    assert_eq!(
        delivery_id(&nil, ChangeKind::Opened, 1, "slack").to_string(),
        "78ebe026-009b-5270-8912-a51f805c0243"
    );
}

#[test]
fn those_that_follow_know_what_the_service_calls_the_first() {
    let mut shelf = Shelf::new();
    let now = start();
    let changes = vec![
        announcement(1, ChangeKind::Opened, 1, Some("1 opened")),
        announcement(1, ChangeKind::Closed, 2, Some("1 closed")),
        announcement(2, ChangeKind::Opened, 1, Some("2 opened")),
    ];
    shelf.take_in(changes, now);
    for (expected, first_receipt, receipt) in
        [("1 opened", None, Some("ts 1")), ("1 closed", Some("ts 1"), Some("ts 2")), ("2 opened", None, None)]
    {
        let delivery = shelf.next(now);
        assert_eq!(delivery.message.summary, expected);
        assert_eq!(delivery.first_receipt.as_deref(), first_receipt, "{expected}");
        assert_eq!(shelf.outbox.claim(delivery.id, now).unwrap(), Claim::Held);
        let attempt = Attempt {
            delivery: delivery.id,
            number: 1,
            started: now,
            took: Duration::ZERO,
            status: None,
            receipt: receipt.map(str::to_owned),
            result: Recorded::Delivered,
        };
        shelf.outbox.record(&[attempt]).unwrap();
    }
}

#[test]
fn quiet_hours_hold_and_hold_up_nothing_else() {
    let mut shelf = Shelf::new();
    let (now, morning) = (start(), start() + SignedDuration::from_hours(9));
    let held = |session: u32, text: &str| {
        let mut held = announcement(session, ChangeKind::Opened, 1, Some(text));
        held.finished.as_mut().unwrap().deliveries[0].held_until = Some(morning);
        held
    };
    shelf.take_in(vec![held(1, "1 opened"), held(2, "2 opened"), held(3, "3 opened")], now);
    assert!(shelf.nothing(now));
    assert_eq!(shelf.outbox.release_held(now).unwrap(), Released { count: 0, next: Some(morning) });
    // What is told of a session at once takes with it what is held of it, in their order.
    shelf.take_in(vec![announcement(2, ChangeKind::Escalated, 2, Some("2 escalated"))], now);
    for expected in ["2 opened", "2 escalated"] {
        let delivery = shelf.next(now);
        assert_eq!(delivery.message.summary, expected);
        shelf.attempt(&delivery, Recorded::Delivered, now);
    }
    assert!(shelf.nothing(now));
    // Another process finds the rest; nothing is told early, and all of it in the end, once.
    let mut outbox = Outbox::open(shelf.dir.path()).unwrap();
    assert_eq!(outbox.release_held(morning - 1.second()).unwrap().count, 0);
    assert_eq!(outbox.release_held(morning).unwrap(), Released { count: 2, next: None });
    assert_eq!(outbox.release_held(morning).unwrap(), Released { count: 0, next: None });
    for expected in ["1 opened", "3 opened"] {
        let delivery = shelf.next(morning);
        assert_eq!(delivery.message.summary, expected);
        shelf.attempt(&delivery, Recorded::Delivered, morning);
    }
    assert!(shelf.nothing(morning));
}

#[test]
fn a_clock_that_is_set_back_holds_nothing_for_years() {
    let mut shelf = Shelf::new();
    let now = start();
    let mut held = announcement(1, ChangeKind::Opened, 1, Some("late"));
    held.finished.as_mut().unwrap().deliveries[0].held_until =
        Some(now + SignedDuration::from_hours(24 * 365));
    shelf.take_in(vec![held], now);
    assert_eq!(shelf.outbox.release_held(now).unwrap().count, 1);
    assert_eq!(shelf.next(now).message.summary, "late");
}

#[test]
fn what_becomes_of_a_message_becomes_of_all_that_it_tells() {
    let grouping = Grouping { window: Duration::from_secs(30), red_waits: false };
    let words = |changes: &[(Event, Message)]| {
        let summary =
            changes.iter().map(|(_, message)| message.summary.as_str()).collect::<Vec<_>>().join(" + ");
        let event = Event::Group { host: "h".to_owned(), at: start(), until: start(), count: 3 };
        (event, Message { summary, level: Some(Level::Low), lines: Vec::new(), is_reworded: false })
    };
    let mut shelf = Shelf::new();
    let now = start();
    shelf.take_in(
        vec![
            announcement(1, ChangeKind::Opened, 1, Some("1 opened")),
            announcement(2, ChangeKind::Opened, 1, Some("2 opened")),
            announcement(1, ChangeKind::Closed, 2, Some("1 closed")),
        ],
        now,
    );
    let due = |shelf: &mut Shelf, at| shelf.outbox.due_grouped("team", at, grouping, words).unwrap();
    let Due::At(at) = due(&mut shelf, now + 29.seconds()) else { panic!("early") };
    assert_eq!(at, now + 30.seconds());
    let Due::Now(group) = due(&mut shelf, at) else { panic!("late") };
    assert_eq!(group.message.summary, "1 opened + 2 opened + 1 closed");
    assert_eq!(group.subject, format!("group/{}", group.id));
    // Another process finds the same, and what came meanwhile waits for its own time.
    shelf.take_in(vec![announcement(2, ChangeKind::Closed, 2, Some("2 closed"))], at);
    shelf.outbox = Outbox::open(shelf.dir.path()).unwrap();
    let Due::Now(again) = due(&mut shelf, at) else { panic!("lost") };
    assert_eq!((again.id, &again.message), (group.id, &group.message));
    let states = |shelf: &Shelf| -> Vec<_> {
        let reader = Reader::open(shelf.dir.path()).unwrap();
        let rows = [1, 2].map(|session| reader.deliveries_of(key(session)).unwrap()).concat();
        rows.into_iter().map(|row| row.state.as_str()).collect()
    };
    assert_eq!(states(&shelf), ["queued", "carried", "carried", "queued"]);
    shelf.attempt(&again, Recorded::Parked { why: "HTTP 400".to_owned() }, at);
    assert_eq!(states(&shelf), ["parked", "parked", "parked", "queued"]);
    assert_eq!(shelf.outbox.retry_step(&Selection::One(group.id), at).unwrap(), 1);
    assert_eq!(states(&shelf), ["queued", "carried", "carried", "queued"]);
    // No change of a session overtakes one that is on its way in a group.
    let later = at + 60.seconds();
    let Due::Now(third) = due(&mut shelf, later) else { panic!("lost") };
    assert_eq!(third.id, group.id);
    assert_eq!(shelf.outbox.claim(third.id, later).unwrap(), Claim::Held);
    assert!(!matches!(due(&mut shelf, later), Due::Now(_)));
    let attempt = Attempt {
        delivery: third.id,
        number: third.attempt,
        started: later,
        took: Duration::ZERO,
        status: None,
        receipt: None,
        result: Recorded::Delivered,
    };
    shelf.outbox.record(&[attempt]).unwrap();
    assert_eq!(states(&shelf), ["delivered", "delivered", "delivered", "queued"]);
    let Due::Now(last) = due(&mut shelf, later) else { panic!("lost") };
    assert_eq!(last.message.summary, "2 closed", "one alone keeps its own words");
    assert_eq!(shelf.outbox.carrier(group.id).unwrap(), Some(group.id));
}
