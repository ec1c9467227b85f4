//! Attempts: written once, told by a change, and forgotten when there are too many.

use login_tracer::session::{Attempt, AttemptKey, ChangeKind, Reason, Tried, TriedUser, Update};
use login_tracer::store::{AttemptFilter, Reader, Writer};
use tempfile::tempdir;

use crate::{at, opened, opening};

fn attempt(number: u32, peer: &str) -> Attempt {
    Attempt {
        key: AttemptKey::of_monitor("machine", "boot", number, 7),
        host: "web-1".into(),
        peer: peer.parse().expect("an address"),
        local: None,
        sshd_pid: Some(number),
        began_at: at(i64::from(number)),
        ended_at: at(i64::from(number) + 1),
        tried: Tried {
            users: vec![TriedUser { name: "a\u{1b}\"\0b".into(), is_known: false }],
            methods: vec!["password".into()],
            failures: 3,
        },
        reason: Reason::UnknownUser,
    }
}

fn written(attempt: &Attempt) -> Update {
    Update::Attempt(Box::new(attempt.clone()))
}

fn all(reader: &Reader, filter: &AttemptFilter) -> Vec<Attempt> {
    let mut found = Vec::new();
    reader.for_each_attempt(filter, |attempt| found.push(attempt)).expect("read");
    found
}

#[test]
fn an_attempt_is_one_row_and_one_change() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let attempts = [attempt(1, "192.0.2.7:1"), attempt(2, "[2001:db8::7]:2")];
    writer.commit(&attempts.iter().map(written).collect::<Vec<_>>()).expect("written");
    // Again, as after a crash.
    writer.commit(&attempts.iter().map(written).collect::<Vec<_>>()).expect("written");
    let reader = Reader::open(directory.path()).expect("a reader");
    assert_eq!(all(&reader, &AttemptFilter::default()), attempts);
    let changes = reader.changes_after(0, 10).expect("read");
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Attempt && change.session_id.is_none()));
    assert_eq!(changes[1].at, at(3));
}

#[test]
fn attempts_are_found_by_network_and_time() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer");
    let attempts = [attempt(1, "192.0.2.7:1"), attempt(2, "[2001:db8::7]:2"), attempt(3, "192.0.3.1:3")];
    writer.commit(&attempts.iter().map(written).collect::<Vec<_>>()).expect("written");
    let reader = Reader::open(directory.path()).expect("a reader");
    let network = |text: &str| Some(text.parse().expect("a network"));
    let filter = AttemptFilter { network: network("192.0.0.0/16"), ..AttemptFilter::default() };
    assert_eq!(all(&reader, &filter), [attempts[0].clone(), attempts[2].clone()]);
    let filter = AttemptFilter { network: network("2001:db8::/32"), ..AttemptFilter::default() };
    assert_eq!(all(&reader, &filter), [attempts[1].clone()]);
    let filter =
        AttemptFilter { network: network("192.0.2.0/23"), since: Some(at(4)), ..AttemptFilter::default() };
    assert_eq!(all(&reader, &filter), [attempts[2].clone()]);
}

#[test]
fn only_the_newest_attempts_are_kept() {
    let directory = tempdir().expect("a folder");
    let mut writer = Writer::open(directory.path(), None).expect("a writer").keeping_attempts(10);
    let session = opening(9_000);
    writer.commit(&[opened(&session)]).expect("written");
    for batch in 0..7 {
        let updates: Vec<_> =
            (0..9).map(|number| written(&attempt(1 + batch * 9 + number, "192.0.2.7:1"))).collect();
        writer.commit(&updates).expect("written");
    }
    let reader = Reader::open(directory.path()).expect("a reader");
    let kept: Vec<_> =
        all(&reader, &AttemptFilter::default()).iter().map(|attempt| attempt.sshd_pid).collect();
    assert_eq!(kept, (54..=63).map(Some).collect::<Vec<_>>());
    // Their changes went with them; those of sessions stay for ever.
    let kinds: Vec<_> =
        reader.changes_after(0, 100).expect("read").iter().map(|change| change.kind).collect();
    assert_eq!((kinds.len(), kinds[0]), (11, ChangeKind::Opened));
    // Fewer are kept from now on.
    drop(writer);
    let mut writer = Writer::open(directory.path(), None).expect("a writer").keeping_attempts(0);
    writer.commit(&[written(&attempt(100, "192.0.2.7:1"))]).expect("written");
    assert!(all(&reader, &AttemptFilter::default()).is_empty());
}
