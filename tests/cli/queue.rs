//! `login-tracer queue`: pages and errors, and who may change what.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Output;
use std::time::Duration;

use expect_test::expect_file;
use jiff::{SignedDuration, Timestamp};
use login_tracer::cli::{QueueListArgs, QueueShowArgs};
use login_tracer::commands::queue::{list, show};
use login_tracer::notify::intake::delivery_id;
use login_tracer::notify::message::{Event, Message};
use login_tracer::notify::outbox::{
    self, Attempt, Claim, DeliveryRef, Finished, Limits, NewAnnouncement, NewDelivery, News, NewsKind,
    Outbox, Recorded, Selection, TakenIn,
};
use login_tracer::notify::route::{Verdict, Why};
use login_tracer::session::ChangeKind;
use login_tracer::supervise::Role;
use login_tracer::supervise::lock::{self, Holder};
use uuid::Uuid;

use crate::fixture::{NOW, State, key, time, view};
use crate::root::is_root_or_skip;

/// A group and an account that own nothing else.
const GROUP: u32 = 54_321;
const ACCOUNT: u32 = 54_323;
/// A member of the group.
const MEMBER: u32 = 54_322;

fn ago(minutes: i64) -> Timestamp {
    time(NOW) - SignedDuration::from_mins(minutes)
}

/// Logins of numbered sessions, announced to these sinks.
fn take_in(outbox: &mut Outbox, sessions: &[u32], sinks: &[&str], at: Timestamp) {
    let announcement = |session: &u32| {
        let subject = key(*session).to_string();
        let to = |sink: &&str| NewDelivery {
            id: delivery_id(&subject, ChangeKind::Opened, 1, sink),
            sink: (*sink).to_owned(),
            held_until: None,
            message: None,
        };
        let verdict =
            Verdict { at, reason: Why::NoRoutes, allowed: None, routes: Vec::new(), sinks: Vec::new() };
        NewAnnouncement {
            session: Some(key(*session)),
            kind: ChangeKind::Opened,
            seq: 1,
            event: Event::EventsLost { host: "web-1".to_owned(), at, count: 1 },
            finished: Some(Finished {
                message: Message {
                    summary: format!("SSH login: alice{session}\u{1b}[2J on web-1"),
                    level: None,
                    lines: Vec::new(),
                    is_reworded: false,
                },
                verdict,
                deliveries: sinks.iter().map(to).collect(),
            }),
            subject,
        }
    };
    let batch = TakenIn {
        store_id: Uuid::nil(),
        cursor: 1,
        ratings: Vec::new(),
        announcements: sessions.iter().map(announcement).collect(),
        better_known: Vec::new(),
        untold_after: None,
        reassessed: Vec::new(),
    };
    outbox.take_in(&batch, at).unwrap();
}

fn attempt(outbox: &mut Outbox, session: u32, sink: &str, at: Timestamp, status: u16, result: Recorded) {
    let delivery = delivery_id(&key(session).to_string(), ChangeKind::Opened, 1, sink);
    assert_eq!(outbox.claim(delivery, at).unwrap(), Claim::Held);
    let number = outbox_attempts(outbox, delivery);
    let attempt = Attempt {
        delivery,
        number,
        started: at,
        took: Duration::from_millis(120),
        status: Some(status),
        receipt: None,
        result,
    };
    outbox.record(&[attempt]).unwrap();
}

fn outbox_attempts(_outbox: &Outbox, delivery: Uuid) -> u32 {
    ATTEMPTS.with(|attempts| {
        let mut attempts = attempts.borrow_mut();
        let number = attempts.entry(delivery).or_insert(0);
        *number += 1;
        *number
    })
}

thread_local! {
    static ATTEMPTS: std::cell::RefCell<std::collections::HashMap<Uuid, u32>> = std::cell::RefCell::default();
}

