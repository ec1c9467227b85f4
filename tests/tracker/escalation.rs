//! Gained user ids: to which session they belong, that none is told twice, and how much is told of a storm.

use login_tracer::event::{BootTime, Escalated, Event, ExitStatus, Fact, Process, Service};
use login_tracer::tracker::escalation::TOLD_EACH;
use login_tracer::tracker::{Finding, Tracker};

use crate::findings;
use crate::world::{ALICE, LISTENER, MONITOR, POSTAUTH, PREAUTH, SHELL, event, login, process};

const SUDO: u32 = 300;

/// `pid`, a descendant of `root`, became `to`.
fn gain(at: u64, pid: u32, root: u32, to: u32) -> Event {
    let how = Escalated {
        root: process(root),
        from: ALICE,
        to,
        is_granted: false,
        name: "sudo".into(),
        path: Some("/usr/bin/sudo".into()),
    };
    event(at, pid, SHELL, 0, Fact::Escalated(how))
}

/// The gains that are told: time, process, new user id, for how many.
fn told(found: &[Finding]) -> Vec<(u64, u32, u32, u64)> {
    let of = |finding: &Finding| {
        let Finding::Escalated { monitor, at, process, how, count } = finding else { return None };
        assert_eq!(monitor.pid, MONITOR);
        Some((at.0, process.pid, how.to, *count))
    };
    found.iter().filter_map(of).collect()
}

/// The login with events added before the session ends.
fn login_with(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let mut all = login();
    all.splice(11..11, events);
    all
}

#[test]
fn a_gain_belongs_to_the_session_of_its_root() {
    let found = findings(&login_with([gain(11, SUDO, POSTAUTH, 0)]));
    assert_eq!(told(&found), [(11, SUDO, 0, 1)]);
}

#[test]
fn a_root_that_left_sshd_without_a_user_id_being_seen_counts() {
    // There is no credential hook.
    let mut events = login_with([gain(11, SUDO, SHELL, 0)]);
    events.retain(|event| !matches!(event.fact, Fact::Credentials { .. }));
    assert_eq!(told(&findings(&events)), [(11, SUDO, 0, 1)]);
}

#[test]
fn a_root_of_nobody_counts_for_nobody() {
    assert_eq!(told(&findings(&login_with([gain(11, SUDO, 999, 0)]))), []);
    // The same process id, but another process.
    let mut other = gain(11, SUDO, POSTAUTH, 0);
    if let Fact::Escalated(how) = &mut other.fact {
        how.root.start = BootTime(5);
    }
    assert_eq!(told(&findings(&login_with([other]))), []);
}

#[test]
fn what_happens_before_the_session_opens_does_not_count() {
    // The preauth child and a helper that finds keys set their user ids, too, and what they execute may be anything.
    let mut events = login();
    let helper = process(250);
    let becomes = Fact::Credentials { ruid: ALICE, euid: ALICE, suid: ALICE };
    let leaves = Fact::Leave { tty: None, path: "/usr/bin/helper".into(), arguments: Vec::new(), user: None };
    events.splice(
        5..5,
        [
            event(5, MONITOR, LISTENER, 0, Fact::Fork { child: helper }),
            event(5, 250, MONITOR, ALICE, becomes),
            event(5, 250, MONITOR, ALICE, leaves),
            gain(5, 251, 250, 0),
            gain(5, PREAUTH, PREAUTH, 0),
        ],
    );
    // Also not when it goes on afterwards.
    events.insert(16, gain(12, 252, 250, 0));
    let found = findings(&events);
    assert!(matches!(found.first(), Some(Finding::Opened { .. })), "{found:?}");
    assert_eq!(told(&found), []);
}

#[test]
fn what_a_session_leaves_behind_still_belongs_to_it() {
    let mut events = login();
    events.push(gain(50, SUDO, POSTAUTH, 0));
    let found = findings(&events);
    assert!(matches!(found[found.len() - 2], Finding::Closed { .. }), "{found:?}");
    assert_eq!(told(&found), [(50, SUDO, 0, 1)]);
}

#[test]
fn a_process_gains_a_user_id_once() {
    let again = [(11, 0), (12, 0), (13, 1002), (14, 0)].map(|(at, to)| gain(at, SUDO, POSTAUTH, to));
    assert_eq!(told(&findings(&login_with(again))), [(11, SUDO, 0, 1), (13, SUDO, 1002, 1)]);
    let two = [gain(11, SUDO, POSTAUTH, 0), gain(12, SUDO + 1, POSTAUTH, 0)];
    assert_eq!(told(&findings(&login_with(two))).len(), 2);
}

