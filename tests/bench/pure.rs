//! The pure parts, by criterion: `cargo bench -p tracer-user --bench pure`. They touch neither kernel nor disk nor network,
//! so that a change of them can be told from noise on any machine; what they cost in the whole is measured by `main.rs`.

#![expect(clippy::unwrap_used, reason = "what a benchmark relies on may panic, with its place")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use login_tracer::assess::{Level, assess};
use login_tracer::config::file::Source;
use login_tracer::config::{Secrets, parse};
use login_tracer::event::{Event, Fact, Service};
use login_tracer::notify::message::{self, Subject};
use login_tracer::notify::route::{Beginning, Case, Groups, decide};
use login_tracer::sanitize;
use login_tracer::tracker::Tracker;

#[expect(dead_code, reason = "the tests of rules need more of it")]
#[path = "../risk/case.rs"]
mod case;
mod replay;

use replay::{LOGINS, findings};

/// A password that was refused.
const REFUSED: &str = include_str!("../tracker/traces/attempts-wrong_password.jsonl");

fn tracker(criterion: &mut Criterion) {
    let [_, logins] = LOGINS;
    let events: Vec<Event> = replay::events(logins).collect();
    assert!(findings(&events) > 0, "nothing is found in the recording");
    let mut group = criterion.benchmark_group("tracker");
    group.throughput(Throughput::Elements(events.len() as u64));
    group
        .bench_function("events of recorded logins", |bencher| bencher.iter(|| findings(black_box(&events))));
    group.finish();
}

/// As many lines of a connection as attackers can make sshd write, which all are taken apart.
fn log_lines(criterion: &mut Criterion) {
    let events: Vec<Event> = replay::events(REFUSED).collect();
    let refusal = |event: &Event| {
        let Fact::LogLine { text } = &event.fact else { return None };
        text.contains("Failed password").then(|| text.clone())
    };
    let first = events.iter().position(|event| refusal(event).is_some()).expect("a password is refused");
    let text = refusal(&events[first]).unwrap();
    let head = text.split_once("]: ").unwrap().0;
    let origin = text.rsplit_once(" from ").unwrap().1.trim_end_matches(" ssh2");
    let mut tracker = Tracker::default();
    events[..first].iter().for_each(|event| tracker.handle(event));
    let line = |text: &str| {
        let text = format!("{head}]: {text}");
        Event { fact: Fact::LogLine { text }, ..events[first].clone() }
    };
    let lines = [
        line(&format!("Invalid user Accepted from 10.0.0.1 port 22 from {origin}")),
        line(&format!("Failed password for invalid user root from 10.0.0.1 from {origin} ssh2")),
        line(&format!("Failed password for alice from {origin} ssh2")),
        line("something that means nothing to us"),
    ];
    let state = serde_json::to_string(&tracker).unwrap();
    let mut group = criterion.benchmark_group("tracker");
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("log lines of a connection", |bencher| {
        let hear = |mut tracker: Tracker| {
            lines.iter().for_each(|line| tracker.handle(black_box(line)));
            tracker
        };
        let again = || serde_json::from_str::<Tracker>(&state).unwrap();
        bencher.iter_batched(again, hear, BatchSize::SmallInput);
    });
    group.finish();
}

fn assessment(criterion: &mut Criterion) {
    let plain = case::Case::plain();
    let hostile = case::Case::plain().root().password().reputation(90).became(1000, 0, "/usr/bin/sudo");
    criterion.bench_function("assess/an everyday login", |bencher| {
        bencher.iter(|| assess(black_box(&plain.login), &plain.facts, &plain.risk));
    });
    criterion.bench_function("assess/root by password from a bad address", |bencher| {
        bencher.iter(|| assess(black_box(&hostile.login), &hostile.facts, &hostile.risk));
    });
}

fn sanitizing(criterion: &mut Criterion) {
    let plain = "Accepted publickey for alice from 192.0.2.7";
    let hostile = "\u{1b}[2J\u{202e}<!channel>\r\n\0 https://example.org/ \u{200b}a\u{301}";
    for (name, text) in [("plain", plain), ("hostile", hostile)] {
        let mut group = criterion.benchmark_group("sanitize");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| sanitize::line(black_box(text))));
        group.bench_function(format!("{name}, and links"), |bencher| {
            bencher.iter(|| sanitize::unlinked(black_box(text)));
        });
        group.finish();
    }
}

/// Ten routes, of which the last one matches, an allowlist and quiet hours.
fn routing(criterion: &mut Criterion) {
    let mut text = "[sinks.phone]\ntype = \"console\"\n[sinks.room]\ntype = \"console\"\n".to_owned();
    for number in 0..9 {
        text += &format!(
            "[[routes]]\nkind = [\"opened\", \"escalated\"]\nuser = [\"root\", \"user{number}\"]\n\
             network = [\"10.{number}.0.0/16\"]\nsinks = [\"phone\"]\n"
        );
    }
    text += "[[routes]]\nsinks = [\"room\"]\n[[allow]]\nreason = \"backup\"\nuser = [\"backup\"]\n\
             [[quiet_hours]]\nfrom = \"22:00\"\nto = \"07:00\"\nexcept = [\"high\"]\n";
    let config = parse::config(&Source { text, is_public: false }, Secrets::Read).unwrap();
    let sinks: Vec<String> = config.sinks.iter().map(|sink| sink.name.clone()).collect();
    let at: Timestamp = "2026-11-21T23:05:34Z".parse().unwrap();
    let event = message::Event::Opened(Subject {
        host: "web-1".to_owned(),
        service: Service::Ssh,
        user: Some("alice".to_owned()),
        uid: Some(1000),
        by: None,
        peer: Some(([192, 0, 2, 7], 40_000).into()),
        auth: None,
        opened_at: at,
        recovered: false,
    });
    let case = Case::of(&event, Some(Level::Medium), Groups::Known(vec!["alice".to_owned()]));
    let decided =
        || decide(&config.rules, &sinks, black_box(&case), &Beginning::Undecided, at, &TimeZone::UTC);
    assert_eq!(decided().sinks.len(), 1, "the last route matches");
    criterion.bench_function("route/ten routes", |bencher| bencher.iter(decided));
}

criterion_group!(pure, tracker, log_lines, assessment, sanitizing, routing);
criterion_main!(pure);
