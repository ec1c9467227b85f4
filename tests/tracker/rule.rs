//! One test per condition of the rule: with it the login is a session, without it there is none.

use login_tracer::event::{BootTime, Event, ExitStatus, Fact, Image, Process, Service};
use login_tracer::session::{CommandKind, End, FirstCommand};
use login_tracer::tracker::{Finding, Tracker};

use crate::findings;
use crate::world::*;

fn opens(events: &[Event]) -> usize {
    findings(events).iter().filter(|finding| matches!(finding, Finding::Opened { .. })).count()
}

/// The login with the event at time `at` replaced.
fn login_with(at: u64, change: impl Fn(&mut Event)) -> Vec<Event> {
    let mut events = login();
    events.iter_mut().filter(|event| event.at == BootTime(at)).for_each(change);
    events
}

#[test]
fn a_login_is_opened_identified_and_closed() {
    let monitor = process(MONITOR);
    let found = findings(&login());
    let Some(Finding::Opened { user, connection: Some(connection), exe, at, .. }) = found.first() else {
        panic!("not opened: {found:?}");
    };
    assert_eq!((user.as_deref(), exe.as_str(), *at), (Some("alice"), "/usr/sbin/sshd", BootTime(7)));
    assert_eq!(connection.peer.to_string(), "192.0.2.7:40000");
    let first =
        FirstCommand { kind: CommandKind::Shell, path: "/bin/bash".into(), arguments: vec!["-bash".into()] };
    let rest = [
        Finding::Identified { monitor, at: BootTime(9), uid: Some(ALICE), tty: None },
        Finding::Began { monitor, at: BootTime(11), first: Box::new(first) },
        Finding::Identified { monitor, at: BootTime(11), uid: None, tty: Some("pts/3".into()) },
        Finding::Closed { monitor, at: BootTime(13), end: End::Logout },
    ];
    assert_eq!(found[1..], rest);
}

#[test]
fn the_preauth_child_must_end_with_status_0() {
    for status in [ExitStatus::Code(255), ExitStatus::Code(1), ExitStatus::Signal(9)] {
        assert_eq!(opens(&login_with(6, |event| event.fact = Fact::Exit(status))), 0, "{status:?}");
    }
}

#[test]
fn the_preauth_child_must_have_given_up_root() {
    assert_eq!(opens(&login_with(6, |event| event.uid = 0)), 0);
}

#[test]
fn the_preauth_child_must_be_the_monitors() {
    assert_eq!(opens(&login_with(6, |event| event.parent_pid = 1)), 0);
}

#[test]
fn the_preauth_child_must_still_execute_sshd() {
    let leave = Fact::Leave { tty: None, path: "/usr/bin/helper".into(), arguments: Vec::new(), user: None };
    assert_eq!(opens(&login_with(5, |event| event.fact = leave.clone())), 0);
}

#[test]
fn the_preauth_child_must_be_the_first() {
    // A helper for AuthorizedKeysCommand, or the PAM conversation, ends with 0 while the preauth child lives.
    let mut events = login();
    let helper = process(250);
    events.retain(|event| event.process.pid != PREAUTH);
    let after_fork = events.iter().position(|event| event.at == BootTime(4)).expect("it is there");
    events.insert(after_fork, event(4, MONITOR, LISTENER, 0, Fact::Fork { child: helper }));
    events.insert(after_fork + 1, event(5, 250, MONITOR, ALICE, Fact::Exit(ExitStatus::Code(0))));
    assert_eq!(opens(&events), 0);
}

#[test]
fn the_monitor_must_disarm_its_timer_after_the_child() {
    let without: Vec<_> = login().into_iter().filter(|event| event.at != BootTime(7)).collect();
    assert_eq!(opens(&without), 0);
    let mut before = login();
    before.swap(5, 6);
    assert_eq!(opens(&before), 0);
}

#[test]
fn the_monitor_must_be_root() {
    assert_eq!(opens(&login_with(7, |event| event.uid = ALICE)), 0);
    assert_eq!(opens(&login_with(2, |event| event.uid = ALICE)), 0);
}

