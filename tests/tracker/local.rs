//! Users who come in on this host itself, by login, su and sudo: one test per condition.

use login_tracer::event::{BootTime, Event, ExitStatus, Fact, Image, Service};
use login_tracer::session::End;
use login_tracer::tracker::Finding;

use crate::findings;
use crate::world::*;

const BOB: u32 = 1002;
/// The process of login, su or sudo; the child that executes the program; and what sudo has between them with a terminal.
const DOOR: u32 = 300;
const CHILD: u32 = 302;
const BETWEEN: u32 = 301;

fn image(service: Service) -> Image {
    let name = service.as_str();
    Image { name: name.into(), path: format!("/usr/bin/{name}"), owner_uid: 0, mode: 0o4755 }
}

fn runs(uid: u32, arguments: &[&str]) -> Fact {
    let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
    Fact::Leave { tty: None, path: "/bin/sh".into(), arguments, user: Some(uid) }
}

/// `by` comes in as `uid`, who runs this.
fn login(service: Service, by: u32, uid: u32, arguments: &[&str]) -> Vec<Event> {
    let enter = Fact::Enter { image: image(service), tty: Some("pts/5".into()) };
    vec![
        event(1, DOOR, 1, by, enter),
        event(2, DOOR, 1, by, Fact::Fork { child: process(CHILD) }),
        event(3, CHILD, DOOR, uid, runs(uid, arguments)),
        event(9, DOOR, 1, by, Fact::Exit(ExitStatus::Code(0))),
    ]
}

fn su() -> Vec<Event> {
    login(Service::Su, ALICE, BOB, &["sh", "-c", "id"])
}

fn with(mut events: Vec<Event>, at: u64, change: impl Fn(&mut Event)) -> Vec<Event> {
    events.iter_mut().filter(|event| event.at == BootTime(at)).for_each(change);
    events
}

fn opens(events: &[Event]) -> usize {
    findings(events).iter().filter(|finding| matches!(finding, Finding::Opened { .. })).count()
}

#[test]
fn all_three_open_with_the_users_program_and_end_with_their_process() {
    for (service, by, uid, arguments, told) in [
        (Service::Login, 0, ALICE, &["-sh"][..], None),
        (Service::Login, 0, 0, &["-sh"], None),
        (Service::Su, ALICE, 0, &["sh"], Some(ALICE)),
        (Service::Su, ALICE, BOB, &["-sh"], Some(ALICE)),
        (Service::Su, 0, BOB, &["-sh"], Some(0)),
        (Service::Sudo, ALICE, 0, &["/usr/bin/id", "-u"], Some(ALICE)),
        (Service::Sudo, ALICE, BOB, &["id"], Some(ALICE)),
    ] {
        let found = findings(&login(service, by, uid, arguments));
        let monitor = process(DOOR);
        let Some(opened) = found.first() else { panic!("not opened: {service:?} {by} {uid}") };
        let expected = Finding::Opened {
            monitor,
            at: BootTime(3),
            service,
            user: None,
            uid: Some(uid),
            by: told,
            tty: Some("pts/5".into()),
            connection: None,
            auth: None,
            exe: format!("/usr/bin/{}", service.as_str()),
        };
        assert_eq!(*opened, expected);
        assert!(
            matches!(&found[1], Finding::Began { first, .. } if first.arguments == arguments),
            "{found:?}"
        );
        assert_eq!(found[2..], [Finding::Closed { monitor, at: BootTime(9), end: End::Logout }]);
    }
}

#[test]
fn whoever_is_refused_opens_nothing() {
    let mut events = su();
    events.retain(|event| !(2..=3).contains(&event.at.0));
    assert_eq!(findings(&events), []);
}

#[test]
fn the_program_must_be_trusted() {
    for service in [Service::Login, Service::Su, Service::Sudo] {
        let opens_by = |change: fn(&mut Image)| {
            let (by, uid) = if service == Service::Login { (0, BOB) } else { (ALICE, BOB) };
            opens(&with(login(service, by, uid, &["-sh"]), 1, |event| {
                let mut image = image(service);
                change(&mut image);
                event.fact = Fact::Enter { image, tty: None };
            }))
        };
        assert_eq!(opens_by(|_| {}), 1, "{service:?}");
        assert_eq!(opens_by(|image| image.owner_uid = ALICE), 0, "{service:?}");
        assert_eq!(opens_by(|image| image.mode |= 0o020), 0, "{service:?}");
        assert_eq!(opens_by(|image| image.path = "/home/alice/su".into()), 0, "{service:?}");
        let without_set_uid = opens_by(|image| image.mode = 0o755);
        assert_eq!(without_set_uid, usize::from(service == Service::Login), "{service:?}");
    }
}

