//! `kill -9` between any two steps, and at any moment: no message is missing, and one is repeated only where its
//! confirmation was lost, word for word.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use login_tracer::notify::outbox::{self, DeliveryState};
use login_tracer::session::Update;
use rusqlite::Connection;

use crate::slack::Slack;
use crate::threat_jammer::ThreatJammer;
use crate::world::{World, closed, eventually, key, lost, opened};

/// What happens, what must have been told in the end, and how many deliveries each session has.
struct Story {
    happenings: Vec<Update>,
    told: &'static [&'static str],
    deliveries: &'static [(u32, usize)],
}

impl Story {
    fn is_told(&self, slack: &Slack, world: &World) -> bool {
        let texts = slack.texts();
        self.told.iter().all(|told| texts.iter().any(|text| text.starts_with(told)))
            && self.deliveries.iter().all(|(session, count)| {
                let rows = world.deliveries(key(*session));
                rows.len() == *count && rows.iter().all(|row| row.state == DeliveryState::Delivered)
            })
            && undelivered(world) == 0
    }
}

#[test]
fn killed_after_every_step_of_one_session() {
    let steps = kill_after_every_step(|| Story {
        happenings: vec![opened(2, "far", "193.146.30.12"), closed(2)],
        told: &["SSH login: far", "SSH session ended: far"],
        deliveries: &[(2, 2)],
    });
    assert_eq!(steps, ["Intake", "Enrich", "Assess", "Claim", "Send", "Record", "Claim", "Send", "Record"]);
}

#[test]
fn killed_after_every_step_of_several_sessions() {
    let steps = kill_after_every_step(|| Story {
        happenings: vec![
            opened(1, "near", "10.0.0.1"),
            opened(2, "far", "193.146.30.12"),
            opened(3, "farther", "193.146.30.70"),
            closed(1),
            closed(2),
            lost(3),
        ],
        told: &[
            "SSH login: near",
            "SSH login: far",
            "SSH login: farther",
            "SSH session ended: near",
            "SSH session ended: far on",
            "Kernel events lost",
        ],
        deliveries: &[(1, 2), (2, 2), (3, 1)],
    });
    // An intake, two look-ups with their ratings, three steps for each of six messages; their order differs.
    assert_eq!(steps.len(), 1 + 2 * 2 + 3 * 6, "{steps:?}");
}

/// How many deliveries are not at their end, those without a session as well.
fn undelivered(world: &World) -> u32 {
    let connection = Connection::open(outbox::path(world.path())).unwrap();
    let count = "SELECT count(*) FROM deliveries WHERE state != 'delivered'";
    connection.query_row(count, [], |row| row.get(0)).unwrap()
}

/// How often each payload was accepted.
fn counts(slack: &Slack) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for payload in slack.shown() {
        *counts.entry(payload).or_default() += 1;
    }
    counts
}

/// Tells the story once for each of its steps, in a new world with a kill after that step, and once more to its end.
/// The steps that were the last before a kill.
fn kill_after_every_step(story: impl Fn() -> Story) -> Vec<String> {
    let mut last_steps = Vec::new();
    for step in 1.. {
        let (slack, service, story) = (Slack::start(), ThreatJammer::start(), story());
        let mut world = World::with_slack(&slack);
        world.setup.threat_jammer = Some(service.server.url());
        world.commit(&story.happenings);
        world.setup.kill_at = Some(step);
        let mut role = world.start();
        let killed = eventually("kill or success", || match role.ended() {
            Some(status) => {
                assert!(!status.success(), "ended by itself");
                Some(true)
            }
            None => story.is_told(&slack, &world).then_some(false),
        });
        // The last step may end the process in the moment in which everything is told.
        let steps = fs::read_to_string(world.path().join("steps")).unwrap();
        if !killed && steps.lines().count() < step as usize {
            break;
        }
        eventually("end by the kill", || role.ended());
        let steps = fs::read_to_string(world.path().join("steps")).unwrap();
        assert_eq!(steps.lines().count(), step as usize);
        let last = steps.lines().last().unwrap().to_owned();
        drop(role);

        world.setup.kill_at = None;
        let _role = world.start();
        eventually("everything told", || story.is_told(&slack, &world).then_some(()));
        let counts = counts(&slack);
        assert_eq!(counts.len(), story.told.len(), "a repetition says something else: {counts:#?}");
        let repeated = counts.values().sum::<usize>() - story.told.len();
        let times = |name| steps.lines().filter(|step| *step == name).count();
        let expected = match last.as_str() {
            // Sent, confirmed, not written down.
            "Send" => 1..=1,
            // Claimed a moment ago, not sent.
            "Claim" => 0..=0,
            // Another session's step while a message was under way: it may have arrived.
            _ if times("Claim") > times("Record") => 0..=1,
            _ => 0..=0,
        };
        assert!(expected.contains(&repeated), "{repeated} repeated, killed after step {step}, {last}");
        last_steps.push(last);
    }
    last_steps
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
