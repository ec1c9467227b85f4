//! Every attempt names the delivery that told it: by itself, in a storm; and a delivery says which it told.

use login_tracer::notify::outbox::{DeliveryRow, DeliveryState, Reader, Telling, Tellings};
use login_tracer::session::Update;
use login_tracer::store::{self, AttemptFilter};
use uuid::Uuid;

use crate::routes::attempt;
use crate::slack::Slack;
use crate::world::{World, eventually, key, opened};

/// Attempts from three networks: to one sink, to both, to nobody.
const ROUTES: &str = "[[routes]]\nkind = [\"attempts\", \"opened\"]\nnetwork = \"192.0.2.0/24\"\nsinks = [\"team\"]\n\
    [[routes]]\nkind = \"attempts\"\nnetwork = \"198.51.100.0/24\"\nsinks = [\"team\", \"pager\"]\n";
const TO_TEAM: &str = "192.0.2.7";
const TO_BOTH: &str = "198.51.100.7";
const TO_NOBODY: &str = "203.0.113.7";

/// The changes of all attempts, with their addresses.
fn attempts(world: &World) -> (Uuid, Vec<(i64, String)>) {
    let reader = store::Reader::open(world.path()).unwrap();
    let mut found = Vec::new();
    let each = |change, attempt: login_tracer::session::Attempt| {
        found.push((change, attempt.peer.ip().to_string()));
    };
    reader.for_each_attempt_change(&AttemptFilter::default(), each).unwrap();
    (reader.store_id().unwrap(), found)
}

fn tellings(world: &World, store: Uuid) -> Tellings {
    Reader::open(world.path()).unwrap().tellings(store).unwrap()
}

fn from(addresses: &[&str], numbers: std::ops::Range<u32>) -> Vec<Update> {
    numbers.zip(addresses.iter().cycle()).map(|(number, address)| attempt(number, address)).collect()
}

fn deliveries<'a>(telling: &Telling<'a>) -> Option<&'a [DeliveryRow]> {
    match telling {
        Telling::Alone(told) | Telling::Together(told) => Some(told),
        Telling::Waits | Telling::NotTakenIn | Telling::Nobody => None,
    }
}

fn sinks(told: &[DeliveryRow]) -> Vec<&str> {
    told.iter().map(|told| told.sink.as_str()).collect()
}

#[test]
fn each_attempt_of_a_storm_names_the_message_it_is_part_of() {
    let (team, pager) = (Slack::start(), Slack::start());
    let mut world = World::with_slack(&team);
    world.setup.slack.push(("pager".to_owned(), pager.url()));
    world.setup.rules = format!("{ROUTES}[notify]\ngather_attempts = \"1h\"\n");
    let mut role = world.start();
    world.commit(&from(&[TO_TEAM], 0..10));
    eventually("ten by themselves", || (team.texts().len() == 10).then_some(()));
    // A storm of all three kinds, with a login in between.
    world.commit(&from(&[TO_TEAM, TO_BOTH, TO_BOTH, TO_NOBODY, TO_TEAM], 10..60));
    world.commit(&[opened(1, "alice", TO_TEAM)]);
    world.commit(&from(&[TO_BOTH], 60..80));
    world.settled(key(1), DeliveryState::Delivered);
    let (store, all) = attempts(&world);
    let waiting = tellings(&world, store);
    for (index, (change, _)) in all.iter().enumerate() {
        let telling = waiting.of(*change);
        if index < 10 {
            assert_eq!(sinks(deliveries(&telling).unwrap()), ["team"], "{index}");
        } else {
            assert_eq!(telling, Telling::Waits, "{index}");
        }
    }
    role.terminate();
    drop(role);
    world.setup.rules = format!("{ROUTES}[notify]\ngather_attempts = \"1s\"\n");
    let mut role = world.start();
    eventually("the storm", || (team.texts().len() == 13 && pager.texts().len() == 1).then_some(()));
    let delivered = eventually("the confirmation", || {
        let told = tellings(&world, store);
        let is_delivered = |told: &DeliveryRow| told.state == DeliveryState::Delivered;
        let is_done = |change| deliveries(&told.of(change)).unwrap_or_default().iter().all(is_delivered);
        all.iter().all(|(change, _)| is_done(*change)).then_some(told)
    });
    // Whatever the routes are by now.
    role.terminate();
    drop(role);
    world.setup.rules = String::new();
    let _role = world.start();
    world.commit(&[opened(2, "bob", TO_TEAM)]);
    world.settled(key(2), DeliveryState::Delivered);
    let later = tellings(&world, store);
    let mut counts = std::collections::BTreeMap::<Uuid, u64>::new();
    for (index, (change, address)) in all.iter().enumerate() {
        assert_eq!(later.of(*change), delivered.of(*change));
        let telling = later.of(*change);
        let Some(told) = deliveries(&telling) else {
            assert_eq!((telling, address.as_str()), (Telling::Nobody, TO_NOBODY), "{index}");
            continue;
        };
        assert_eq!(matches!(telling, Telling::Alone(_)), index < 10, "{index}");
        let expected: &[&str] = if address == TO_BOTH { &["pager", "team"] } else { &["team"] };
        assert_eq!(sinks(told), expected, "{index}");
        told.iter().for_each(|told| *counts.entry(told.id).or_default() += 1);
    }
    // And the other way round: each delivery covers those, and as many as its message says.
    let reader = Reader::open(world.path()).unwrap();
    for (delivery, count) in &counts {
        let covered = reader.covered_by(*delivery).unwrap();
        assert_eq!((covered.deliveries, covered.attempts), (1, *count));
        let mine = |change| {
            deliveries(&later.of(change)).unwrap_or_default().iter().any(|told| told.id == *delivery)
        };
        let (after, until) = covered.changes(store);
        for (change, _) in &all {
            assert_eq!(covered.contains(store, *change), mine(*change), "{change}");
            assert!(!mine(*change) || (*change > after && *change <= until));
            assert!(!covered.contains(Uuid::nil(), *change), "of another database");
        }
    }
    let mut storms: Vec<_> = counts.into_values().filter(|count| *count > 1).collect();
    storms.sort_unstable();
    assert_eq!(storms, [20, 40, 40]);
    assert!(team.texts().iter().any(|text| text.starts_with("20 SSH attempts")), "{:?}", team.texts());
    assert!(pager.texts()[0].starts_with("40 SSH attempts"), "{:?}", pager.texts());
}

#[test]
fn what_nobody_has_read_is_not_called_told_to_nobody() {
    let mut world = World::with_slack(&Slack::start());
    world.setup.rules = ROUTES.replace(", \"pager\"", "");
    world.commit(&from(&[TO_TEAM], 0..1));
    let (store, all) = attempts(&world);
    assert_eq!(Tellings::default().of(all[0].0), Telling::NotTakenIn, "the role never ran");
    let mut role = world.start();
    eventually("the first", || {
        let reader = Reader::open(world.path()).ok()?;
        matches!(reader.tellings(store).unwrap().of(all[0].0), Telling::Alone(_)).then_some(())
    });
    role.terminate();
    world.commit(&from(&[TO_TEAM], 1..2));
    let (_, all) = attempts(&world);
    assert_eq!(tellings(&world, store).of(all[1].0), Telling::NotTakenIn);
}
