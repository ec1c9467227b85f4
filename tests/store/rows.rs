//! What updates leave behind, and what filters find.

use login_tracer::event::Doubt;
use login_tracer::session::{
    AccountState, Auth, ChangeKind, CommandKind, Container, Escalation, FirstCommand, ForeignSshd, Identity,
    Opening, Service, Update,
};
use login_tracer::store::{Filter, Reader, StoreError, Writer};
use tempfile::tempdir;

use crate::{at, closed, lost, opened, opening};

#[test]
fn a_session_goes_through_its_changes() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let opening = opening(7);
    let identified =
        Update::Identified { key: opening.key, at: at(1), user: None, uid: None, tty: Some("pts/1".into()) };
    writer.commit(&[opened(&opening), identified]).expect("written");

    let reader = Reader::open(directory.path()).expect("a reader");
    let session = reader.session(1).expect("read").expect("there");
    assert_eq!((session.key, session.user.as_deref(), session.uid), (opening.key, Some("alice"), Some(1001)));
    assert_eq!((session.peer, session.local, &session.sshd), (opening.peer, opening.local, &opening.sshd));
    assert_eq!((session.tty.as_deref(), session.closed, session.opened_at), (Some("pts/1"), None, at(0)));

    writer.commit(&[closed(&opening, 90)]).expect("written");
    let session = reader.session_by_key(opening.key).expect("read").expect("there");
    assert_eq!(session.duration_s(), Some(90.0));
    let changes = reader.changes_of(session.id).expect("read");
    let kinds: Vec<_> = changes.iter().map(|change| (change.seq, change.kind)).collect();
    assert_eq!(kinds, [(1, ChangeKind::Opened), (2, ChangeKind::Identified), (3, ChangeKind::Closed)]);
    assert_eq!(reader.changes_after(changes[0].id, 10).expect("read").len(), 2);
}

#[test]
fn how_somebody_came_in_is_stored_once() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let auth = |method: &str| Auth { method: method.into(), key: None, certificate: None, user_log: None };
    let first = |path: &str| FirstCommand {
        kind: CommandKind::Command,
        path: path.into(),
        arguments: vec!["\u{1b}\"\0".into()],
    };
    let nameless = Opening { user: None, ..opening(7) };
    let key = nameless.key;
    let authenticated = |method| Update::Authenticated {
        key,
        at: at(1),
        user: Some("bob".into()),
        auth: Box::new(auth(method)),
    };
    let began = |path| Update::Began { key, at: at(2), first: Box::new(first(path)) };
    let updates = [
        opened(&nameless),
        authenticated("password"),
        authenticated("publickey"),
        began("/bin/sh"),
        began("/bin/bash"),
    ];
    writer.commit(&updates).expect("written");
    let known = Opening { auth: Some(auth("hostbased")), ..opening(8) };
    writer.commit(&[opened(&known)]).expect("written");

    let reader = Reader::open(directory.path()).expect("a reader");
    let session = reader.session(1).expect("read").expect("there");
    assert_eq!((session.user.as_deref(), session.auth), (Some("bob"), Some(auth("password"))));
    assert_eq!(session.first_command, Some(first("/bin/sh")));
    assert_eq!(reader.changes_of(1).expect("read").len(), 3);
    let session = reader.session(2).expect("read").expect("there");
    assert_eq!((session.auth, session.first_command), (Some(auth("hostbased")), None));
    // A session that goes on after a restart is written anew to a new database with all of it.
    assert_eq!(writer.live_sessions().expect("read")[1], known);
}

#[test]
fn updates_are_idempotent() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let opening = opening(7);
    let same = Update::Identified { key: opening.key, at: at(1), user: None, uid: Some(1001), tty: None };
    let batch = [opened(&opening), same, closed(&opening, 5)];
    for _ in 0..3 {
        writer.commit(&batch).expect("written");
    }
    let reader = Reader::open(directory.path()).expect("a reader");
    let kinds: Vec<_> = reader.changes_of(1).expect("read").iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Opened, ChangeKind::Closed], "what is known already is no change");
    assert_eq!(reader.sessions(&Filter::default()).expect("read").len(), 1);
}

#[test]
fn an_end_without_a_beginning_is_no_change() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    writer.commit(&[closed(&opening(7), 5)]).expect("written");
    let reader = Reader::open(directory.path()).expect("a reader");
    assert!(reader.changes_after(0, 10).expect("read").is_empty());
}

fn escalated(opening: &Opening, boot_ns: u64, to: u32, count: u64) -> Update {
    let escalation = Escalation {
        pid: 99,
        from: Identity { uid: 1001, user: Some("alice".into()) },
        to: Identity { uid: to, user: None },
        exe: "/usr/bin/sudo".into(),
    };
    let at = at(boot_ns.cast_signed());
    Update::Escalated { key: opening.key, at, boot_ns, escalation: Box::new(escalation), count }
}

