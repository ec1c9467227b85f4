//! What tells of many things at once: storms of attempts, and summaries.

use login_tracer::assess::Level;
use login_tracer::notify::message::{Counts, Event, compose};
use login_tracer::notify::storm::{Members, Tally};
use login_tracer::notify::summary::schedule::bars;
use login_tracer::notify::summary::{Bar, Levels, Messages, Risky, Summary};
use login_tracer::session::{self, Attempt, AttemptKey, Tried, TriedUser};

use crate::{at, check_message, zone};

#[test]
fn many_attempts_at_once() {
    let mut tally = Tally::default();
    for (number, user) in (0..40).zip(["root", "<!channel>\u{1b}[2J"].into_iter().cycle()) {
        tally.add(&attempt(number, user));
    }
    let (from, until) = tally.times().unwrap();
    let storm = Box::new(tally.storm());
    let members = Members::default();
    let event = Event::Stormed { host: "web-1".to_owned(), at: from, until, storm, members };
    check_message("attempts", &compose(&event, None, &zone()));
}

#[test]
fn a_name_of_nothing_leaves_no_line_empty() {
    for user in ["", " "] {
        let mut attempt = attempt(1, user);
        attempt.host = user.to_owned();
        attempt.tried.users.iter_mut().for_each(|user| user.is_known = true);
        attempt.tried.methods = vec![user.to_owned()];
        let message = compose(&Event::Attempted { attempt: Box::new(attempt) }, None, &zone());
        assert!(message.lines.iter().all(|line| !line.text.trim().is_empty()), "{message:?}");
        assert!(message.summary.starts_with("SSH attempt: nameless on unknown host from "), "{message:?}");
    }
}

#[test]
fn a_day_on_which_nothing_happened_and_one_on_which_much_did() {
    let mut summary = quiet_day();
    let from = summary.from;
    let told = |summary: &Summary| {
        let event = Event::Summary { every: "day".to_owned(), summary: Box::new(summary.clone()) };
        compose(&event, None, &zone())
    };
    check_message("summary-quiet", &told(&summary));
    let (mut users, mut tally) = (Counts::default(), Tally::default());
    for (number, level) in
        (0..40).zip([Level::Low, Level::Low, Level::Medium, Level::Unknown].into_iter().cycle())
    {
        users.add(["alice", "<!channel>\u{1b}[2J"][number % 2]);
        summary.logins.add(level);
        summary.bars[number % 7 * number % 24].logins.add(level);
        tally.add(&attempt(u32::try_from(number).unwrap(), "root"));
    }
    summary.riskiest.push(Risky {
        user: "<!channel>\u{1b}[2J".to_owned(),
        address: None,
        at: from,
        level: Level::Medium,
        score: Some(40),
    });
    summary.users = users.ranking(5);
    summary.attempts = tally.storm();
    (summary.open, summary.gained, summary.findings, summary.events_lost) = (1, 2, 1, 17);
    summary.messages = Messages { delivered: 80, given_up: 1, waiting: 3 };
    check_message("summary", &told(&summary));
}

pub(crate) fn quiet_day() -> Summary {
    let (from, until) = (at("2026-11-20T07:00:00Z"), at("2026-11-21T07:00:00Z"));
    let bar = |(from, label)| Bar { from, label, logins: Levels::default() };
    Summary {
        host: "web-1".to_owned(),
        from,
        until,
        bars: bars(from, until, &zone()).into_iter().map(bar).collect(),
        ..Summary::default()
    }
}

/// Somebody tries an account of this host, or something else.
pub(crate) fn attempt(number: u32, user: &str) -> Attempt {
    attempt_of(number, user, user == "root")
}

pub(crate) fn attempt_of(number: u32, user: &str, is_known: bool) -> Attempt {
    Attempt {
        key: AttemptKey::of_monitor("machine", "boot", number, 1),
        host: "web-1".to_owned(),
        peer: format!("192.0.2.{}:40000", number % 7).parse().unwrap(),
        local: None,
        sshd_pid: Some(number),
        began_at: at("2026-11-21T08:05:34Z"),
        ended_at: at("2026-11-21T08:05:36Z"),
        tried: Tried {
            users: vec![TriedUser { name: user.to_owned(), is_known }],
            methods: vec!["password".to_owned()],
            failures: 1,
        },
        reason: if is_known { session::Reason::WrongPassword } else { session::Reason::UnknownUser },
    }
}
