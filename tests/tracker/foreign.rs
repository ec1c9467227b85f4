//! What is called like sshd and is not this host's: told once for each start, never a session.

use login_tracer::event::{Doubt, Event, Fact, Image};
use login_tracer::tracker::Finding;

use crate::findings;
use crate::world::{ALICE, LISTENER, MONITOR, event, login, sshd};

const OTHER: u32 = 900;

/// Process id and doubt of each that is told.
fn told(events: &[Event]) -> Vec<(u32, Doubt)> {
    let of = |finding: &Finding| {
        let Finding::ForeignSshd { process, doubt, .. } = finding else { return None };
        Some((process.pid, *doubt))
    };
    findings(events).iter().filter_map(of).collect()
}

fn by_user(pid: u32, parent: u32, name: &str) -> Event {
    event(1, pid, parent, ALICE, Fact::ForeignExec(sshd(name)))
}

#[test]
fn what_is_not_run_by_root_is_told() {
    for name in ["sshd", "sshd-session", "sshd-auth"] {
        assert_eq!(told(&[by_user(OTHER, 1, name)]), [(OTHER, Doubt::User)], "{name}");
    }
    assert_eq!(told(&[by_user(OTHER, 1, "sshd-keygen")]), []);
}

#[test]
fn what_root_runs_is_told_if_it_cannot_be_trusted() {
    let with = |change: fn(&mut Image)| {
        let mut image = sshd("sshd");
        change(&mut image);
        told(&[event(1, OTHER, 1, 0, Fact::Exec(image))])
    };
    assert_eq!(with(|_| {}), []);
    assert_eq!(with(|image| image.owner_uid = ALICE), [(OTHER, Doubt::Owner)]);
    assert_eq!(with(|image| image.mode = 0o775), [(OTHER, Doubt::Writable)]);
    assert_eq!(with(|image| image.path = "/tmp/sshd".into()), [(OTHER, Doubt::Place)]);
    assert_eq!(with(|image| image.name = "sshd-agent".into()), []);
}

#[test]
fn each_start_is_told_once_and_connections_are_not() {
    let events = [
        by_user(OTHER, 1, "sshd"),
        // It serves two connections, then it is told to read its configuration again.
        by_user(OTHER + 1, OTHER, "sshd"),
        by_user(OTHER + 2, OTHER, "sshd-session"),
        by_user(OTHER + 3, OTHER + 2, "sshd-auth"),
        by_user(OTHER, 1, "sshd"),
        // Another one.
        by_user(OTHER + 9, 1, "sshd"),
    ];
    assert_eq!(told(&events), [(OTHER, Doubt::User), (OTHER + 9, Doubt::User)]);
}

#[test]
fn the_hosts_own_sshd_is_not_told() {
    assert_eq!(told(&login()), []);
    let mut events = login();
    events.insert(0, by_user(OTHER, 1, "sshd"));
    assert_eq!(told(&events), [(OTHER, Doubt::User)]);
    assert!(events.iter().any(|event| event.process.pid == MONITOR && event.parent_pid == LISTENER));
}
