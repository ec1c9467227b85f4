//! One connection without a session is one attempt, with what was tried and why it came to nothing.

use login_tracer::event::{BootTime, Event, ExitStatus, Fact};
use login_tracer::session::{Reason, TriedUser};
use login_tracer::tracker::{Attempt, Finding, Tracker};

use crate::findings;
use crate::world::*;

/// A connection up to its end, during which the monitor says this.
fn refused(program: &str, lines: &[&str], status: u8) -> Vec<Event> {
    let mut events = vec![
        event(0, LISTENER, 1, 0, Fact::Exec(sshd("sshd"))),
        event(1, LISTENER, 1, 0, Fact::Fork { child: process(MONITOR) }),
        event(2, MONITOR, LISTENER, 0, Fact::Exec(sshd(program))),
        event(3, MONITOR, LISTENER, 0, connection()),
        event(4, MONITOR, LISTENER, 0, Fact::Fork { child: process(PREAUTH) }),
        event(5, PREAUTH, MONITOR, SSHD_USER, becomes(SSHD_USER)),
    ];
    events.extend(lines.iter().map(|text| says(6, MONITOR, text)));
    events.push(event(7, PREAUTH, MONITOR, SSHD_USER, Fact::Exit(ExitStatus::Code(255))));
    events.push(event(8, MONITOR, LISTENER, 0, Fact::Exit(ExitStatus::Code(status))));
    events
}

fn attempts(events: &[Event]) -> Vec<Attempt> {
    let found = findings(events).into_iter();
    found.filter_map(|finding| if let Finding::Attempt(it) = finding { Some(*it) } else { None }).collect()
}

fn attempt(events: &[Event]) -> Attempt {
    let mut attempts = attempts(events);
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    attempts.remove(0)
}

fn user(name: &str, is_known: bool) -> TriedUser {
    TriedUser { name: name.into(), is_known }
}

#[test]
fn a_connection_without_a_session_is_one_attempt() {
    let line = "Failed password for alice from 192.0.2.7 port 40000 ssh2";
    let found = attempt(&refused("sshd", &[line, line], 255));
    assert_eq!(found.monitor, Some(process(MONITOR)));
    assert_eq!((found.began_at, found.ended_at), (BootTime(3), BootTime(8)));
    assert_eq!(
        (found.peer.to_string(), found.local.to_string()),
        ("192.0.2.7:40000".into(), "192.0.2.1:22".into())
    );
    assert_eq!(found.reason, Reason::WrongPassword);
    assert_eq!((found.tried.users, found.tried.failures), (vec![user("alice", true)], 2));
    assert_eq!(found.tried.methods, ["password"]);
}

#[test]
fn a_session_is_no_attempt() {
    let mut events = login();
    // The connection is known from the exec on, as newer programs report it.
    events.insert(2, event(2, MONITOR, LISTENER, 0, connection()));
    events.insert(6, says(6, MONITOR, "Failed password for alice from 192.0.2.7 port 40000 ssh2"));
    assert!(attempts(&events).is_empty());
    // Nor is it one when its events come again.
    events.extend_from_within(..);
    assert!(attempts(&events).is_empty());
}

#[test]
fn only_the_monitor_makes_an_attempt() {
    // A helper of PAM, forked by the monitor, which forks itself and so shows the connection as well.
    let mut events = refused("sshd", &[], 255);
    let helper = 270;
    let further = [
        event(6, MONITOR, LISTENER, 0, Fact::Fork { child: process(helper) }),
        // It disarms a timer, as the C library does for the login records.
        event(6, helper, MONITOR, 0, connection()),
        event(6, helper, MONITOR, 0, Fact::Fork { child: process(271) }),
        event(6, 271, helper, 0, Fact::Fork { child: process(272) }),
        event(6, 271, helper, 0, connection()),
        event(6, 271, helper, 0, Fact::Exit(ExitStatus::Code(0))),
        event(6, helper, MONITOR, 0, Fact::Exit(ExitStatus::Code(0))),
    ];
    for (place, event) in further.into_iter().enumerate() {
        events.insert(6 + place, event);
    }
    assert_eq!(attempts(&events).len(), 1);
    // The listener holds every connection for a moment, and ends one day.
    let mut events = refused("sshd", &[], 255);
    events.insert(2, event(1, LISTENER, 1, 0, connection()));
    events.push(event(9, LISTENER, 1, 0, Fact::Exit(ExitStatus::Code(0))));
    assert_eq!(attempts(&events).len(), 1);
}

