//! Users who come in through Dropbear: one test per condition of either sign that they are in.

use login_tracer::event::{BootTime, Event, ExitStatus, Fact, Image, Service};
use login_tracer::session::{CommandKind, End, Reason};
use login_tracer::tracker::Finding;

use crate::findings;
use crate::world::*;

const ACCEPTED: &str = "Password auth succeeded for 'alice' from 192.0.2.7:40000";

fn dropbear() -> Image {
    Image { name: "dropbear".into(), path: "/usr/sbin/dropbear".into(), owner_uid: 0, mode: 0o755 }
}

fn said(at: u64, pid: u32, text: &str) -> Event {
    let text = format!("<85>Nov 21 07:12:28 dropbear[{pid}]: {text}");
    event(at, pid, LISTENER, 0, Fact::LogLine { text })
}

fn runs(uid: u32, path: &str, arguments: &[&str]) -> Fact {
    let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
    Fact::Leave { tty: Some("pts/3".into()), path: path.into(), arguments, user: Some(uid) }
}

/// The login of a user with a shell.
fn login() -> Vec<Event> {
    vec![
        event(1, LISTENER, 1, 0, Fact::Exec(dropbear())),
        event(2, LISTENER, 1, 0, Fact::Fork { child: process(MONITOR) }),
        event(3, MONITOR, LISTENER, 0, connection()),
        said(4, MONITOR, "Child connection from 192.0.2.7:40000"),
        said(5, MONITOR, ACCEPTED),
        event(6, MONITOR, LISTENER, 0, Fact::Fork { child: process(SHELL) }),
        event(7, SHELL, MONITOR, ALICE, runs(ALICE, "/bin/bash", &["-bash"])),
        said(8, MONITOR, "Exit (alice) from <192.0.2.7:40000>: Disconnect received"),
        event(9, MONITOR, LISTENER, 0, Fact::Exit(ExitStatus::Code(0))),
    ]
}

/// The same where nothing is heard of the log.
fn silent_login() -> Vec<Event> {
    let mut events = login();
    events.retain(|event| !matches!(event.fact, Fact::LogLine { .. }));
    events
}

fn with(mut events: Vec<Event>, at: u64, change: impl Fn(&mut Event)) -> Vec<Event> {
    events.iter_mut().filter(|event| event.at == BootTime(at)).for_each(change);
    events
}

fn opens(events: &[Event]) -> usize {
    findings(events).iter().filter(|finding| matches!(finding, Finding::Opened { .. })).count()
}

fn attempts(events: &[Event]) -> Vec<(Reason, Vec<String>, u32)> {
    let of = |finding: Finding| {
        let Finding::Attempt(attempt) = finding else { return None };
        let names = attempt.tried.users.iter().map(|user| user.name.clone()).collect();
        Some((attempt.reason, names, attempt.tried.failures))
    };
    findings(events).into_iter().filter_map(of).collect()
}

#[test]
fn its_line_opens_a_session_that_ends_with_its_process() {
    let found = findings(&login());
    let Some(Finding::Opened { monitor, at, service, user, connection, auth, exe, .. }) = found.first()
    else {
        panic!("not opened: {found:?}");
    };
    assert_eq!((*monitor, *at, *service), (process(MONITOR), BootTime(5), Service::Dropbear));
    assert_eq!((user.as_deref(), exe.as_str()), (Some("alice"), "/usr/sbin/dropbear"));
    assert_eq!(connection.unwrap().peer.to_string(), "192.0.2.7:40000");
    assert_eq!(auth.as_ref().unwrap().method, "password");
    let monitor = process(MONITOR);
    assert_eq!(found[1], Finding::Identified { monitor, at: BootTime(7), uid: Some(ALICE), tty: None });
    let Finding::Began { first, .. } = &found[2] else { panic!("{:?}", found[2]) };
    assert_eq!((first.kind, first.path.as_str()), (CommandKind::Shell, "/bin/bash"));
    let tty = Some("pts/3".into());
    assert_eq!(found[3], Finding::Identified { monitor, at: BootTime(7), uid: None, tty });
    assert_eq!(found[4..], [Finding::Closed { monitor, at: BootTime(9), end: End::Logout }]);
}

