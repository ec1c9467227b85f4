//! A sink that is gone, or held back by hand: its queue waits, the others know, and nobody knocks at a door that is not
//! there.

use std::process::{Command, Output};
use std::time::Duration;

use login_tracer::notify::outbox::{DeliveryState, Hold, QueueRow, Reader};

use crate::http::Reply;
use crate::slack::Slack;
use crate::world::{World, closed, eventually, key, opened};

/// A private address: known to be unknown at once.
const NEAR: &str = "10.0.0.1";

fn queue(world: &World, sink: &str) -> Option<QueueRow> {
    Reader::open(world.path()).ok()?.queues().unwrap().into_iter().find(|row| row.sink == sink)
}

fn suspended(world: &World, sink: &str) -> QueueRow {
    eventually("suspension", || {
        queue(world, sink).filter(|row| row.held.as_ref().is_some_and(|held| held.hold == Hold::Suspended))
    })
}

/// `login-tracer queue` with these arguments.
fn command(world: &World, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_login-tracer"))
        .arg("queue")
        .args(arguments)
        .arg("--state-dir")
        .arg(world.path())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    format!("{:?} {}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn that_a_sink_is_gone_goes_by_routes_and_never_to_nobody_but_itself() {
    for (rules, is_told) in [
        ("[[routes]]\nsinks = [\"team\"]\n", true),
        ("[[routes]]\nkind = \"agent\"\nsinks = []\n[[routes]]\nsinks = [\"team\"]\n", false),
    ] {
        let (gone, alive) = (Slack::start(), Slack::start());
        gone.next([Reply::new(404, "no_service")]);
        let mut world = World::with_slack(&gone);
        world.setup.slack.push(("other".to_owned(), alive.url()));
        world.setup.rules = rules.to_owned();
        let _role = world.start();
        world.commit(&[opened(1, "alice", NEAR)]);
        suspended(&world, "team");
        if is_told {
            let texts = eventually("news", || Some(alive.texts()).filter(|texts| !texts.is_empty()));
            assert!(texts.len() == 1 && texts[0].contains("held back"), "{texts:?}");
        } else {
            assert!(alive.texts().is_empty(), "somebody wanted to know nothing of it");
        }
    }
}

#[test]
fn a_sink_that_is_gone_is_suspended_and_said_once_by_the_others() {
    for (status, body) in [
        (401, "invalid_token"),
        (403, "action_prohibited"),
        (404, "no_service"),
        (410, "channel_is_archived"),
    ] {
        let (gone, alive) = (Slack::start(), Slack::start());
        gone.next((0..100).map(|_| Reply::new(status, body)));
        let mut world = World::with_slack(&gone);
        world.setup.slack.push(("other".to_owned(), alive.url()));
        let mut role = world.start();
        for number in 1..=5 {
            world.commit(&[opened(number, "alice", NEAR)]);
        }
        let row = suspended(&world, "team");
        assert_eq!(row.held.unwrap().why, format!("HTTP {status}: {body}"));
        world.commit(&[closed(1)]);
        let texts = eventually("all at the other", || {
            let texts = alive.texts();
            (texts.len() == 7).then_some(texts)
        });
        let news: Vec<_> = texts.iter().filter(|text| text.contains("held back")).collect();
        assert_eq!(news.len(), 1, "{texts:?}");
        assert!(news[0].starts_with("Messages to team are held back on web-1"), "{news:?}");
        // Nothing was lost, and one request was enough to know.
        eventually("the queue", || queue(&world, "team").filter(|row| row.waiting == 6 && row.parked == 0));
        assert_eq!(gone.server.requests().len(), 1, "{status}");

        // The same configuration is not tried again by a restart, nor is it told again.
        role.terminate();
        let mut role = world.start();
        world.commit(&[opened(6, "alice", NEAR)]);
        eventually("the next one", || (alive.shown().len() == 8).then_some(()));
        assert_eq!(gone.server.requests().len(), 1, "{status}");
        role.terminate();

        // Another one is.
        let new = Slack::start();
        world.setup.slack[0].1 = new.url();
        let _role = world.start();
        let texts = eventually("the queue at the new place", || {
            let texts = new.texts();
            (texts.len() == 7).then_some(texts)
        });
        assert!(texts.iter().all(|text| !text.contains("held back")), "{texts:?}");
        assert!(queue(&world, "team").unwrap().held.is_none());
        assert_eq!(alive.shown().len(), 8);
    }
}

#[test]
fn a_suspension_is_ended_by_hand() {
    let slack = Slack::start();
    slack.next([Reply::new(404, "no_service"), Reply::new(404, "no_service")]);
    let mut world = World::with_slack(&slack);
    let role = world.start();
    world.commit(&[opened(1, "alice", NEAR)]);
    suspended(&world, "team");
    // Not mended yet: suspended once more.
    assert_eq!(said(&command(&world, &["resume", "team"])), "Some(0) team is resumed\n");
    eventually("second refusal", || (slack.server.requests().len() == 2).then_some(()));
    suspended(&world, "team");
    assert_eq!(said(&command(&world, &["resume", "team"])), "Some(0) team is resumed\n");
    let rows = world.settled(key(1), DeliveryState::Delivered);
    assert_eq!(rows[0].attempts, 3);
    assert!(role.log().contains("login-tracer queue resume"));
    let again = said(&command(&world, &["resume", "team"]));
    assert_eq!(again, "Some(1) login-tracer: team is not held\n");
}

#[test]
fn a_paused_sink_keeps_everything_over_restarts() {
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    let mut role = world.start();
    eventually("the sink", || queue(&world, "team"));
    let paused = said(&command(&world, &["pause", "team", "--reason", "maintenance\u{1b}[2J"]));
    assert_eq!(paused, "Some(0) team is paused\n");
    world.commit(&[opened(1, "alice", NEAR), opened(2, "bob", NEAR)]);
    eventually("both in the queue", || queue(&world, "team").filter(|row| row.waiting == 2));
    role.terminate();
    world.setup.slack[0].1 = slack.url();
    let _role = world.start();
    std::thread::sleep(Duration::from_millis(300));
    let held = queue(&world, "team").unwrap().held.unwrap();
    assert_eq!(held.hold, Hold::Paused);
    assert!(held.why.starts_with("by hand: maintenance") && !held.why.contains('\u{1b}'), "{}", held.why);
    assert!(slack.server.requests().is_empty());
    let drained = said(&command(&world, &["drain", "--timeout", "10s"]));
    assert_eq!(
        drained,
        "Some(1) login-tracer: the rest waits for sinks that are held or not configured: team 2\n"
    );
    command(&world, &["resume", "team"]);
    assert_eq!(said(&command(&world, &["drain"])), "Some(0) nothing waits\n");
    assert_eq!(slack.shown().len(), 2);
}

#[test]
fn what_was_parked_is_sent_again_by_hand_and_what_nobody_wants_is_dropped() {
    let slack = Slack::start();
    slack.next([Reply::new(400, "invalid_payload"), Reply::new(400, "invalid_payload")]);
    let mut world = World::with_slack(&slack);
    let mut role = world.start();
    world.commit(&[opened(1, "alice", NEAR)]);
    let parked = world.settled(key(1), DeliveryState::Parked).remove(0);
    world.commit(&[opened(2, "bob", NEAR)]);
    let unwanted = world.settled(key(2), DeliveryState::Parked).remove(0);
    let id = parked.id.simple().to_string();
    assert_eq!(said(&command(&world, &["retry", &id[..8]])), "Some(0) 1 delivery to be sent now\n");
    let row = world.settled(key(1), DeliveryState::Delivered).remove(0);
    assert_eq!((row.id, row.attempts), (parked.id, 2));
    assert_eq!(
        said(&command(&world, &["retry", &parked.id.to_string()])),
        format!("Some(1) login-tracer: {} was delivered already\n", parked.id)
    );
    // The same while nothing runs.
    role.terminate();
    let id = unwanted.id.to_string();
    assert_eq!(said(&command(&world, &["drop", &id, "--reason", "a test"])), "Some(0) 1 delivery given up\n");
    let row = world.deliveries(key(2)).remove(0);
    assert_eq!((row.state, row.last_error.as_deref()), (DeliveryState::Dropped, Some("by hand: a test")));
    let again = said(&command(&world, &["drop", &id]));
    assert_eq!(again, format!("Some(1) login-tracer: {id} was given up already\n"));
    assert_eq!(said(&command(&world, &["retry", "--sink", "team"])), "Some(0) nothing to change\n");
    assert_eq!(said(&command(&world, &["retry", &id])), "Some(0) 1 delivery to be sent now\n");
    let drained = said(&command(&world, &["drain"]));
    assert!(drained.contains("the notify role does not run, and this waits for it: team 1"), "{drained}");
    let _role = world.start();
    world.settled(key(2), DeliveryState::Delivered);
}

#[test]
fn a_sink_at_rest_is_woken_by_hand() {
    let slack = Slack::start();
    slack.next([Reply::with(503, "retry-after", "3600", "")]);
    let mut world = World::with_slack(&slack);
    let _role = world.start();
    world.commit(&[opened(1, "alice", NEAR)]);
    eventually("failed attempt", || {
        world.deliveries(key(1)).into_iter().find(|row| row.last_error.is_some())
    });
    assert_eq!(said(&command(&world, &["retry", "--sink", "team"])), "Some(0) 1 delivery to be sent now\n");
    world.settled(key(1), DeliveryState::Delivered);
}