#[test]
fn a_monitor_that_was_forked_without_exec_makes_attempts() {
    // `sshd -r`: the connection shows when the monitor forks.
    let mut events = refused("sshd", &[], 255);
    events.retain(|event| !(event.process.pid == MONITOR && matches!(event.fact, Fact::Exec(_))));
    events.swap(2, 3);
    assert!(matches!(events[2].fact, Fact::Fork { .. }));
    assert_eq!(attempt(&events).monitor, Some(process(MONITOR)));
}

#[test]
fn connections_from_before_are_not_judged() {
    // It may be a session: nobody saw it open.
    let mut tracker = Tracker::default();
    tracker.adopt(process(MONITOR), LISTENER, sshd("sshd"));
    for event in &refused("sshd", &[], 255)[3..] {
        tracker.handle(event);
    }
    assert_eq!(tracker.next_finding(), None);
    // Nor is one judged whose end nobody saw.
    let mut tracker = Tracker::default();
    let events = refused("sshd", &[], 255);
    events[..events.len() - 1].iter().for_each(|event| tracker.handle(event));
    tracker.vanished(process(MONITOR), BootTime(99));
    assert_eq!(tracker.next_finding(), None);
}

#[test]
fn reasons_are_what_the_lines_say() {
    const AT: &str = "192.0.2.7 port 40000";
    let table = [
        (vec![format!("Failed password for alice from {AT} ssh2")], Reason::WrongPassword),
        (vec![format!("Failed publickey for alice from {AT} ssh2: RSA SHA256:abc")], Reason::WrongKey),
        (vec![format!("Connection closed by authenticating user alice {AT} [preauth]")], Reason::WrongKey),
        (vec!["error: PAM: Authentication failure for alice from 192.0.2.7".into()], Reason::WrongPassword),
        (
            vec![
                format!("Invalid user eve from {AT}"),
                format!("Failed password for invalid user eve from {AT} ssh2"),
            ],
            Reason::UnknownUser,
        ),
        (
            vec![
                "User eve from 192.0.2.7 not allowed because listed in DenyUsers".into(),
                format!("Failed password for invalid user eve from {AT} ssh2"),
            ],
            Reason::NotAllowed,
        ),
        (
            vec!["fatal: Access denied for user eve by PAM account configuration [preauth]".into()],
            Reason::NotAllowed,
        ),
        (vec![format!("ROOT LOGIN REFUSED FROM {AT}")], Reason::NotAllowed),
        (
            vec![
                format!("Failed password for alice from {AT} ssh2"),
                format!("error: maximum authentication attempts exceeded for alice from {AT} ssh2 [preauth]"),
            ],
            Reason::TooMany,
        ),
        (vec![format!("fatal: Timeout before authentication for {AT}")], Reason::TimedOut),
        (vec![format!("Connection closed by {AT}")], Reason::NoAuthentication),
        (vec![format!("Connection reset by {AT} [preauth]")], Reason::NoAuthentication),
        (vec![format!("banner exchange: Connection from {AT}: invalid format")], Reason::ProtocolError),
        (
            vec![format!(
                "Unable to negotiate with {AT}: no matching cipher found. Their offer: x [preauth]"
            )],
            Reason::ProtocolError,
        ),
        (vec![], Reason::Other),
    ];
    for (lines, reason) in table {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(attempt(&refused("sshd", &lines, 255)).reason, reason, "{lines:?}");
    }
}