#[test]
fn a_connection_that_runs_nothing_is_a_session_by_its_line() {
    let mut events = login();
    events.retain(|event| !(6..=7).contains(&event.at.0));
    let found = findings(&events);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn the_program_must_be_trusted() {
    let image = |change: fn(&mut Image)| {
        with(login(), 1, |event| {
            let mut image = dropbear();
            change(&mut image);
            event.fact = Fact::Exec(image);
        })
    };
    assert_eq!(opens(&image(|_| {})), 1);
    assert_eq!(opens(&image(|image| image.owner_uid = ALICE)), 0);
    assert_eq!(opens(&image(|image| image.mode = 0o777)), 0);
    assert_eq!(opens(&image(|image| image.path = "/tmp/dropbear".into())), 0);
    assert_eq!(opens(&image(|image| image.path = "/usr/bin/dbclient".into())), 0);
    assert_eq!(opens(&with(login(), 1, |event| event.uid = ALICE)), 0, "run by a user");
}

#[test]
fn the_line_must_be_of_the_process_itself_as_root_about_its_connection() {
    let mut events = login();
    events.retain(|event| !(6..=7).contains(&event.at.0));
    let line = |text: &str| with(events.clone(), 5, |event| event.fact = said(5, MONITOR, text).fact);
    assert_eq!(opens(&line(ACCEPTED)), 1);
    assert_eq!(opens(&with(events.clone(), 5, |event| event.uid = ALICE)), 0);
    assert_eq!(opens(&line("Password auth succeeded for 'alice' from 192.0.2.7:40001")), 0, "another port");
    assert_eq!(
        opens(&line("Password auth succeeded for 'alice' from 192.0.2.8:40000")),
        0,
        "another address"
    );
    assert_eq!(opens(&line("Accepted password for alice from 192.0.2.7 port 40000 ssh2")), 0, "sshd's words");
    assert_eq!(opens(&line(&format!("User '{ACCEPTED}"))), 0);
    let of_other = with(events.clone(), 5, |event| event.fact = said(5, MONITOR + 1, ACCEPTED).fact);
    assert_eq!(opens(&of_other), 0, "a line that names another process");
    let mut without_connection = events.clone();
    without_connection.retain(|event| event.at != BootTime(3));
    assert_eq!(opens(&without_connection), 0, "no connection");
    // sshd has another rule, whatever it logs.
    assert_eq!(opens(&with(events, 1, |event| event.fact = Fact::Exec(sshd("sshd")))), 0);
}

#[test]
fn without_a_line_the_program_of_the_user_opens() {
    let found = findings(&silent_login());
    let Some(Finding::Opened { at, service, user, uid, connection, auth, .. }) = found.first() else {
        panic!("not opened: {found:?}");
    };
    assert_eq!((*at, *service, user.clone(), *uid), (BootTime(7), Service::Dropbear, None, Some(ALICE)));
    assert!(connection.is_some() && auth.is_none());
    assert!(found.iter().any(|finding| matches!(finding, Finding::Began { .. })), "{found:?}");
    assert!(matches!(found.last(), Some(Finding::Closed { at: BootTime(9), .. })), "{found:?}");
    assert!(attempts(&silent_login()).is_empty());
}

#[test]
fn without_a_line_it_must_be_its_own_child_as_one_user() {
    assert_eq!(opens(&silent_login()), 1);
    assert_eq!(opens(&with(silent_login(), 7, |event| event.parent_pid = 1)), 0, "an orphan");
    let several = |event: &mut Event| {
        if let Fact::Leave { user, .. } = &mut event.fact {
            *user = None;
        }
    };
    assert_eq!(opens(&with(silent_login(), 7, several)), 0, "with several user ids");
    let mut below = silent_login();
    below[4] = event(7, POSTAUTH, SHELL, ALICE, runs(ALICE, "/bin/bash", &["-bash"]));
    below.insert(4, event(6, SHELL, MONITOR, 0, Fact::Fork { child: process(POSTAUTH) }));
    assert_eq!(opens(&below), 0, "a grandchild");
    let mut without_connection = silent_login();
    without_connection.retain(|event| event.at != BootTime(3));
    assert_eq!(opens(&without_connection), 0, "no connection");
}

#[test]
fn without_a_line_root_is_known_by_how_its_shell_is_started() {
    let root = |path: &str, arguments: &[&str]| {
        opens(&with(silent_login(), 7, |event| {
            event.uid = 0;
            event.fact = runs(0, path, arguments);
        }))
    };
    assert_eq!(root("/bin/bash", &["-bash"]), 1);
    assert_eq!(root("/bin/bash", &["bash", "-c", "id"]), 1);
    assert_eq!(root("/usr/libexec/helper", &["/usr/libexec/helper"]), 0);
    assert_eq!(root("/bin/sh", &["/bin/sh", "-c", "id"]), 0);
    assert_eq!(root("/bin/bash", &["-zsh"]), 0);
    assert_eq!(root("/bin/bash", &[]), 0);
}

#[test]
fn it_may_execute_itself_anew_by_a_descriptor() {
    let anew = |change: fn(&mut Image)| {
        let mut image = Image { path: "/dev/fd/5".into(), ..dropbear() };
        change(&mut image);
        let mut events = login();
        events.insert(4, event(4, MONITOR, LISTENER, 0, Fact::Exec(image)));
        events.insert(5, event(4, MONITOR, LISTENER, 0, connection()));
        findings(&events)
    };
    let found = anew(|_| {});
    assert_eq!(found, findings(&login()), "it makes no difference");
    for change in [
        (|image| image.owner_uid = ALICE) as fn(&mut Image),
        |image| image.mode = 0o775,
        |image| image.path = "/tmp/dropbear".into(),
    ] {
        assert!(!anew(change).iter().any(|finding| matches!(finding, Finding::Opened { .. })));
    }
    let by_a_user = event(1, MONITOR, 1, 0, Fact::Exec(Image { path: "/dev/fd/5".into(), ..dropbear() }));
    let mut events = login();
    events.retain(|event| event.at > BootTime(2));
    events.insert(0, by_a_user);
    assert_eq!(opens(&events), 0, "not by what was no Dropbear");
}

#[test]
fn one_session_whatever_is_said_and_run_again() {
    let mut events = login();
    events.insert(6, event(6, MONITOR, LISTENER, 0, Fact::Fork { child: process(POSTAUTH) }));
    events.insert(7, event(7, POSTAUTH, MONITOR, ALICE, runs(ALICE, "/bin/sh", &["sh", "-c", "id"])));
    events.insert(8, said(7, MONITOR, ACCEPTED));
    assert_eq!(opens(&events), 1);
}

#[test]
fn what_is_refused_is_one_attempt() {
    let refused = |lines: &[&str]| {
        let mut events = login();
        events.retain(|event| !(5..=8).contains(&event.at.0));
        let lines = lines.iter().map(|text| said(5, MONITOR, text));
        events.splice(4..4, lines);
        assert_eq!(opens(&events), 0, "{events:?}");
        attempts(&events)
    };
    let end = "Exit before auth from <192.0.2.7:40000>: ";
    let bad = "Bad password attempt for 'alice' from 192.0.2.7:40000";
    let alice = || vec!["alice".to_owned()];
    assert_eq!(
        refused(&[bad, bad, &format!("{end}(user 'alice', 2 fails): Exited normally")]),
        [(Reason::WrongPassword, alice(), 2)]
    );
    assert_eq!(
        refused(&["Login attempt for nonexistent user", &format!("{end}Exited normally")]),
        [(Reason::UnknownUser, vec![], 0)]
    );
    assert_eq!(
        refused(&[&format!("{end}(user 'alice', 0 fails): Exited normally")]),
        [(Reason::WrongKey, alice(), 0)]
    );
    assert_eq!(
        refused(&[bad, &format!("{end}(user 'alice', 10 fails): Max auth tries reached - user 'alice'")]),
        [(Reason::TooMany, alice(), 1)]
    );
    assert_eq!(refused(&[&format!("{end}Timeout before auth")]), [(Reason::TimedOut, vec![], 0)]);
    assert_eq!(refused(&[&format!("{end}Exited normally")]), [(Reason::NoAuthentication, vec![], 0)]);
    assert_eq!(refused(&[]), [(Reason::Other, vec![], 0)], "it was greeted");
}

#[test]
fn a_connection_of_which_nothing_is_heard_is_no_attempt() {
    let mut events = silent_login();
    events.retain(|event| !(6..=7).contains(&event.at.0));
    assert_eq!(findings(&events), []);
}