#[test]
fn gained_user_ids_are_changes_of_their_session_once() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let opening = opening(7);
    let batch = [
        opened(&opening),
        escalated(&opening, 1, 1002, 1),
        escalated(&opening, 2, 0, 1),
        closed(&opening, 5),
        escalated(&opening, 9, 1003, 12),
    ];
    for _ in 0..3 {
        writer.commit(&batch).expect("written");
    }
    let reader = Reader::open(directory.path()).expect("a reader");
    let changes = reader.changes_of(1).expect("read");
    let found: Vec<_> = changes
        .iter()
        .map(|change| {
            (change.seq, change.kind, change.escalation.as_ref().map(|how| how.to.uid), change.count)
        })
        .collect();
    let expected = [
        (1, ChangeKind::Opened, None, None),
        (2, ChangeKind::Escalated, Some(1002), None),
        (3, ChangeKind::Escalated, Some(0), None),
        (4, ChangeKind::Closed, None, None),
        (5, ChangeKind::Escalated, Some(1003), Some(12)),
    ];
    assert_eq!(found, expected);
    let Update::Escalated { escalation, .. } = &batch[1] else { unreachable!() };
    assert_eq!(changes[1].escalation.as_ref(), Some(&**escalation));
    assert_eq!(reader.changes_after(0, 100).expect("read"), changes);
    let session = reader.session(1).expect("read").expect("there");
    assert_eq!(session.escalated_to, Some(0), "root stays");
}

#[test]
fn gained_user_ids_of_an_unknown_session_are_no_change() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    writer.commit(&[opened(&opening(7)), escalated(&opening(8), 1, 0, 1)]).expect("written");
    let reader = Reader::open(directory.path()).expect("a reader");
    assert_eq!(reader.changes_after(0, 10).expect("read").len(), 1);
    assert_eq!(reader.session(1).expect("read").expect("there").escalated_to, None);
}

#[test]
fn a_session_in_a_container_says_so() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    for (pid, cgroup) in [(7, Some("/docker/x".to_owned())), (8, None)] {
        let container = Some(Container { pid_namespace: 4_026_532_200, cgroup });
        let opening = Opening { container, ..opening(pid) };
        writer.commit(&[opened(&opening)]).expect("written");
        let reader = Reader::open(directory.path()).expect("a reader");
        let session = reader.session_by_key(opening.key).expect("read").expect("there");
        assert_eq!(session.container, opening.container);
        assert_eq!(writer.live_sessions().expect("read").last(), Some(&opening));
    }
}

#[test]
fn foreign_sshds_are_changes_of_no_session_once() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let foreign = |pid| ForeignSshd {
        pid,
        run_by: Identity { uid: 1001, user: Some("alice".into()) },
        exe: "/home/alice/sshd".into(),
        doubt: Doubt::User,
    };
    let started = |pid| Update::ForeignSshd {
        key: opening(pid).key,
        at: at(pid.into()),
        foreign: Box::new(foreign(pid)),
    };
    for _ in 0..3 {
        writer.commit(&[opened(&opening(7)), started(7), started(8), started(9)]).expect("written");
    }
    let reader = Reader::open(directory.path()).expect("a reader");
    let found = reader.foreign_sshds(Some(2)).expect("read");
    let pids: Vec<_> = found.iter().filter_map(|change| Some(change.foreign.as_ref()?.pid)).collect();
    assert_eq!(pids, [9, 8], "newest first");
    assert_eq!(found[1].foreign, Some(foreign(8)));
    assert_eq!((found[1].session_id, found[1].kind, found[1].at), (None, ChangeKind::ForeignSshd, at(8)));
    assert_eq!(reader.foreign_sshds(None).expect("read").len(), 3);
}

#[test]
fn losses_are_changes_of_no_session() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    writer.commit(&[lost(42, 42)]).expect("written");
    let reader = Reader::open(directory.path()).expect("a reader");
    let changes = reader.changes_after(0, 10).expect("read");
    assert_eq!(
        (changes[0].kind, changes[0].session_id, changes[0].count),
        (ChangeKind::EventsLost, None, Some(42))
    );
    // The same once more is nothing new, and a later reading is known after a restart.
    writer.commit(&[lost(42, 42)]).expect("written");
    writer.commit(&[lost(8, 50)]).expect("written");
    let counts: Vec<_> =
        reader.changes_after(0, 10).expect("read").iter().map(|change| change.count).collect();
    assert_eq!(counts, [Some(42), Some(8)]);
    drop(writer);
    let writer = Writer::open(directory.path(), None).expect("a writer");
    assert_eq!(writer.losses_counted("boot/1").expect("read"), 50);
    assert_eq!(writer.losses_counted("boot/2").expect("read"), 0);
}

