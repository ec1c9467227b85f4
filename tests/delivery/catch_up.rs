//! What became known while the role was down, or would have come late if it had lived: made up for after its start, told
//! once, and never without a reason.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use login_tracer::assess::Level;
use login_tracer::notify::outbox::DeliveryState;
use login_tracer::session::{SessionKey, Update};
use rusqlite::{Connection, OpenFlags};

use crate::http::Reply;
use crate::reassessment::{PEER, assessed, refused, told};
use crate::slack::Slack;
use crate::threat_jammer::{ThreatJammer, assessment};
use crate::world::{World, ago, closed, eventually, key, opened, opened_at};

/// Long enough for a role that has nothing to wait for.
const A_WHILE: Duration = Duration::from_millis(1500);
const RISEN: &str = "SSH session is riskier: alice on web-1 from 193.146.30.20, risk 90 (HIGH)";

/// A world with a list that names nobody, and alice and bob logged in when it was read.
struct Listed {
    slack: Slack,
    service: ThreatJammer,
    world: World,
    lists: tempfile::TempDir,
}

impl Listed {
    fn rated() -> Self {
        let (slack, service) = (Slack::start(), ThreatJammer::start());
        let mut world = World::with_slack(&slack);
        world.setup.threat_jammer = Some(service.server.url());
        let lists = tempfile::tempdir().unwrap();
        world.setup.list = Some(lists.path().join("drop.txt"));
        let mut listed = Self { slack, service, world, lists };
        listed.write("198.51.100.1\n");
        let role = listed.world.start();
        listed.world.commit(&[
            opened(1, "alice", PEER),
            opened(2, "bob", "193.146.31.20"),
            opened(3, "carol", PEER),
        ]);
        for number in 1..=3 {
            listed.world.settled(key(number), DeliveryState::Delivered);
        }
        listed.world.commit(&[closed(3)]);
        eventually("the end", || {
            let rows = listed.world.deliveries(key(3));
            (rows.len() == 2 && rows.iter().all(|row| row.state == DeliveryState::Delivered)).then_some(())
        });
        drop(role);
        listed
    }

    fn write(&self, content: &str) {
        let beside = self.lists.path().join("drop.new");
        fs::write(&beside, content).unwrap();
        fs::rename(&beside, self.lists.path().join("drop.txt")).unwrap();
    }

    fn run_idle(&self) -> Vec<String> {
        run_idle(&self.world)
    }
}

/// Starts the role and lets it do whatever it has to do; what it did.
pub(crate) fn run_idle(world: &World) -> Vec<String> {
    fs::remove_file(journal(world)).ok();
    // The log is that of all roles so far.
    let starts = || {
        let log = fs::read_to_string(world.path().join("role.log")).unwrap_or_default();
        log.matches("the notify role is working").count()
    };
    let before = starts();
    let role = world.start();
    eventually("the start", || (starts() > before).then_some(()));
    thread::sleep(A_WHILE);
    drop(role);
    steps(world)
}

fn journal(world: &World) -> PathBuf {
    world.path().join("steps")
}

/// The steps that roles have taken since the journal was removed.
pub(crate) fn steps(world: &World) -> Vec<String> {
    let journal = fs::read_to_string(journal(world)).unwrap_or_default();
    journal.lines().map(str::to_owned).collect()
}

/// Routes by which nothing is told.
const NOWHERE: &str = "[[routes]]\nname = \"nowhere\"\nsinks = []\n";
const RATED: &str = "SELECT count(*) FROM assessments";
const RATED_HIGH: &str = "SELECT count(*) FROM assessments WHERE level = 'high'";

/// What a statement counts in `delivery.db`; nothing as long as there is none.
fn count(world: &World, sql: &str) -> u32 {
    let path = login_tracer::notify::outbox::path(world.path());
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    connection.and_then(|connection| connection.query_row(sql, [], |row| row.get(0))).unwrap_or_default()
}

/// How often a level that rose was told.
pub(crate) fn risen(slack: &Slack) -> usize {
    told(slack).iter().filter(|(text, _)| text.contains("riskier")).count()
}

pub(crate) fn level(world: &World, session: SessionKey) -> Option<Level> {
    assessed(world, session).map(|found| found.level)
}

