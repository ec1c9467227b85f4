//! What is told again, and what is said day by day.

use std::fs;
use std::sync::Arc;

use super::*;
use crate::config::{Config, Databases};
use crate::enrich::Enricher;
use crate::enrich::local::Local;
use crate::notify::groups::Directory;
use crate::notify::outbox::{self, Outbox};

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

/// How often the task says in half a second that a database is old.
fn warnings(day: Duration) -> usize {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(outbox::DIRECTORY)).unwrap();
    let city = dir.path().join("city.mmdb");
    let built = u64::try_from(Timestamp::now().as_second()).unwrap() - 40 * 86_400;
    fs::write(&city, databases::database("GeoLite2-City", built, &[])).unwrap();
    let local = Local::open(&Databases { city: Some(city), ..Databases::default() }, &[]);
    let enricher = Rc::new(Enricher::new(Duration::ZERO, Rc::new(local), Vec::new()));
    let Config { rules, risk, .. } = Config::default();
    let directory = Directory::new(&rules);
    let announcer = Announcer { rules, templates: Vec::new(), sinks: Vec::new(), directory };
    let reassessment = Reassessment {
        outbox: Rc::new(RefCell::new(Outbox::open(dir.path()).unwrap())),
        assessor: Rc::new(Assessor::new(dir.path().to_owned(), enricher, risk)),
        announcer: Rc::new(announcer),
        late: Rc::default(),
        wake: Rc::default(),
        wake_workers: Vec::new(),
        turn: tokio::sync::Mutex::default(),
        day,
        on_step: Rc::new(|_| {}),
    };
    let log = dir.path().join("log");
    let writer = Arc::new(fs::File::create(&log).unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = async { time::timeout(Duration::from_millis(500), reassessment.run()).await };
    assert!(runtime.block_on(run).is_err(), "it runs until the role ends");
    fs::read_to_string(log).unwrap().matches("a database is old").count()
}

#[test]
fn an_old_database_is_said_once_a_day() {
    assert!(warnings(Duration::from_millis(20)) >= 3);
    assert_eq!(warnings(DAY), 0, "what was said at the start is enough for the first day");
}
