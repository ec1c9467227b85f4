//! What the store says of earlier sessions and attempts: at the place of the login, and nothing after it.

use std::net::{IpAddr, SocketAddr};

use jiff::{SignedDuration, Timestamp};
use login_tracer::session::{
    Attempt, AttemptKey, Closed, End, LossCounter, Opening, Reason, SessionKey, Sshd, Tried, TriedUser,
    Update,
};
use login_tracer::store::{Question, Reader, Recorded, Writer};

use crate::case::{KEY, by};

struct Store {
    folder: tempfile::TempDir,
    writer: Writer,
    count: u32,
}

fn at(minutes: i64) -> Timestamp {
    "2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::open(folder.path(), None).unwrap();
        Self { folder, writer, count: 0 }
    }

    /// A login so many minutes after noon.
    fn login(&mut self, minutes: i64, user: &str, peer: &str, method: &str) {
        self.count += 1;
        let opening = Opening {
            service: login_tracer::session::Service::Ssh,
            by: None,
            key: SessionKey::new("machine", "boot", self.count, 1),
            host: "web-1".to_owned(),
            boot_id: "boot".to_owned(),
            user: Some(user.to_owned()),
            uid: None,
            peer: Some(SocketAddr::new(peer.parse().unwrap(), 40_000)),
            local: None,
            auth: Some(by(method)),
            tty: None,
            sshd: Sshd { pid: self.count, exe: None },
            sshd_start_boot_ns: 1,
            at: at(minutes),
            recovered: false,
            container: None,
            account: None,
        };
        self.writer.commit(&[Update::Opened(Box::new(opening))]).unwrap();
    }

    fn attempt(&mut self, minutes: i64, user: &str, peer: &str, reason: Reason, failures: u32) {
        self.count += 1;
        let users = vec![TriedUser { name: user.to_owned(), is_known: true }];
        let attempt = Attempt {
            key: AttemptKey::of_monitor("machine", "boot", self.count, 1),
            host: "web-1".to_owned(),
            peer: SocketAddr::new(peer.parse().unwrap(), 40_000),
            local: None,
            sshd_pid: None,
            began_at: at(minutes),
            ended_at: at(minutes),
            tried: Tried { users, methods: vec!["password".to_owned()], failures },
            reason,
        };
        self.writer.commit(&[Update::Attempt(Box::new(attempt))]).unwrap();
    }

    fn ask(&self, before: i64, user: &str, peer: &str, key: Option<&str>) -> Recorded {
        let question = Question {
            before,
            user: Some(user),
            address: Some(peer.parse::<IpAddr>().unwrap()),
            key,
            at: at(0),
        };
        Reader::open(self.folder.path()).unwrap().recorded_before(&question).unwrap()
    }
}

#[test]
fn an_empty_store_knows_nothing() {
    let recorded = Store::new().ask(i64::MAX, "alice", "193.146.30.12", Some(KEY));
    let nothing = Recorded {
        address_seen: Some(false),
        network_seen: Some(false),
        key_seen: Some(false),
        ..Recorded::default()
    };
    assert_eq!(recorded, nothing);
}

#[test]
fn addresses_networks_and_keys_of_a_user() {
    let mut store = Store::new();
    store.login(-600, "alice", "193.146.30.12", "publickey");
    store.login(-500, "bob", "198.51.100.1", "password");
    store.login(-400, "alice", "2a00:1450:4001::1", "password");
    let seen = |user, peer, key| {
        let recorded = store.ask(i64::MAX, user, peer, key);
        (recorded.address_seen, recorded.network_seen, recorded.key_seen)
    };
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(seen("alice", "193.146.30.12", Some(KEY)), (yes, yes, yes));
    assert_eq!(seen("alice", "193.146.30.255", None), (no, yes, None));
    assert_eq!(seen("alice", "193.146.31.12", Some("SHA256:other")), (no, no, no));
    assert_eq!(seen("alice", "2a00:1450:4001:ffff::9", None), (no, yes, None));
    assert_eq!(seen("alice", "2a00:1450:4002::1", None), (no, no, None));
    // Bob's are not Alice's.
    assert_eq!(seen("bob", "193.146.30.12", Some(KEY)), (no, no, no));
    assert_eq!(seen("alice", "198.51.100.1", None), (no, no, None));
}