#[test]
fn a_program_that_was_given_root_is_known_by_its_path() {
    let path_of = |name: &'static str, is_granted| {
        let mut later = gain(12, SUDO + 1, POSTAUTH, 1002);
        if let Fact::Escalated(how) = &mut later.fact {
            (how.name, how.path, how.is_granted) = (name.into(), None, is_granted);
        }
        let found = findings(&login_with([gain(11, SUDO, POSTAUTH, 0), later]));
        let how = found.iter().rev().find_map(|finding| {
            let Finding::Escalated { how, .. } = finding else { return None };
            Some(how.clone())
        });
        how.expect("it is told").path
    };
    assert_eq!(path_of("sudo", true).as_deref(), Some("/usr/bin/sudo"));
    assert_eq!(path_of("su", true), None);
    assert_eq!(path_of("sudo", false), None, "it may be another program of that name");
}

#[test]
fn of_a_storm_ever_fewer_are_told_and_all_are_counted() {
    const STORM: u64 = 10_000;
    let storm = (0..STORM).map(|n| gain(11, 1_000 + n as u32, POSTAUTH, 0));
    let found = findings(&login_with(storm));
    let told = told(&found);
    let each = TOLD_EACH as usize;
    assert!(told.len() < each + 12, "{}", told.len());
    assert!(told[..each].iter().all(|(.., count)| *count == 1));
    assert_eq!(
        told.iter().map(|(.., count)| count).sum::<u64>(),
        STORM,
        "the rest is told when the session ends"
    );
    assert!(matches!(found.last(), Some(Finding::Closed { .. })));
}

#[test]
fn many_channels_do_not_push_the_user_out() {
    let channels = (0..2_000).flat_map(|n| {
        let channel = 5_000 + n;
        let leaves = Fact::Leave { tty: None, path: "/bin/sh".into(), arguments: Vec::new(), user: None };
        [
            event(11, POSTAUTH, MONITOR, ALICE, Fact::Fork { child: process(channel) }),
            event(11, channel, POSTAUTH, ALICE, leaves),
        ]
    });
    let events = login_with(channels.chain([gain(11, SUDO, POSTAUTH, 0)]));
    assert_eq!(told(&findings(&events)).len(), 1);
}

#[test]
fn a_session_that_was_adopted_knows_its_own() {
    let mut tracker = Tracker::default();
    tracker.adopt_session(
        process(MONITOR),
        Service::Ssh,
        Some(process(POSTAUTH)),
        Some(ALICE),
        false,
        BootTime(10),
    );
    tracker.handle(&gain(11, SUDO, MONITOR, 0));
    tracker.handle(&gain(12, SUDO + 1, POSTAUTH, 0));
    tracker.handle(&event(13, POSTAUTH, MONITOR, ALICE, Fact::Exit(ExitStatus::Code(0))));
    let found: Vec<_> = std::iter::from_fn(|| tracker.next_finding()).collect();
    assert_eq!(told(&found), [(11, SUDO, 0, 1), (12, SUDO + 1, 0, 1)]);
}

#[test]
fn two_sessions_are_told_apart() {
    let mut events = login_with([gain(11, SUDO, POSTAUTH, 0)]);
    let shift = |pid: u32| Process { pid: pid + 1_000, start: BootTime(u64::from(pid) + 1_000) };
    let mut second = login_with([gain(11, SUDO, POSTAUTH, 0)]);
    for event in second.iter_mut().filter(|event| event.process.pid != LISTENER) {
        event.process = shift(event.process.pid);
        event.parent_pid += if event.parent_pid > LISTENER { 1_000 } else { 0 };
    }
    for event in &mut second {
        if let Fact::Fork { child } = &mut event.fact {
            *child = shift(child.pid);
        } else if let Fact::Escalated(how) = &mut event.fact {
            how.root = shift(how.root.pid);
        }
    }
    let middle = events.len() / 2;
    events.splice(middle..middle, second);
    let mut monitors: Vec<u32> = findings(&events)
        .iter()
        .filter_map(|finding| {
            let Finding::Escalated { monitor, process, .. } = finding else { return None };
            Some((monitor.pid, process.pid))
        })
        .map(|(monitor, pid)| {
            assert_eq!(pid - monitor, SUDO - MONITOR, "of the right session");
            monitor
        })
        .collect();
    monitors.sort_unstable();
    assert_eq!(monitors, [MONITOR, MONITOR + 1_000]);
}
