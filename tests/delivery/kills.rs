//! `kill -9` between any two steps, and at any moment: no message is missing, and one is repeated only where its
//! confirmation was lost, word for word.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use login_tracer::notify::outbox::DeliveryState;
use login_tracer::session::Update;

use crate::slack::Slack;
use crate::threat_jammer::ThreatJammer;
use crate::world::{World, closed, eventually, key, opened};

/// What must have been told in the end.
const TOLD: [&str; 6] = [
    "SSH login: near",
    "SSH login: far",
    "SSH login: farther",
    "SSH session ended: near",
    "SSH session ended: far on",
    "Kernel events lost",
];

fn happenings() -> Vec<Update> {
    vec![
        opened(1, "near", "10.0.0.1"),
        opened(2, "far", "193.146.30.12"),
        opened(3, "farther", "193.146.30.70"),
        closed(1),
        closed(2),
        Update::EventsLost { at: Timestamp::now(), count: 3 },
    ]
}

fn all_told(slack: &Slack) -> bool {
    let texts = slack.texts();
    TOLD.iter().all(|told| texts.iter().any(|text| text.starts_with(told)))
}

/// How often each payload was accepted.
fn counts(slack: &Slack) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for payload in slack.shown() {
        *counts.entry(payload).or_default() += 1;
    }
    counts
}

#[test]
fn killed_after_every_step() {
    let mut last_steps = Vec::new();
    for step in 1.. {
        let (slack, service) = (Slack::start(), ThreatJammer::start());
        let mut world = World::with_slack(&slack);
        world.setup.threat_jammer = Some(service.server.url());
        world.commit(&happenings());
        world.setup.kill_at = Some(step);
        let mut role = world.start();
        let killed = eventually("kill or success", || match role.ended() {
            Some(status) => {
                assert!(!status.success(), "ended by itself");
                Some(true)
            }
            None => (all_told(&slack) && all_settled(&world)).then_some(false),
        });
        if !killed {
            // There is no such step any more: all of them were tried.
            break;
        }
        let steps = fs::read_to_string(world.path().join("steps")).unwrap();
        assert_eq!(steps.lines().count(), step as usize);
        let last = steps.lines().last().unwrap().to_owned();
        drop(role);

        world.setup.kill_at = None;
        let _role = world.start();
        eventually("everything told", || (all_told(&slack) && all_settled(&world)).then_some(()));
        let counts = counts(&slack);
        assert_eq!(counts.len(), TOLD.len(), "a repetition says something else: {counts:#?}");
        let repeated = counts.values().sum::<usize>() - TOLD.len();
        let expected = usize::from(last == "Send");
        assert_eq!(repeated, expected, "killed after step {step}, {last}");
        last_steps.push(last);
    }
    // Intake, two look-ups with their ratings, and three steps for each message, were all hit.
    for (name, times) in
        [("Intake", 1), ("Enrich", 2), ("Assess", 2), ("Claim", 6), ("Send", 6), ("Record", 6)]
    {
        let hit = last_steps.iter().filter(|step| *step == name).count();
        assert!(hit >= times, "{name} was hit {hit} times: {last_steps:?}");
    }
}

#[test]
fn killed_at_any_moment_again_and_again() {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    let mut kills = 0;
    // Moments spread over a start and the work after it; the delays differ in every round.
    for round in 0..25_u32 {
        let number = 10 + round;
        world.commit(&[opened(number, "u", &format!("193.146.31.{round}"))]);
        let mut role = world.start();
        std::thread::sleep(Duration::from_millis(u64::from(round * 7 % 60 + round)));
        role.kill();
        kills += 1;
        world.commit(&[closed(number)]);
    }
    let _role = world.start();
    for round in 0..25 {
        eventually("both messages", || {
            let rows = world.deliveries(key(10 + round));
            (rows.len() == 2 && rows.iter().all(|row| row.state == DeliveryState::Delivered)).then_some(())
        });
    }
    let counts = counts(&slack);
    assert_eq!(counts.len(), 50, "{:#?}", slack.texts());
    let repeated = counts.values().sum::<usize>() - 50;
    assert!(repeated <= kills, "{repeated} repetitions for {kills} kills");
}

fn all_settled(world: &World) -> bool {
    [(1, 2), (2, 2), (3, 1)].into_iter().all(|(session, deliveries)| {
        let rows = world.deliveries(key(session));
        rows.len() == deliveries && rows.iter().all(|row| row.state == DeliveryState::Delivered)
    })
}