/// Queues in every state.
fn example() -> State {
    let state = State::empty();
    fs::create_dir(state.path().join(outbox::DIRECTORY)).unwrap();
    let mut outbox = Outbox::open(state.path()).unwrap();
    outbox.register_sinks(&[("old", "ntfy")]).unwrap();
    take_in(&mut outbox, &[9], &["old"], ago(3000));
    outbox
        .register_sinks(&[("mail", "email"), ("ops", "slack"), ("tty", "console"), ("busy", "webhook")])
        .unwrap();
    take_in(&mut outbox, &[1, 2, 3], &["mail", "ops", "tty"], ago(90));
    take_in(&mut outbox, &[4], &["busy"], ago(5));
    let retry = |minutes, why: &str| Recorded::Retry {
        at: time(NOW) + SignedDuration::from_mins(minutes),
        why: why.to_owned(),
    };
    attempt(&mut outbox, 1, "mail", ago(89), 451, retry(-80, "451: greylisted\u{1b}[2J"));
    attempt(&mut outbox, 1, "mail", ago(80), 451, retry(7, "451: greylisted\u{1b}[2J"));
    attempt(&mut outbox, 2, "mail", ago(89), 550, Recorded::Parked { why: "550: no such user".to_owned() });
    for session in 1..=3 {
        attempt(&mut outbox, session, "tty", ago(90), 200, Recorded::Delivered);
    }
    attempt(&mut outbox, 4, "busy", ago(4), 503, retry(2, "HTTP 503"));
    let why = "HTTP 404: no_service\u{1b}[2J";
    let news = News {
        kind: NewsKind::SinkSuspended,
        subject: "sink/ops/1".to_owned(),
        event: Event::SinkSuspended {
            host: "web-1".to_owned(),
            at: ago(88),
            sink: "ops".to_owned(),
            why: why.to_owned(),
        },
        finished: Finished {
            message: Message {
                summary: "Messages to ops are held back".to_owned(),
                level: None,
                lines: Vec::new(),
                is_reworded: false,
            },
            verdict: Verdict {
                at: ago(88),
                reason: Why::NoRoutes,
                allowed: None,
                routes: Vec::new(),
                sinks: Vec::new(),
            },
            deliveries: vec![NewDelivery {
                id: News::delivery_id(NewsKind::SinkSuspended, "sink/ops/1", "tty"),
                sink: "tty".to_owned(),
                held_until: None,
                message: None,
            }],
        },
    };
    assert!(outbox.suspend("ops", why, b"mark", &news, ago(88)).unwrap());
    outbox.pause("busy", "by hand: moving", ago(3)).unwrap();
    let limits = Limits { max_age: Duration::from_secs(1 << 40), max_queued: 2 };
    assert_eq!(outbox.enforce("ops", limits, ago(2)).unwrap().dropped, 1);
    state
}

fn listed(state: &State, sink: Option<&str>, json: bool) -> String {
    let mut output = Vec::new();
    let args = QueueListArgs { sink: sink.map(str::to_owned), json };
    list::write(&args, state.path(), &view(false), &mut output).unwrap();
    String::from_utf8(output).unwrap()
}

fn shown(state: &State, id: &str, json: bool) -> String {
    let mut output = Vec::new();
    let args = QueueShowArgs { delivery: DeliveryRef::parse(id).unwrap(), json };
    show::write(&args, state.path(), &view(false), &mut output).unwrap();
    String::from_utf8(output).unwrap()
}

#[test]
fn queues_and_deliveries_as_people_and_programs_see_them() {
    let state = example();
    let id = delivery_id(&key(1).to_string(), ChangeKind::Opened, 1, "mail").to_string();
    let mut golden = String::new();
    for (title, text) in [
        ("queue list", listed(&state, None, false)),
        ("queue list --json", listed(&state, None, true)),
        ("queue list mail", listed(&state, Some("mail"), false)),
        ("queue list mail --json", listed(&state, Some("mail"), true)),
        ("queue list tty", listed(&state, Some("tty"), false)),
        ("queue show (the first digits)", shown(&state, &id[..8], false)),
        ("queue show --json", shown(&state, &id.to_uppercase(), true)),
    ] {
        assert!(!text.contains('\u{1b}'), "{text}");
        writeln!(golden, "## {title}\n{text}").unwrap();
    }
    expect_file!["../goldens/queue.txt"].assert_eq(&golden);
}

#[test]
fn errors_name_the_cause_and_the_remedy() {
    let mut golden = String::new();
    let mut case = |title: &str, state: &State, arguments: &[&str]| {
        let arguments = [&["queue"], arguments].concat();
        let shown = state.run(&arguments).shown();
        writeln!(golden, "## {title}\n$ login-tracer {}\n{shown}", arguments.join(" ").escape_debug())
            .unwrap();
    };
    let empty = State::empty();
    case("the role never ran", &empty, &["list"]);
    case("the role never ran, and is to change something", &empty, &["pause", "ops"]);
    let state = example();
    case("no such sink", &state, &["list", "opps\u{1b}[2J"]);
    case("no such sink to pause", &state, &["pause", "opps\u{1b}[2J"]);
    case("no such delivery", &state, &["show", "00000000"]);
    case("no such delivery to retry", &state, &["retry", "00000000"]);
    case("a sink that is not held", &state, &["resume", "mail"]);
    case(
        "a delivery that arrived",
        &state,
        &["retry", &delivery_id(&key(1).to_string(), ChangeKind::Opened, 1, "tty").to_string()],
    );
    case("a queue that cannot become empty", &state, &["drain", "--sink", "ops"]);
    case("a queue that nobody works at", &state, &["drain", "--sink", "mail"]);
    case("no such sink to wait for", &state, &["drain", "--sink", "opps"]);
    expect_file!["../goldens/queue-errors.txt"].assert_eq(&golden);
}