#[test]
fn without_lines_the_status_tells() {
    let table = [
        ("sshd", 1, Reason::TimedOut),
        ("sshd", 255, Reason::Other),
        ("sshd-session", 3, Reason::TimedOut),
        ("sshd-session", 5, Reason::Refused),
        ("sshd-session", 7, Reason::UnknownUser),
        ("sshd-session", 255, Reason::NoAuthentication),
        ("sshd-session", 4, Reason::Other),
    ];
    for (program, status, reason) in table {
        assert_eq!(attempt(&refused(program, &[], status)).reason, reason, "{program} {status}");
    }
    // Before 9.8 a client that does not even greet is gone before there is a child.
    let mut events = refused("sshd", &[], 255);
    events.retain(|event| event.process.pid != PREAUTH && event.at != BootTime(4));
    assert_eq!(attempt(&events).reason, Reason::NoAuthentication);
    // A user who was named and offered nothing: the status of newer versions knows.
    let line = "Connection closed by authenticating user alice 192.0.2.7 port 40000 [preauth]";
    assert_eq!(attempt(&refused("sshd-session", &[line], 255)).reason, Reason::NoAuthentication);
    assert_eq!(attempt(&refused("sshd-session", &[line], 5)).reason, Reason::WrongKey);
}

#[test]
fn known_names_are_told_from_others() {
    let names = |lines: &[&str]| attempt(&refused("sshd", lines, 255)).tried.users;
    let at = "from 192.0.2.7 port 40000";
    let failed = format!("Failed password for invalid user eve {at} ssh2");
    assert_eq!(names(&[&format!("Invalid user eve {at}"), &failed]), [user("eve", false)]);
    let denied = "User eve from 192.0.2.7 not allowed because listed in DenyUsers";
    assert_eq!(names(&[denied, &failed]), [user("eve", true)]);
    // A name cannot make itself known.
    let line = format!("Failed password for invalid user eve {at} ssh2 {at} ssh2");
    assert_eq!(names(&[&failed, &line]), [user("eve", false), user(&format!("eve {at} ssh2"), false)]);
}

#[test]
fn lines_about_other_connections_do_not_count() {
    let found = attempt(&refused("sshd", &["Failed password for alice from 6.6.6.6 port 40000 ssh2"], 255));
    assert_eq!((found.reason, found.tried.failures), (Reason::Other, 0));
}

#[test]
fn tries_of_answers_are_counted_once() {
    let pam = "error: PAM: Authentication failure for alice from 192.0.2.7";
    let failed = "Failed keyboard-interactive/pam for alice from 192.0.2.7 port 40000 ssh2";
    let found = attempt(&refused("sshd", &[pam, pam, pam, failed], 255));
    assert_eq!((found.tried.failures, found.tried.methods), (3, vec!["keyboard-interactive/pam".to_owned()]));
    let none = "Failed none for alice from 192.0.2.7 port 40000 ssh2";
    assert_eq!(attempt(&refused("sshd", &[none], 255)).tried.failures, 0);
}

#[test]
fn what_strangers_choose_is_bounded() {
    let long = "\u{e9}".repeat(400);
    let lines: Vec<String> = (0..100)
        .map(|number| {
            format!("Failed m{number}{long} for invalid user {number}{long} from 192.0.2.7 port 40000 ssh2")
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let tried = attempt(&refused("sshd", &lines, 255)).tried;
    assert_eq!((tried.users.len(), tried.methods.len(), tried.failures), (8, 8, 100));
    assert!(tried.users.iter().all(|user| user.name.len() <= 128));
    assert!(tried.methods.iter().all(|method| method.len() <= 32));
}

#[test]
fn connections_that_the_listener_drops_are_attempts() {
    let line = |reason| format!("drop connection #10 from [203.0.113.9]:5000 on [192.0.2.1]:22 {reason}");
    let listener = event(0, LISTENER, 1, 0, Fact::Exec(sshd("sshd")));
    for (words, reason) in [
        ("past MaxStartups", Reason::DroppedMaxStartups),
        ("Maxstartups", Reason::DroppedMaxStartups),
        ("penalty: failed authentication", Reason::DroppedPenalty),
    ] {
        let found = attempt(&[listener.clone(), says(5, LISTENER, &line(words))]);
        assert_eq!((found.monitor, found.reason), (None, reason));
        assert_eq!((found.peer.to_string(), found.began_at), ("203.0.113.9:5000".into(), BootTime(5)));
    }
    // Of a monitor it is no word about its own connection, of an unknown process it is nothing.
    let dropped = line("past MaxStartups");
    assert_eq!(attempt(&refused("sshd", &[&dropped], 255)).monitor, Some(process(MONITOR)));
    assert!(attempts(&[says(5, LISTENER, &dropped)]).is_empty());
}