#[test]
fn the_monitor_must_execute_a_trusted_sshd() {
    let with = |change: fn(&mut Image)| {
        let mut image = sshd("sshd");
        change(&mut image);
        opens(&login_with(2, |event| event.fact = Fact::Exec(image.clone())))
    };
    assert_eq!(with(|image| image.name = "sshd-session".into()), 1);
    assert_eq!(with(|image| image.owner_uid = ALICE), 0);
    assert_eq!(with(|image| image.mode = 0o775), 0);
    assert_eq!(with(|image| image.mode = 0o757), 0);
    assert_eq!(with(|image| image.path = "/home/alice/sshd".into()), 0);
    assert_eq!(with(|image| image.name = "sshd-copy".into()), 0);
    assert_eq!(with(|image| image.name = "sshd-auth".into()), 0);
}

#[test]
fn what_came_before_the_last_exec_does_not_count() {
    // `sshd -d` and `sshd -i` of 10.x fork a child that ends with 0 before they execute sshd-session.
    let mut events = login();
    let disarm_at = events.iter().position(|event| event.at == BootTime(7)).expect("it is there");
    events.insert(disarm_at, event(7, MONITOR, LISTENER, 0, Fact::Exec(sshd("sshd-session"))));
    assert_eq!(opens(&events), 0);
}

#[test]
fn a_preauth_child_with_a_program_of_its_own_counts() {
    // OpenSSH 10: the child executes sshd-auth while it is still root.
    let mut events = login();
    events.insert(4, event(4, PREAUTH, MONITOR, 0, Fact::Exec(sshd("sshd-auth"))));
    assert_eq!(opens(&events), 1);
}

#[test]
fn a_monitor_that_was_forked_without_exec_counts() {
    // `sshd -r`: the listener is known, its children inherit its image.
    let mut events = login();
    events.retain(|event| event.at != BootTime(2));
    assert_eq!(opens(&events), 0, "an unknown listener vouches for nobody");
    events.insert(0, event(0, LISTENER, 1, 0, Fact::Exec(sshd("sshd"))));
    assert_eq!(opens(&events), 1);
}

#[test]
fn the_session_lasts_until_the_last_of_monitor_and_postauth_child() {
    let mut events = login();
    events.retain(|event| event.at < BootTime(12));
    events.push(event(20, MONITOR, LISTENER, 0, Fact::Exit(ExitStatus::Signal(9))));
    assert!(!findings(&events).iter().any(|finding| matches!(finding, Finding::Closed { .. })));
    events.push(event(30, POSTAUTH, 1, ALICE, Fact::Exit(ExitStatus::Code(255))));
    let closed = Finding::Closed { monitor: process(MONITOR), at: BootTime(30), end: End::Killed };
    assert_eq!(findings(&events).last(), Some(&closed));
}

#[test]
fn a_helper_as_root_does_not_hide_the_user() {
    let mut events = login();
    let helper = process(260);
    events.insert(8, event(8, MONITOR, LISTENER, 0, Fact::Fork { child: helper }));
    events.insert(9, event(8, 260, MONITOR, 0, becomes(0)));
    let uids: Vec<_> = findings(&events)
        .iter()
        .filter_map(|finding| if let Finding::Identified { uid, .. } = finding { *uid } else { None })
        .collect();
    assert_eq!(uids, [0, ALICE]);
}

#[test]
fn a_session_that_was_adopted_closes() {
    let mut tracker = Tracker::default();
    let monitor = process(MONITOR);
    tracker.adopt_session(monitor, Service::Ssh, Some(process(POSTAUTH)), Some(ALICE), false, BootTime(39));
    tracker.handle(&event(40, POSTAUTH, MONITOR, ALICE, Fact::Exit(ExitStatus::Code(255))));
    tracker.handle(&event(41, MONITOR, LISTENER, 0, Fact::Exit(ExitStatus::Code(255))));
    let closed = Finding::Closed { monitor, at: BootTime(41), end: End::Logout };
    assert_eq!(tracker.next_finding(), Some(closed));
    assert_eq!(tracker.next_finding(), None);
}

#[test]
fn a_reused_process_id_ends_the_earlier_session() {
    // The exits were lost; another process has the monitor's id now.
    let mut events = login();
    events.retain(|event| event.at < BootTime(12));
    let later = Process { pid: MONITOR, start: BootTime(5_000) };
    let exec = Fact::Exec(sshd("sshd"));
    events.push(Event { at: BootTime(5_001), process: later, parent_pid: LISTENER, uid: 0, fact: exec });
    events.push(event(5_002, POSTAUTH, 1, ALICE, Fact::Exit(ExitStatus::Code(0))));
    let closed = Finding::Closed { monitor: process(MONITOR), at: BootTime(5_002), end: End::Unseen };
    assert_eq!(findings(&events).last(), Some(&closed));
}