#[test]
fn an_abbreviation_that_fits_several_says_so() {
    let state = State::empty();
    fs::create_dir(state.path().join(outbox::DIRECTORY)).unwrap();
    let mut outbox = Outbox::open(state.path()).unwrap();
    outbox.register_sinks(&[("ops", "slack")]).unwrap();
    take_in(&mut outbox, &[1, 2], &["ops"], ago(1));
    let connection = rusqlite::Connection::open(outbox::path(state.path())).unwrap();
    for (session, id) in
        [(1, "abcd0000-0000-0000-0000-000000000001"), (2, "abcd1000-0000-0000-0000-000000000002")]
    {
        let now = delivery_id(&key(session).to_string(), ChangeKind::Opened, 1, "ops");
        connection
            .execute("UPDATE deliveries SET id = ?2 WHERE id = ?1", [now, Uuid::try_parse(id).unwrap()])
            .unwrap();
    }
    let run = state.run(&["queue", "show", "ABCD"]);
    assert_eq!(run.code(), Some(1));
    assert!(run.stderr().contains("several deliveries begin like this: abcd0000-"), "{}", run.stderr());
    assert_eq!(state.run(&["queue", "show", "abcd-1"]).code(), Some(0));
}

#[test]
fn changes_by_hand_while_nothing_runs() {
    let state = example();
    let run = state.run(&["queue", "drop", "--sink", "ops", "--older-than", "60m"]);
    assert_eq!(run.stdout(), "2 deliveries given up\n", "{}", run.stderr());
    assert_eq!(state.run(&["queue", "retry", "--all-parked"]).stdout(), "1 delivery to be sent now\n");
    assert_eq!(state.run(&["queue", "resume", "ops"]).stdout(), "ops is resumed\n");
    assert_eq!(state.run(&["queue", "pause", "ops"]).stdout(), "ops is paused\n");
    let mut outbox = Outbox::open(state.path()).unwrap();
    assert_eq!(outbox.drop_step(&Selection::AllParked, "x", time(NOW)).unwrap(), 0);
}

#[test]
fn only_root_and_the_account_of_the_role_may_change_the_queue() {
    if !is_root_or_skip("only_root_and_the_account_of_the_role_may_change_the_queue") {
        return;
    }
    let state = example();
    // As the roles leave it.
    state.open_to_others(0o750);
    chown(state.path(), Some(0), Some(GROUP)).unwrap();
    let folder = state.path().join(outbox::DIRECTORY);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        chown(&path, Some(ACCOUNT), Some(GROUP)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    }
    chown(&folder, Some(ACCOUNT), Some(GROUP)).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
    let run = |uid: u32, gid: u32, arguments: &[&str]| -> Output {
        let mut command = state.command(&[&["queue"], arguments].concat());
        command.uid(uid).gid(gid).output().unwrap()
    };
    let text =
        |output: &Output| String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap();
    // A member of the group looks, and no more.
    let listed = run(MEMBER, GROUP, &["list"]);
    assert!(listed.status.success() && text(&listed).contains("mail"), "{}", text(&listed));
    for arguments in [
        &["pause", "mail"][..],
        &["resume", "ops"],
        &["retry", "--all-parked"],
        &["drop", "--sink", "mail", "--older-than", "0s"],
    ] {
        let refused = run(MEMBER, GROUP, arguments);
        let text = text(&refused);
        assert_eq!(refused.status.code(), Some(78), "{text}");
        assert!(text.contains("only root and the account of the notify role may change the queue"), "{text}");
    }
    // Anybody else sees nothing.
    let refused = run(MEMBER, MEMBER, &["list"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    // The account itself, and root in its place: nothing in the folder becomes root's.
    let paused = run(ACCOUNT, GROUP, &["pause", "mail"]);
    assert!(paused.status.success(), "{}", text(&paused));
    let resumed = run(0, 0, &["resume", "mail"]);
    assert!(resumed.status.success(), "{}", text(&resumed));
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&entry.metadata().unwrap());
        assert_eq!(owner, ACCOUNT, "{:?}", entry.path());
    }
    // A role that holds its lock and does not listen is not written behind its back.
    assert!(lock::is_held(Holder::Role(Role::Notify), state.path()).is_ok_and(|held| !held));
}

#[test]
fn the_check_names_sinks_that_are_held() {
    let state = example();
    state.open_to_others(0o755);
    let shown = state.run(&["check"]).stdout();
    for expected in [
        "sink ops: suspended, 2 waiting: HTTP 404: no_service",
        "sink busy: paused, 1 waiting: by hand: moving",
        "sink old: is not configured, 1 waiting",
        "sink mail: refused for good, and parked: 1",
    ] {
        assert!(shown.contains(expected), "{expected} in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown}");
}