#[test]
fn a_list_that_changed_while_nobody_looked() {
    let mut listed = Listed::rated();
    listed.write("193.146.30.0/24\n");
    let asked = listed.service.paths().len();
    let role = listed.world.start();
    eventually("the news", || (told(&listed.slack).len() == 5).then_some(()));
    assert_eq!(told(&listed.slack).remove(4), (RISEN.to_owned(), "#ff0002".to_owned()));
    assert_eq!(level(&listed.world, key(2)), Some(Level::Low), "who comes from elsewhere");
    assert_eq!(level(&listed.world, key(3)), Some(Level::Low), "who is gone");
    // Killed before it has written down that it was confirmed, it would tell it once more.
    listed.world.settled(key(1), DeliveryState::Delivered);
    drop(role);
    // Everybody rests on the list as it is now, also those who are not in it.
    assert!(listed.run_idle().is_empty());
    // The same list, written once more with other comments, is another one; who is in it is not.
    listed.write("# yesterday's\n193.146.30.0/24\n");
    assert_eq!(listed.run_idle(), ["Reassess"]);
    // One that cannot be read says what it said, and nothing is told when it can be read again.
    listed.write("<html>");
    listed.run_idle();
    assert_eq!(level(&listed.world, key(1)), Some(Level::High));
    assert_eq!(assessed(&listed.world, key(1)).unwrap().score, Some(90));
    assert_eq!(level(&listed.world, key(2)), Some(Level::Low));
    listed.write("193.146.30.0/24\n");
    assert_eq!(listed.run_idle(), ["Reassess"]);
    // Who is listed no more falls, and rises again, untold.
    listed.write("198.51.100.1\n");
    listed.run_idle();
    assert_eq!(level(&listed.world, key(1)), Some(Level::Low));
    listed.write("193.146.30.0/24\n");
    listed.run_idle();
    assert_eq!(level(&listed.world, key(1)), Some(Level::High));
    // A list that is not configured any more names nobody.
    listed.world.setup.list = None;
    listed.run_idle();
    assert_eq!(level(&listed.world, key(1)), Some(Level::Low));
    assert!(listed.run_idle().is_empty());
    assert_eq!(told(&listed.slack).len(), 5);
    assert_eq!(listed.service.paths().len(), asked, "nobody was asked for it");
}

#[test]
fn killed_after_every_step_of_a_list() {
    for step in 1.. {
        let mut listed = Listed::rated();
        listed.write("193.146.30.0/24\n");
        fs::remove_file(journal(&listed.world)).unwrap();
        listed.world.setup.kill_at = Some(step);
        let mut role = listed.world.start();
        let last = ["Reassess", "Claim", "Send", "Record"].get(step as usize - 1);
        let Some(last) = last else {
            eventually("the news", || (risen(&listed.slack) == 1).then_some(()));
            thread::sleep(A_WHILE);
            assert!(role.ended().is_none(), "{:?}", steps(&listed.world));
            break;
        };
        eventually("end by the kill", || role.ended());
        drop(role);
        assert_eq!(steps(&listed.world).last().map(String::as_str), Some(*last));
        listed.world.setup.kill_at = None;
        let role = listed.world.start();
        eventually("the news", || (risen(&listed.slack) > 0).then_some(()));
        eventually("all delivered", || {
            let rows = listed.world.deliveries(key(1));
            (rows.len() == 2 && rows.iter().all(|row| row.state == DeliveryState::Delivered)).then_some(())
        });
        drop(role);
        assert!(listed.run_idle().is_empty(), "killed after {last}");
        assert_eq!(level(&listed.world, key(1)), Some(Level::High));
        // Only what was on its way is repeated.
        assert_eq!(risen(&listed.slack), if *last == "Send" { 2 } else { 1 }, "killed after {last}");
    }
}

/// A world in which the service had not answered about alice when the role was killed.
fn cut_off(login: Option<Update>) -> (Slack, ThreatJammer, World) {
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    says_nothing(&service);
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    world.setup.deadline_ms = 300;
    let login = login.unwrap_or_else(|| opened(1, "alice", PEER));
    let role = world.start();
    // What was before the first start is no news.
    world.commit(&[opened(9, "dave", "10.0.0.1")]);
    world.settled(key(9), DeliveryState::Delivered);
    world.commit(&[login]);
    world.settled(key(1), DeliveryState::Delivered);
    drop(role);
    assert_eq!(level(&world, key(1)), Some(Level::Unknown));
    fs::remove_file(journal(&world)).unwrap();
    answers(&service);
    (slack, service, world)
}