#[test]
fn a_session_that_was_found_open_says_so() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let recovered = Opening { recovered: true, tty: Some("pts/0".into()), ..opening(7) };
    writer.commit(&[opened(&recovered)]).expect("written");
    let reader = Reader::open(directory.path()).expect("a reader");
    let session = reader.session(1).expect("read").expect("there");
    assert!(session.recovered && session.tty.as_deref() == Some("pts/0"));
    assert_eq!(reader.changes_of(1).expect("read")[0].kind, ChangeKind::Recovered);
    assert_eq!(writer.live_sessions().expect("read"), [recovered]);
}

#[test]
fn how_the_account_stood_is_learned_once() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let known = Opening { account: Some(AccountState::Locked), ..opening(1) };
    writer.commit(&[opened(&known), opened(&opening(2))]).expect("written");
    let reader = Reader::open(directory.path()).expect("a reader");
    let account = |id| reader.session(id).expect("read").expect("there").account;
    assert_eq!((account(1), account(2)), (Some(AccountState::Locked), None));
    assert_eq!(writer.live_sessions().expect("read")[0], known);
    let learned = |opening: &Opening, account| Update::Account { key: opening.key, at: at(5), account };
    for state in [AccountState::Expired, AccountState::Usable] {
        writer.commit(&[learned(&known, state), learned(&opening(2), state)]).expect("written");
    }
    assert_eq!((account(1), account(2)), (Some(AccountState::Locked), Some(AccountState::Expired)));
    // Only what is new is a change.
    let kinds =
        |id| -> Vec<_> { reader.changes_of(id).expect("read").iter().map(|change| change.kind).collect() };
    assert_eq!(kinds(1), [ChangeKind::Opened]);
    assert_eq!(kinds(2), [ChangeKind::Opened, ChangeKind::Identified]);
}

#[test]
fn filters_select() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let make = |pid: u32, user: &str, peer: &str, seconds: i64| Opening {
        user: Some(user.into()),
        peer: Some(peer.parse().expect("an address")),
        at: at(seconds),
        ..opening(pid)
    };
    let openings = [
        make(1, "alice", "192.0.2.1:1", 0),
        make(2, "bob", "192.0.2.255:2", 10),
        make(3, "alice", "192.0.3.0:3", 20),
        make(4, "root", "[2001:db8::7]:4", 30),
        Opening {
            peer: None,
            service: Service::Su,
            by: Some(Identity { uid: 1001, user: Some("alice".into()) }),
            ..make(5, "root", "0.0.0.0:0", 40)
        },
    ];
    writer.commit(&openings.iter().map(opened).collect::<Vec<_>>()).expect("written");
    writer.commit(&[closed(&openings[0], 50)]).expect("written");

    let reader = Reader::open(directory.path()).expect("a reader");
    let ids = |filter: Filter| -> Vec<i64> {
        reader.sessions(&filter).expect("read").iter().map(|session| session.id).collect()
    };
    let network =
        |text: &str| Filter { network: Some(text.parse().expect("a network")), ..Filter::default() };
    assert_eq!(ids(Filter::default()), [5, 4, 3, 2, 1]);
    assert_eq!(ids(Filter { active: true, ..Filter::default() }), [5, 4, 3, 2]);
    let by_service = |service| ids(Filter { service: Some(service), ..Filter::default() });
    assert_eq!(by_service(Service::Ssh), [4, 3, 2, 1]);
    assert_eq!((by_service(Service::Su), by_service(Service::Sudo)), (vec![5], vec![]));
    assert_eq!(reader.session(5).expect("read").expect("a row").by, openings[4].by);
    assert_eq!(ids(Filter { user: Some("alice".into()), ..Filter::default() }), [3, 1]);
    assert_eq!(ids(Filter { since: Some(at(20)), ..Filter::default() }), [5, 4, 3]);
    assert_eq!(ids(Filter { limit: Some(2), ..Filter::default() }), [5, 4]);
    assert_eq!(ids(Filter { before: Some(3), limit: Some(1), ..Filter::default() }), [2]);
    assert_eq!(ids(network("192.0.2.0/24")), [2, 1]);
    assert_eq!(ids(network("192.0.2.255/32")), [2]);
    assert_eq!(ids(network("2001:db8::/32")), [4]);
    assert_eq!(ids(network("0.0.0.0/0")), [3, 2, 1]);
    assert_eq!(ids(network("::/0")), [4, 3, 2, 1]);
}

