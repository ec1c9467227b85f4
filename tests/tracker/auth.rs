//! How a user came in, from the monitor's own words only, whenever they come.

use login_tracer::event::{BootTime, Event, ExitStatus, Fact};
use login_tracer::session::{Auth, CommandKind};
use login_tracer::tracker::Finding;

use crate::findings;
use crate::world::*;

const ACCEPTED: &str = "Accepted password for alice from 192.0.2.7 port 40000 ssh2";

/// The login with a further event right after the one at time `after`.
fn login_with(after: u64, further: Event) -> Vec<Event> {
    let mut events = login();
    let place = events.iter().rposition(|event| event.at <= BootTime(after)).expect("it is there");
    events.insert(place + 1, further);
    events
}

/// How the session of these events was authenticated: as part of its opening, and later.
fn auths(events: &[Event]) -> (Option<Auth>, Vec<(Option<String>, Auth)>) {
    let mut opening = None;
    let mut later = Vec::new();
    for finding in findings(events) {
        if let Finding::Opened { auth, .. } = finding {
            opening = auth.map(|auth| *auth);
        } else if let Finding::Authenticated { user, auth, .. } = finding {
            later.push((user, *auth));
        }
    }
    (opening, later)
}

fn by(method: &str) -> Auth {
    Auth { method: method.into(), key: None, certificate: None, user_log: None }
}

#[test]
fn the_line_may_come_before_or_after_the_end_of_the_preauth_child() {
    for after in [4, 5, 6] {
        assert_eq!(auths(&login_with(after, says(after, MONITOR, ACCEPTED))), (Some(by("password")), vec![]));
    }
}

#[test]
fn the_line_may_come_after_the_opening() {
    for after in [7, 8, 11] {
        let expected = (None, vec![(None, by("password"))]);
        assert_eq!(auths(&login_with(after, says(after, MONITOR, ACCEPTED))), expected);
    }
}

#[test]
fn the_first_line_counts() {
    let mut events = login_with(6, says(6, MONITOR, ACCEPTED));
    events.insert(9, says(9, MONITOR, &ACCEPTED.replace("password", "publickey")));
    assert_eq!(auths(&events), (Some(by("password")), vec![]));
}

#[test]
fn without_the_line_there_is_a_session_all_the_same() {
    assert_eq!(auths(&login()), (None, vec![]));
    assert!(matches!(findings(&login()).first(), Some(Finding::Opened { .. })));
}

const NOBODY: (Option<Auth>, Vec<(Option<String>, Auth)>) = (None, Vec::new());

#[test]
fn other_processes_of_the_tree_have_no_say() {
    for pid in [POSTAUTH, LISTENER, PREAUTH] {
        assert_eq!(auths(&login_with(9, says(9, pid, ACCEPTED))), NOBODY, "{pid}");
        assert_eq!(auths(&login_with(5, says(5, pid, ACCEPTED))), NOBODY, "{pid}");
    }
}

#[test]
fn the_monitor_has_a_say_only_as_root() {
    assert_eq!(auths(&login_with(6, Event { uid: ALICE, ..says(6, MONITOR, ACCEPTED) })), NOBODY);
}

#[test]
fn words_of_another_process_are_not_the_monitors() {
    let text = format!("<38>Nov 21 07:12:28 sshd[{LISTENER}]: {ACCEPTED}");
    assert_eq!(auths(&login_with(6, event(6, MONITOR, LISTENER, 0, Fact::LogLine { text }))), NOBODY);
}

#[test]
fn what_the_unprivileged_child_has_said_does_not_count() {
    assert_eq!(auths(&login_with(6, says(6, MONITOR, &format!("{ACCEPTED} [preauth]")))), NOBODY);
}

#[test]
fn words_about_another_connection_do_not_count() {
    for other in ["6.6.6.6 port 40000", "192.0.2.7 port 40001"] {
        let line = format!("Accepted password for alice from {other} ssh2");
        assert_eq!(auths(&login_with(6, says(6, MONITOR, &line))), NOBODY);
        assert_eq!(auths(&login_with(8, says(8, MONITOR, &line))), NOBODY);
    }
}

#[test]
fn an_image_that_is_not_trusted_has_no_say() {
    let mut events = login_with(6, says(6, MONITOR, ACCEPTED));
    for event in &mut events {
        if let Fact::Exec(image) = &mut event.fact {
            image.mode = 0o777;
        }
    }
    // It is told that it runs, and nothing that it says.
    assert!(findings(&events).iter().all(|finding| matches!(finding, Finding::ForeignSshd { .. })));
}