fn says_nothing(service: &ThreatJammer) {
    service.mood(|request| {
        let is_slow = request.path.starts_with("/v1/assess");
        is_slow.then(|| Reply::Slow(Duration::from_secs(30), Box::new(Reply::new(200, assessment("x", "1")))))
    });
}

fn answers(service: &ThreatJammer) {
    service.mood(|request| {
        let is_assessment = request.path.starts_with("/v1/assess");
        is_assessment.then(|| Reply::new(200, assessment("x", "80")))
    });
}

fn assessments(service: &ThreatJammer) -> usize {
    service.paths().iter().filter(|path| path.starts_with("/v1/assess")).count()
}

#[test]
fn killed_before_and_after_every_step_of_a_late_answer() {
    for step in 1.. {
        let (slack, service, mut world) = cut_off(None);
        assert_eq!(assessments(&service), 1);
        world.setup.kill_at = Some(step);
        let mut role = world.start();
        let last = ["Enrich", "Reassess", "Claim", "Send", "Record"].get(step as usize - 1);
        if let Some(last) = last {
            eventually("end by the kill", || role.ended());
            drop(role);
            assert_eq!(steps(&world).last().map(String::as_str), Some(*last));
            world.setup.kill_at = None;
            role = world.start();
        }
        eventually("the news", || (risen(&slack) > 0).then_some(()));
        eventually("all delivered", || {
            let rows = world.deliveries(key(1));
            (rows.len() == 2 && rows.iter().all(|row| row.state == DeliveryState::Delivered)).then_some(())
        });
        thread::sleep(A_WHILE);
        drop(role);
        let found = assessed(&world, key(1)).unwrap();
        assert_eq!((found.level, found.score), (Level::High, Some(80)));
        assert_eq!(assessments(&service), 2, "killed after {last:?}: asked once more, and then remembered");
        assert_eq!(risen(&slack), if last == Some(&"Send") { 2 } else { 1 }, "killed after {last:?}");
        assert_eq!(run_idle(&world), [""; 0], "nothing is left to do");
        if last.is_none() {
            break;
        }
    }
}

#[test]
fn a_session_of_hours_ago_that_is_open_is_asked_about_too() {
    let (slack, service, world) = cut_off(Some(opened_at(1, "alice", PEER, ago(300))));
    // This time it is late once more.
    service.mood(|request| {
        let answer = Reply::new(200, assessment("x", "80"));
        let is_slow = request.path.starts_with("/v1/assess");
        is_slow.then(|| Reply::Slow(Duration::from_secs(1), Box::new(answer)))
    });
    let _role = world.start();
    eventually("the news", || (risen(&slack) == 1).then_some(()));
    assert_eq!(level(&world, key(1)), Some(Level::High));
}

#[test]
fn who_is_gone_is_asked_about_for_ten_minutes() {
    for (since, asked) in [(1, 2), (11, 1)] {
        let (_slack, service, mut world) = cut_off(Some(opened_at(1, "alice", PEER, ago(since))));
        world.commit(&[closed(1)]);
        run_idle(&world);
        assert_eq!(assessments(&service), asked, "logged in {since} minutes ago");
        let known = if asked == 2 { Level::High } else { Level::Unknown };
        assert_eq!(level(&world, key(1)), Some(known), "logged in {since} minutes ago");
    }
}

#[test]
fn many_who_wait_for_one_answer_get_it() {
    // More than are looked at, read or written at once.
    const MANY: u32 = 300;
    let (slack, service) = (Slack::start(), ThreatJammer::start());
    says_nothing(&service);
    let mut world = World::with_slack(&slack);
    world.setup.threat_jammer = Some(service.server.url());
    world.setup.deadline_ms = 300;
    world.setup.rules = NOWHERE.to_owned();
    let role = world.start();
    world.commit(&(1..=MANY).map(|number| opened(number, "alice", PEER)).collect::<Vec<_>>());
    eventually("all rated", || (count(&world, RATED) == MANY).then_some(()));
    drop(role);
    assert_eq!(count(&world, RATED_HIGH), 0);
    answers(&service);
    let before = assessments(&service);
    let _role = world.start();
    eventually("the answer", || (count(&world, RATED_HIGH) == MANY).then_some(()));
    assert_eq!(assessments(&service), before + 1);
}