/// Where few sessions match they are found in another way than where many do.
#[test]
fn filters_select_among_many() {
    const COUNT: u32 = 5_000;
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    // Times in another order than ids, and users in another rhythm than addresses.
    let seconds = |id: u32| i64::from(id * 7_919 % COUNT);
    let user = |id: u32| if id.is_multiple_of(3) { "alice" } else { "bob" };
    let make = |id: u32| Opening {
        user: Some(user(id).into()),
        peer: Some(([10, 0, (id % 4) as u8, (id % 251) as u8], 1).into()),
        at: at(seconds(id)),
        ..opening(id)
    };
    writer.commit(&(1..=COUNT).map(|id| opened(&make(id))).collect::<Vec<_>>()).expect("written");
    writer
        .commit(&(1..=COUNT).step_by(2).map(|id| closed(&make(id), 9_000)).collect::<Vec<_>>())
        .expect("written");

    let reader = Reader::open(directory.path()).expect("a reader");
    for (network, third) in
        [("10.0.0.0/16", 0..4), ("10.0.2.0/24", 2..3), ("10.0.2.0/23", 2..4), ("10.9.0.0/16", 9..10)]
    {
        for since in [0, 100, 2_500, 4_990, 6_000] {
            for (wanted, before) in
                [(None, None), (Some("alice"), None), (Some("bob"), Some(4_000)), (None, Some(50))]
            {
                for (active, rare) in [(false, None), (true, None), (false, Some(101)), (true, Some(7))] {
                    let is_named = |id: &u32| rare.is_none_or(|rare| id.is_multiple_of(rare));
                    let filter = Filter {
                        active,
                        service: None,
                        user: wanted.map(str::to_owned),
                        network: Some(network.parse().expect("a network")),
                        since: Some(at(since)),
                        // Some of them are of another database.
                        keys: rare
                            .map(|_| (1..=COUNT + 999).filter(is_named).map(|id| opening(id).key).collect()),
                        before,
                        limit: Some(60),
                    };
                    let found: Vec<i64> =
                        reader.sessions(&filter).expect("read").iter().map(|s| s.id).collect();
                    let expected: Vec<i64> = (1..=COUNT)
                        .rev()
                        .filter(|id| third.contains(&(id % 4)) && seconds(*id) >= since && is_named(id))
                        .filter(|id| {
                            wanted.is_none_or(|name| name == user(*id)) && (!active || id.is_multiple_of(2))
                        })
                        .map(i64::from)
                        .filter(|id| before.is_none_or(|before| *id < before))
                        .take(60)
                        .collect();
                    assert_eq!(found, expected, "{filter:?}");
                }
            }
        }
    }
}

#[test]
fn strangers_text_is_data() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let user = "'; DROP TABLE sessions; --\u{1b}[2J\n";
    writer.commit(&[opened(&Opening { user: Some(user.into()), ..opening(7) })]).expect("written");
    let reader = Reader::open(directory.path()).expect("a reader");
    let found = reader.sessions(&Filter { user: Some(user.into()), ..Filter::default() }).expect("read");
    assert_eq!(found[0].user.as_deref(), Some(user));
}

#[test]
fn a_database_is_opened_again_and_keeps_its_identity() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    writer.commit(&[opened(&opening(7))]).expect("written");
    let id = Reader::open(directory.path()).expect("a reader").store_id().expect("read");
    drop(writer);
    let writer = Writer::open(directory.path(), None).expect("a writer");
    assert_eq!(writer.live_sessions().expect("read")[0], opening(7));
    let reader = Reader::open(directory.path()).expect("a reader");
    assert_eq!(reader.store_id().expect("read"), id);
    assert!(!reader.is_replaced());
}

#[test]
fn a_newer_version_is_left_alone() {
    let directory = tempdir().expect("a folder");
    drop(Writer::open(directory.path(), None).expect("a writer"));
    let path = directory.path().join("sessions.db");
    let connection = rusqlite::Connection::open(&path).expect("a connection");
    connection.pragma_update(None, "user_version", 99).expect("written");
    drop(connection);
    let refused = Writer::open(directory.path(), None).expect_err("refused");
    assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
    assert!(refused.to_string().contains("use a newer login-tracer"), "{refused}");
}

#[test]
fn a_missing_database_is_named() {
    let directory = tempdir().expect("a folder");
    let missing = Reader::open(directory.path()).expect_err("nothing to read");
    assert!(matches!(missing, StoreError::Missing { .. }));
    // As it is for a moment, when the writer has created it and not filled it yet.
    std::fs::write(directory.path().join("sessions.db"), "").expect("written");
    let empty = Reader::open(directory.path()).expect_err("nothing to read");
    assert!(matches!(empty, StoreError::Missing { .. }));
}