#[test]
fn the_title_is_trusted_more_than_the_log() {
    let line = ACCEPTED.replace("alice", "bob");
    let (auth, _) = auths(&login_with(6, says(6, MONITOR, &line)));
    assert_eq!(auth.and_then(|auth| auth.user_log).as_deref(), Some("bob"));
    let Some(Finding::Opened { user, .. }) =
        findings(&login_with(6, says(6, MONITOR, &line))).into_iter().next()
    else {
        panic!("not opened");
    };
    assert_eq!(user.as_deref(), Some("alice"));
}

#[test]
fn the_log_names_the_user_where_the_title_does_not() {
    let untitled = |mut events: Vec<Event>| {
        for event in &mut events {
            if let Fact::TimerDisarmed { title } = &mut event.fact {
                title.clear();
            }
        }
        events
    };
    let before = findings(&untitled(login_with(6, says(6, MONITOR, ACCEPTED))));
    let Some(Finding::Opened { user, auth: Some(auth), .. }) = before.first() else {
        panic!("not opened: {before:?}");
    };
    assert_eq!((user.as_deref(), &auth.user_log), (Some("alice"), &None));
    let (_, after) = auths(&untitled(login_with(7, says(7, MONITOR, ACCEPTED))));
    assert_eq!(after, [(Some("alice".into()), by("password"))]);
}

#[test]
fn what_ran_first_is_what_the_users_process_executes() {
    let kinds = |events: &[Event]| -> Vec<_> {
        let found = findings(events);
        let began = found.into_iter().filter_map(|finding| {
            let Finding::Began { first, .. } = finding else { return None };
            Some((first.kind, first.words().to_owned()))
        });
        began.collect()
    };
    let with_arguments = |path: &str, arguments: &[&str]| {
        let mut events = login();
        for event in &mut events {
            if let Fact::Leave { path: place, arguments: given, .. } = &mut event.fact {
                *place = path.to_owned();
                *given = arguments.iter().map(|argument| (*argument).to_owned()).collect();
            }
        }
        events
    };
    assert_eq!(kinds(&login()), [(CommandKind::Shell, "/bin/bash".to_owned())]);
    let table = [
        (&["bash", "-c", "rm -rf /"][..], CommandKind::Command, "rm -rf /"),
        (
            &["bash", "-c", "/usr/lib/openssh/sftp-server -l INFO"],
            CommandKind::Sftp,
            "/usr/lib/openssh/sftp-server -l INFO",
        ),
        (&["bash", "-c", "cat sftp-server"], CommandKind::Command, "cat sftp-server"),
        (&["bash", "-c"], CommandKind::Command, "/bin/bash"),
        (&["-sh", "-c", "x"], CommandKind::Shell, "/bin/bash"),
        (&[], CommandKind::Program, "/bin/bash"),
    ];
    for (arguments, kind, words) in table {
        assert_eq!(
            kinds(&with_arguments("/bin/bash", arguments)),
            [(kind, words.to_owned())],
            "{arguments:?}"
        );
    }
    // A helper of the monitor, as PAM modules have them, is not what the user ran.
    let helper = 260;
    let leave = Fact::Leave { tty: None, path: "/bin/sh".into(), arguments: vec!["sh".into()], user: None };
    let mut events = login();
    events.insert(7, event(7, MONITOR, LISTENER, 0, Fact::Fork { child: process(helper) }));
    events.insert(8, event(7, helper, MONITOR, 0, leave.clone()));
    assert_eq!(kinds(&events), [(CommandKind::Shell, "/bin/bash".to_owned())]);
    // Root's program before OpenSSH 9.8 is a child of the monitor, which has set its ids.
    let mut events: Vec<_> = login().into_iter().filter(|event| event.at <= BootTime(7)).collect();
    for event in &mut events {
        if let Fact::TimerDisarmed { title } = &mut event.fact {
            *title = "sshd: root [priv]".into();
        }
    }
    events.push(event(8, MONITOR, LISTENER, 0, Fact::Fork { child: process(helper) }));
    events.push(event(9, helper, MONITOR, 0, leave));
    events.push(event(10, MONITOR, LISTENER, 0, Fact::Fork { child: process(SHELL) }));
    events.push(event(11, SHELL, MONITOR, 0, becomes(0)));
    let leave =
        Fact::Leave { tty: None, path: "/bin/zsh".into(), arguments: vec!["-zsh".into()], user: None };
    events.push(event(12, SHELL, MONITOR, 0, leave));
    events.push(event(13, MONITOR, LISTENER, 0, Fact::Exit(ExitStatus::Code(255))));
    assert_eq!(kinds(&events), [(CommandKind::Shell, "/bin/zsh".to_owned())]);
}