#[test]
fn only_what_was_stored_before_counts() {
    let mut store = Store::new();
    store.login(-60, "alice", "193.146.30.12", "publickey");
    store.login(0, "alice", "193.146.30.12", "publickey");
    store.login(5, "alice", "193.146.30.12", "publickey");
    let first = store.ask(1, "alice", "193.146.30.12", Some(KEY));
    assert_eq!((first.user_logins, first.host_logins, first.address_seen), (0, 0, Some(false)));
    assert_eq!((first.network_seen, first.key_seen, first.visits.len()), (Some(false), Some(false), 0));
    let second = store.ask(2, "alice", "193.146.30.12", Some(KEY));
    assert_eq!((second.user_logins, second.user_first_at), (1, Some(at(-60))));
    assert_eq!((second.address_seen, second.key_seen, second.visits.len()), (Some(true), Some(true), 1));
    assert_eq!(second.visitors, [(at(-60), "alice".to_owned())]);
    // What is added later changes no answer.
    store.login(10, "alice", "193.146.30.13", "password");
    assert_eq!(store.ask(2, "alice", "193.146.30.12", Some(KEY)), second);
}

#[test]
fn visitors_of_an_address() {
    let mut store = Store::new();
    for (minutes, user) in [(-30, "bob"), (-20, "carol"), (-10, "bob")] {
        store.login(minutes, user, "193.146.30.12", "password");
    }
    store.login(-5, "mallory", "193.146.30.13", "password");
    let visitors = store.ask(i64::MAX, "alice", "193.146.30.12", None).visitors;
    let names: Vec<_> = visitors.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["bob", "carol", "bob"]);
}

#[test]
fn refused_tries_before_and_after() {
    let mut store = Store::new();
    let here = "193.146.30.12";
    store.attempt(-1441, "alice", here, Reason::WrongPassword, 3); // more than a day ago
    store.attempt(-1439, "bob", here, Reason::WrongPassword, 3);
    store.attempt(-61, "alice", "198.51.100.1", Reason::TooMany, 6); // more than an hour ago
    store.attempt(-59, "alice", "198.51.100.1", Reason::WrongKey, 0); // counts as one
    store.attempt(-20, "bob", "198.51.100.1", Reason::WrongPassword, 7); // wanted to be somebody else
    store.attempt(-10, "alice", here, Reason::UnknownUser, 2);
    store.attempt(-10, "alice", here, Reason::NoAuthentication, 0); // tried nothing
    store.attempt(-10, "alice", here, Reason::DroppedPenalty, 9); // was not heard
    store.attempt(1, "bob", here, Reason::WrongPassword, 4);
    store.attempt(59, "bob", here, Reason::WrongPassword, 1);
    store.attempt(61, "bob", here, Reason::WrongPassword, 1); // more than an hour later
    let recorded = store.ask(i64::MAX, "alice", here, None);
    assert_eq!(recorded.failures_from_address, 5);
    assert_eq!(recorded.failures_of_user, 3);
    assert_eq!(recorded.failures_after, 5);
}

#[test]
fn lost_events_shortly_before() {
    let mut store = Store::new();
    for (minutes, value) in [(-11, 1), (-9, 10), (1, 100)] {
        let counter = LossCounter { name: format!("boot/{value}"), value };
        store.writer.commit(&[Update::EventsLost { at: at(minutes), count: value, counter }]).unwrap();
    }
    assert_eq!(store.ask(i64::MAX, "alice", "193.146.30.12", None).events_lost, 10);
}

#[test]
fn failed_attempts_name_their_address_and_its_open_sessions() {
    let mut store = Store::new();
    store.login(-30, "alice", "193.146.30.12", "publickey");
    store.attempt(-10, "bob", "193.146.30.12", Reason::WrongPassword, 1);
    store.attempt(-9, "bob", "193.146.30.13", Reason::TimedOut, 0);
    let reader = Reader::open(store.folder.path()).unwrap();
    let changes = reader.changes_after(0, 10).unwrap();
    let from: Vec<_> = changes.iter().map(|change| reader.failed_from(change.id).unwrap()).collect();
    let here: IpAddr = "193.146.30.12".parse().unwrap();
    assert_eq!(from, [None, Some(here), None]);
    assert_eq!(reader.open_from(here, at(-10), 5).unwrap(), [1]);
    assert!(reader.open_from("193.146.30.13".parse().unwrap(), at(-10), 5).unwrap().is_empty());
    // Whoever is gone since was there then.
    let closed = Closed { at: at(-5), end: End::Logout };
    let key = SessionKey::new("machine", "boot", 1, 1);
    store.writer.commit(&[Update::Closed { key, closed }]).unwrap();
    assert_eq!(reader.open_from(here, at(-5), 5).unwrap(), [1]);
    assert!(reader.open_from(here, at(-4), 5).unwrap().is_empty());
}
