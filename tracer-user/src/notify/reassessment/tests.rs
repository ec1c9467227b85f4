//! What is told again, and what is said day by day.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use super::*;
use crate::config::{Config, Databases};
use crate::enrich::local::Local;
use crate::enrich::quota::Share;
use crate::enrich::{Enricher, Fact, Found, Source, Why};
use crate::notify::groups::Directory;
use crate::notify::outbox::{self, Outbox};
use crate::session::{Opening, Service, Sshd, Update};
use crate::store::Writer;

#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../../../../tests/risk/databases.rs"]
mod databases;

#[test]
fn only_yellow_and_red_are_told_again() {
    use Level::{High, Low, Medium, Unknown};
    let told = [(Unknown, Medium), (Unknown, High), (Low, Medium), (Low, High), (Medium, High)];
    for from in [Unknown, Low, Medium, High] {
        for to in [Unknown, Low, Medium, High] {
            assert_eq!(rises(from, to), told.contains(&(from, to)), "{from} {to}");
        }
    }
    assert_ne!(number_of(Medium), number_of(High));
}

/// What rates again in a state directory, without sinks.
fn task(dir: &Path, local: Local, sources: Vec<Rc<dyn Source>>, day: Duration) -> Reassessment {
    let enricher = Rc::new(Enricher::new(Duration::ZERO, Rc::new(local), sources));
    let Config { rules, risk, .. } = Config::default();
    let directory = Directory::new(&rules);
    let announcer = Announcer { rules, templates: Vec::new(), sinks: Vec::new(), directory };
    fs::create_dir(dir.join(outbox::DIRECTORY)).unwrap();
    Reassessment {
        outbox: Rc::new(RefCell::new(Outbox::open(dir).unwrap())),
        assessor: Rc::new(Assessor::new(dir.to_owned(), enricher, risk)),
        announcer: Rc::new(announcer),
        fresh: Rc::default(),
        wake_workers: Vec::new(),
        turn: tokio::sync::Mutex::default(),
        day,
        on_step: Rc::new(|_| {}),
    }
}

/// Runs it for half a second.
fn run(reassessment: &Reassessment) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = async { time::timeout(Duration::from_millis(500), reassessment.run()).await };
    let ended = tokio::task::LocalSet::new().block_on(&runtime, run);
    assert!(ended.is_err(), "it runs until the role ends");
}

/// How often the task says in half a second that a database is old.
fn warnings(day: Duration) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let city = dir.path().join("city.mmdb");
    let built = u64::try_from(Timestamp::now().as_second()).unwrap() - 40 * 86_400;
    fs::write(&city, databases::database("GeoLite2-City", built, &[])).unwrap();
    let local = Local::open(&Databases { city: Some(city), ..Databases::default() }, &[]);
    let reassessment = task(dir.path(), local, Vec::new(), day);
    let log = dir.path().join("log");
    let writer = Arc::new(fs::File::create(&log).unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    run(&reassessment);
    fs::read_to_string(log).unwrap().matches("a database is old").count()
}

#[test]
fn an_old_database_is_said_once_a_day() {
    assert!(warnings(Duration::from_millis(20)) >= 3);
    assert_eq!(warnings(DAY), 0, "what was said at the start is enough for the first day");
}

/// A service whose answers are good for no time; it counts who asks.
#[derive(Default)]
struct Asked(Cell<usize>);

impl Source for Asked {
    fn name(&self) -> &'static str {
        "Example"
    }

    fn promise(&self) -> Found {
        Found { reputation: Some(Fact::unknown(Why::Deadline)), ..Found::default() }
    }

    fn at_hand(&self, _: IpAddr, _: Timestamp) -> Option<Found> {
        None
    }

    fn ask<'a>(
        &'a self,
        _: IpAddr,
        share: Share,
        found: &'a RefCell<Found>,
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        assert_eq!(share, Share::Half, "nobody waits for it");
        self.0.set(self.0.get() + 1);
        Box::pin(async { found.borrow_mut().reputation = Some(Fact::unknown(Why::NoData)) })
    }
}

/// How often it is asked in half a second about somebody who is in.
fn asked(day: Duration) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let key = SessionKey::new("machine", "boot", 1, 1);
    let login = Opening {
        key,
        host: "web-1".to_owned(),
        service: Service::Ssh,
        by: None,
        boot_id: "boot".to_owned(),
        user: Some("alice".to_owned()),
        uid: Some(1000),
        peer: Some(([193, 146, 30, 20], 40_000).into()),
        local: None,
        auth: None,
        tty: None,
        sshd: Sshd { pid: 1, exe: None },
        sshd_start_boot_ns: 1,
        at: Timestamp::now(),
        recovered: false,
        container: None,
        account: None,
    };
    Writer::open(dir.path(), None).unwrap().commit(&[Update::Opened(Box::new(login))]).unwrap();
    let service = Rc::new(Asked::default());
    let local = Local::open(&Databases::default(), &[]);
    let reassessment = task(dir.path(), local, vec![Rc::clone(&service) as Rc<dyn Source>], day);
    let rating =
        reassessment.assessor.rate_key(key, Timestamp::now(), None, Facts::unknown(Why::NotConfigured));
    reassessment.outbox.borrow_mut().rate(key, &rating, &[], Timestamp::now()).unwrap();
    run(&reassessment);
    service.0.get()
}

#[test]
fn who_stays_in_is_asked_about_once_a_day() {
    assert!(asked(Duration::from_millis(20)) >= 3);
    assert_eq!(asked(DAY), 1, "at the start");
}