#[test]
fn a_list_and_tries_at_the_same_time_lose_nothing_of_each_other() {
    const MANY: u32 = 200;
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    world.setup.rules = NOWHERE.to_owned();
    let lists = tempfile::tempdir().unwrap();
    let list = lists.path().join("drop.txt");
    fs::write(&list, "198.51.100.1\n").unwrap();
    world.setup.list = Some(list.clone());
    let role = world.start();
    world.commit(&(1..=MANY).map(|number| opened(number, "alice", PEER)).collect::<Vec<_>>());
    eventually("all rated", || (count(&world, RATED) == MANY).then_some(()));
    drop(role);
    // All are rated again for both, by two who begin at once.
    fs::write(&list, "193.146.30.0/24\n").unwrap();
    world.commit(&[refused(1, PEER, 5), opened(MANY + 1, "bob", "10.0.0.1")]);
    let _role = world.start();
    eventually("the changes taken in", || assessed(&world, key(MANY + 1)));
    eventually("all rated by both", || (count(&world, RATED_HIGH) == MANY).then_some(()));
    let tried = (1..=MANY).filter(|number| {
        let reasons = assessed(&world, key(*number)).unwrap().reasons;
        reasons.iter().any(|reason| reason.text.starts_with("5 refused"))
    });
    assert_eq!(tried.count(), MANY as usize);
}

#[test]
fn the_quota_is_not_overdrawn_for_those_who_are_in() {
    let (slack, service, mut world) = cut_off(None);
    // All that were allowed this minute were made.
    world.setup.per_minute = 1;
    let asked = service.paths().len();
    let role = world.start();
    eventually("the refusal", || {
        let found = assessed(&world, key(1))?.reasons;
        found.iter().any(|reason| reason.text.contains("not looked up")).then_some(())
    });
    thread::sleep(A_WHILE);
    drop(role);
    assert_eq!(service.paths().len(), asked);
    assert_eq!((level(&world, key(1)), risen(&slack)), (Some(Level::Unknown), 0));
}

#[test]
fn who_waits_for_an_answer_may_use_up_the_quota() {
    let (_slack, _service, mut world) = cut_off(None);
    // One of two was made.
    world.setup.per_minute = 2;
    let _role = world.start();
    eventually("the answer", || (level(&world, key(1)) == Some(Level::High)).then_some(()));
}

#[test]
fn a_list_that_concerns_few_of_many_is_told_for_few() {
    // More than are looked at, read or written at once.
    const MANY: u32 = 2_500;
    let slack = Slack::start();
    let mut world = World::with_slack(&slack);
    world.setup.rules = "[[routes]]\nname = \"risen\"\nkind = \"raised\"\nsinks = [\"team\"]\n\
         [[routes]]\nname = \"rest\"\nsinks = []\n"
        .to_owned();
    let lists = tempfile::tempdir().unwrap();
    let list = lists.path().join("drop.txt");
    fs::write(&list, "198.51.100.1\n").unwrap();
    world.setup.list = Some(list.clone());
    let role = world.start();
    let logins: Vec<_> = (0..MANY)
        .map(|number| opened(number + 1, "alice", &format!("193.146.{}.{}", number / 250, number % 250)))
        .collect();
    world.commit(&logins);
    eventually("all rated", || (count(&world, RATED) == MANY).then_some(()));
    drop(role);
    assert_eq!(told(&slack).len(), 0);
    // The first, the last and one between.
    fs::write(&list, "193.146.0.0/32\n193.146.4.17\n193.146.9.249\n").unwrap();
    let role = world.start();
    let editions = "SELECT count(DISTINCT json_extract(facts, '$.edition')) FROM assessments
                    WHERE json_extract(facts, '$.edition') IS NOT NULL";
    eventually("the news", || (risen(&slack) == 3).then_some(()));
    eventually("all rated by one list", || (count(&world, editions) == 1).then_some(()));
    drop(role);
    assert_eq!(count(&world, RATED_HIGH), 3);
    assert_eq!(count(&world, "SELECT count(*) FROM announcements WHERE kind = 'risk raised'"), 3);
    assert_eq!(told(&slack).len(), 3);
}
