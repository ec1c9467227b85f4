//! What is put together for a rating: the address, the account, the past.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use login_tracer::config::Risk;
use login_tracer::enrich::address::Scope;
use login_tracer::enrich::local::Local;
use login_tracer::enrich::{Enricher, Fact, Facts, Why};
use login_tracer::event::Service;
use login_tracer::notify::assessor::Assessor;
use login_tracer::session::{AccountState, Container, Opening, SessionKey, Sshd, Update};
use login_tracer::store::{Reader, Writer};

/// Root logs in at noon, in one way more or less; what is found of it without asking anybody.
fn rated(change: impl FnOnce(&mut Opening)) -> Facts {
    let folder = tempfile::tempdir().unwrap();
    let mut opening = Opening {
        key: SessionKey::new("machine", "boot", 1, 1),
        host: "web-1".to_owned(),
        service: Service::Ssh,
        by: None,
        boot_id: "boot".to_owned(),
        // The one account that every host has.
        user: Some("root".to_owned()),
        uid: Some(0),
        peer: Some("10.0.0.1:40000".parse().unwrap()),
        local: None,
        auth: None,
        tty: None,
        sshd: Sshd { pid: 1, exe: None },
        sshd_start_boot_ns: 1,
        at: "2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap(),
        recovered: false,
        container: None,
        account: None,
    };
    change(&mut opening);
    let mut writer = Writer::open(folder.path(), None).unwrap();
    writer.commit(&[Update::Opened(Box::new(opening))]).unwrap();
    let enricher = Rc::new(Enricher::new(Duration::from_secs(3), Rc::new(Local::none()), Vec::new()));
    let assessor = Assessor::new(folder.path().to_owned(), enricher, Risk::default());
    let reader = Reader::open(folder.path()).unwrap();
    let session = reader.session(1).unwrap().unwrap();
    assessor.at_hand(&reader, &session, session.opened_at).unwrap().1
}

#[test]
fn how_the_account_stood_is_what_the_session_says() {
    for state in [AccountState::Usable, AccountState::Locked, AccountState::Expired, AccountState::NoPassword]
    {
        let facts = rated(|opening| opening.account = Some(state));
        assert_eq!(facts.account.known().unwrap().state, Fact::Known(state));
    }
}

#[test]
fn accounts_of_containers_are_their_own() {
    let facts = rated(|opening| {
        opening.account = Some(AccountState::Locked);
        opening.container = Some(Container { pid_namespace: 4_026_532_001, cgroup: None });
    });
    assert_eq!(facts.account, Fact::unknown(Why::InContainer));
}

#[test]
fn whoever_was_here_already_has_no_address_to_be_judged_by() {
    assert_eq!(rated(|opening| opening.service = Service::Su).reputation, Fact::unknown(Why::Local));
    assert_eq!(rated(|opening| opening.peer = None).reputation, Fact::unknown(Why::NoAddress));
    assert_eq!(rated(|_| {}).reputation, Fact::unknown(Why::NotPublic(Scope::Private)));
}