#[test]
fn the_program_must_be_executed_as_one_user_who_is_another_one() {
    let several = |event: &mut Event| {
        if let Fact::Leave { user, .. } = &mut event.fact {
            *user = None;
        }
    };
    assert_eq!(opens(&with(su(), 3, several)), 0, "with several user ids");
    for service in [Service::Su, Service::Sudo] {
        assert_eq!(opens(&login(service, ALICE, ALICE, &["sh"])), 0, "{service:?}: the same user");
    }
    assert_eq!(opens(&login(Service::Sudo, 0, 0, &["id"])), 0, "root stays root");
}

#[test]
fn helpers_are_not_the_users_program() {
    // What PAM modules run before anybody is let in, and after.
    assert_eq!(opens(&login(Service::Login, 0, 0, &["sh", "-c", "run-parts /etc/update-motd.d"])), 0);
    assert_eq!(opens(&login(Service::Login, 0, ALICE, &["/usr/bin/xauth"])), 0);
    assert_eq!(opens(&login(Service::Su, ALICE, 0, &["/usr/libexec/helper"])), 0);
}

#[test]
fn it_must_be_a_child() {
    for service in [Service::Login, Service::Su, Service::Sudo] {
        let by = if service == Service::Login { 0 } else { ALICE };
        assert_eq!(
            opens(&with(login(service, by, BOB, &["-sh"]), 3, |event| event.parent_pid = 1)),
            0,
            "an orphan"
        );
        let mut events = login(service, by, BOB, &["-sh"]);
        events.splice(
            1..2,
            [
                event(2, DOOR, 1, by, Fact::Fork { child: process(BETWEEN) }),
                event(2, BETWEEN, DOOR, by, Fact::Fork { child: process(CHILD) }),
            ],
        );
        let events = with(events, 3, |event| event.parent_pid = BETWEEN);
        assert_eq!(opens(&events), usize::from(service == Service::Sudo), "{service:?}: a grandchild");
    }
}

/// sudo runs `sendmail` as root, below two processes of which the first has ended, when it refuses somebody.
#[test]
fn the_mail_about_a_refusal_is_no_session() {
    let mail = |first_ends: bool| {
        let mut events = login(Service::Sudo, ALICE, 0, &["sendmail", "-t"]);
        let between = BETWEEN + 10;
        events.splice(
            1..2,
            [
                event(2, DOOR, 1, 0, Fact::Fork { child: process(BETWEEN) }),
                event(2, BETWEEN, DOOR, 0, Fact::Fork { child: process(between) }),
                event(2, BETWEEN, DOOR, 0, Fact::Exit(ExitStatus::Code(0))),
                event(2, between, 1, 0, Fact::Fork { child: process(CHILD) }),
            ],
        );
        if !first_ends {
            events.retain(|event| !(event.process.pid == BETWEEN && matches!(event.fact, Fact::Exit(_))));
        }
        with(events, 3, |event| event.parent_pid = between)
    };
    assert_eq!(opens(&mail(true)), 0);
    assert_eq!(opens(&mail(false)), 0, "also while the first one lives");
}

#[test]
fn a_session_that_is_killed_ends_with_its_door() {
    let found = findings(&with(su(), 9, |event| event.fact = Fact::Exit(ExitStatus::Signal(9))));
    assert!(matches!(found.last(), Some(Finding::Closed { end: End::Killed, .. })), "{found:?}");
}

#[test]
fn what_happens_inside_belongs_to_it() {
    let mut events = su();
    let how = login_tracer::event::Escalated {
        root: process(CHILD),
        from: BOB,
        to: 0,
        is_granted: false,
        name: "sudo".into(),
        path: Some("/usr/bin/sudo".into()),
    };
    events.insert(3, event(5, CHILD, DOOR, BOB, Fact::Escalated(how)));
    let found = findings(&events);
    let gained = found.iter().find(|finding| matches!(finding, Finding::Escalated { .. }));
    assert!(
        matches!(gained, Some(Finding::Escalated { monitor, .. }) if *monitor == process(DOOR)),
        "{found:?}"
    );
}
