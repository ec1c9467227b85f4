//! What is told in these tests, and to whom.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use login_tracer::assess::{Level, Login, assess};
use login_tracer::config::{self, Risk};
use login_tracer::enrich::address::Scope;
use login_tracer::enrich::{Fact, Facts, Network, Place, Reputation, Why};
use login_tracer::event::Doubt;
use login_tracer::notify::message::{Counts, Event, Subject, compose, group};
use login_tracer::notify::outbox::Delivery;
use login_tracer::notify::sink::http::{Clients, Http, Service};
use login_tracer::notify::sink::{Report, Sink};
use login_tracer::notify::storm::{Members, Refused, Storm};
use login_tracer::notify::summary::schedule::bars;
use login_tracer::notify::summary::{Bar, Levels, Messages, Risky, Summary};
use login_tracer::session::{
    self, Attempt, AttemptKey, Auth, AuthKey, Certificate, End, Escalation, ForeignSshd, Identity, Tried,
    TriedUser,
};
use proptest::prelude::*;
use uuid::Uuid;

/// The key of the session that all of it is about.
pub(crate) const SESSION: &str = "0b6fd3c4-1f8f-5a53-9d5c-6a0e3c1f0a11";

/// Texts that strangers choose.
#[derive(Debug, Clone)]
pub(crate) struct Strangers {
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) reason: String,
    pub(crate) network: String,
    pub(crate) city: String,
}

impl Strangers {
    pub(crate) fn polite() -> Self {
        Self {
            user: "alice".to_owned(),
            host: "web-1".to_owned(),
            reason: "Not listed in any dataset".to_owned(),
            network: "XTRA TELECOM".to_owned(),
            city: "Madrid".to_owned(),
        }
    }
}

/// The messages of the goldens, by name.
pub(crate) fn messages() -> Vec<(&'static str, Delivery)> {
    let polite = Strangers::polite();
    let listed = Strangers {
        user: "root".to_owned(),
        reason: "Listed as TOR exit and brute forcing host".to_owned(),
        ..polite.clone()
    };
    let hostile = Strangers {
        user: "<!channel> @everyone [x](https://evil.example) `*_~|\u{1b}[2J\u{202e}\n12:00 LOGIN root"
            .to_owned(),
        host: "<@U024BE7LH>&amp;<b>web</b> www.evil.example".to_owned(),
        reason: "<a href=\"https://evil.example\">click</a>\r\n.\r\n{\"ok\":true} ]\" \\".to_owned(),
        network: "<!here>'%n$(reboot)`id`".repeat(6),
        city: "\u{2028}Subject: x".to_owned(),
    };
    let private = Delivery { rating: Some(unknown()), ..opened(&polite, 0) };
    vec![
        ("login, low", opened(&polite, 12)),
        ("login, high", opened(&listed, 91)),
        ("login, unknown", recomposed(private)),
        ("login, hostile", opened(&hostile, 70)),
        ("logout", closed(&polite, 12)),
        ("gained", gained(&polite, "/usr/bin/sudo")),
        ("foreign sshd", foreign(&polite, "/home/alice/sshd")),
        ("events lost", lost()),
        ("attempt", attempted(&polite, true)),
        ("attempt, hostile", attempted(&hostile, false)),
        ("attempts", stormed(&polite)),
        ("attempts, hostile", stormed(&hostile)),
        ("summary", summarized(&polite)),
        ("summary, hostile", summarized(&hostile)),
        ("sink suspended", suspended(&polite)),
        ("sink suspended, hostile", suspended(&hostile)),
        ("messages lost", messages_lost(&polite)),
        ("group", grouped(&[opened(&polite, 12), closed(&polite, 12), opened(&listed, 91)])),
        ("group, hostile", grouped(&[opened(&hostile, 70), gained(&hostile, "/tmp/x")])),
    ]
}

pub(crate) fn opened(strangers: &Strangers, score: u8) -> Delivery {
    delivery(Event::Opened(subject(strangers)), Some(facts(strangers, score)))
}

pub(crate) fn closed(strangers: &Strangers, score: u8) -> Delivery {
    let event =
        Event::Closed { subject: subject(strangers), at: at("2026-11-21T08:33:12Z"), end: End::Logout };
    delivery(event, Some(facts(strangers, score)))
}

pub(crate) fn gained(strangers: &Strangers, exe: &str) -> Delivery {
    let identity = |uid, user: &str| Identity { uid, user: Some(user.to_owned()) };
    let (from, to) = (identity(1000, &strangers.user), identity(0, "root"));
    let how = Escalation { pid: 4711, from, to, exe: exe.to_owned() };
    let event = Event::Escalated { subject: subject(strangers), at: at("2026-11-21T08:06:00Z"), how };
    delivery(event, Some(facts(strangers, 12)))
}

pub(crate) fn foreign(strangers: &Strangers, exe: &str) -> Delivery {
    let run_by = Identity { uid: 1000, user: Some(strangers.user.clone()) };
    let foreign = ForeignSshd { pid: 4711, run_by, exe: exe.to_owned(), doubt: Doubt::User };
    let event = Event::ForeignSshd { host: strangers.host.clone(), at: at("2026-11-21T08:06:00Z"), foreign };
    Delivery { subject: format!("{SESSION}/8"), ..delivery(event, None) }
}

pub(crate) fn lost() -> Delivery {
    let event = Event::EventsLost { host: "web-1".to_owned(), at: at("2026-11-21T08:05:34Z"), count: 17 };
    Delivery { subject: "0b6fd3c4-1f8f-5a53-9d5c-6a0e3c1f0a11/7".to_owned(), ..delivery(event, None) }
}

/// A connection that led to no session.
pub(crate) fn attempted(strangers: &Strangers, is_known: bool) -> Delivery {
    let attempt = Attempt {
        key: AttemptKey::of_monitor("machine", "boot", 7, 1),
        host: strangers.host.clone(),
        peer: "193.146.30.1:51122".parse().unwrap(),
        local: None,
        sshd_pid: Some(7),
        began_at: at("2026-11-21T08:05:34Z"),
        ended_at: at("2026-11-21T08:05:36Z"),
        tried: Tried {
            users: vec![TriedUser { name: strangers.user.clone(), is_known }],
            methods: vec!["publickey".to_owned(), strangers.network.clone()],
            failures: 2,
        },
        reason: if is_known { session::Reason::WrongPassword } else { session::Reason::UnknownUser },
    };
    let event = Event::Attempted { attempt: Box::new(attempt) };
    Delivery { subject: format!("{SESSION}/9"), ..delivery(event, None) }
}

/// Many attempts at once.
pub(crate) fn stormed(strangers: &Strangers) -> Delivery {
    let event = Event::Stormed {
        host: strangers.host.clone(),
        at: at("2026-11-21T08:05:36Z"),
        until: at("2026-11-21T08:06:36Z"),
        storm: Box::new(storm(strangers)),
        members: Members::default(),
    };
    Delivery { subject: format!("{SESSION}/10-1210"), ..delivery(event, None) }
}

/// What happened in a day.
pub(crate) fn summarized(strangers: &Strangers) -> Delivery {
    let (from, until) = (at("2026-11-20T07:00:00Z"), at("2026-11-21T07:00:00Z"));
    let (mut users, mut addresses, mut logins) = (Counts::default(), Counts::default(), Levels::default());
    users.add(&strangers.user);
    (0..200).for_each(|_| users.add("backup"));
    (0..201).for_each(|_| addresses.add("193.146.30.12"));
    let mut bars: Vec<_> = bars(from, until, &zone())
        .into_iter()
        .map(|(from, label)| Bar { from, label, logins: Levels::default() })
        .collect();
    for number in 0..200_usize {
        logins.add(Level::Low);
        // A night's work.
        bars[15 + number % 20 / 8].logins.add(Level::Low);
    }
    for (hour, level) in [(3, Level::High), (4, Level::Unknown), (4, Level::Medium)] {
        logins.add(level);
        bars[hour].logins.add(level);
    }
    let risky = |user: &str, level, score| Risky {
        user: user.to_owned(),
        address: Some("193.146.30.12".to_owned()),
        at: at("2026-11-20T10:14:00Z"),
        level,
        score,
    };
    let summary = Summary {
        host: strangers.host.clone(),
        from,
        until,
        logins,
        users: users.ranking(5),
        addresses: addresses.ranking(5),
        riskiest: vec![
            risky(&strangers.user, Level::High, Some(91)),
            risky("bob", Level::Medium, Some(40)),
            risky("bob", Level::Unknown, None),
        ],
        open: 2,
        gained: 1,
        findings: 0,
        events_lost: 0,
        attempts: storm(strangers),
        messages: Messages { delivered: 412, given_up: 2, waiting: 0 },
        bars,
    };
    let event = Event::Summary { every: "day".to_owned(), summary: Box::new(summary) };
    Delivery { subject: "summary/day to mail/1763708400000000".to_owned(), ..delivery(event, None) }
}

fn storm(strangers: &Strangers) -> Storm {
    let (mut users, mut addresses) = (Counts::default(), Counts::default());
    users.add(&strangers.user);
    (0..7).for_each(|_| users.add("root"));
    (0..1200).for_each(|number| addresses.add(&format!("192.0.2.{}", number % 7)));
    Storm {
        count: 1200,
        addresses: addresses.ranking(5),
        users: users.ranking(5),
        unknown_users: 1192,
        reasons: vec![
            Refused { reason: session::Reason::UnknownUser, count: 1192 },
            Refused { reason: session::Reason::WrongPassword, count: 8 },
        ],
    }
}

pub(crate) fn suspended(strangers: &Strangers) -> Delivery {
    let event = Event::SinkSuspended {
        host: strangers.host.clone(),
        at: at("2026-11-21T08:07:00Z"),
        sink: "team".to_owned(),
        why: format!("HTTP 404: {}", strangers.reason),
    };
    Delivery { subject: "sink/team/1763712420000000".to_owned(), ..delivery(event, None) }
}

pub(crate) fn messages_lost(strangers: &Strangers) -> Delivery {
    let event = Event::MessagesLost {
        host: strangers.host.clone(),
        at: at("2026-11-21T08:08:00Z"),
        sink: "team".to_owned(),
        expired: 1,
        dropped: 2000,
    };
    Delivery { subject: "sink/team/1763712480000000".to_owned(), ..delivery(event, None) }
}

/// Several changes in one message.
pub(crate) fn grouped(changes: &[Delivery]) -> Delivery {
    let told: Vec<_> = changes.iter().map(|change| (change.event.clone(), change.message.clone())).collect();
    let (event, words) = group(&told, &zone());
    let id = changes[0].id;
    Delivery { id, subject: format!("group/{id}"), message: words, ..delivery(event, None) }
}

fn delivery(event: Event, facts: Option<Facts>) -> Delivery {
    let rating = facts.map(|facts| (rate(&facts), facts));
    let words = compose(&event, rating.as_ref().map(|(assessment, facts)| (assessment, facts)), &zone());
    Delivery {
        id: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{:?}", event.at()).as_bytes()),
        attempt: 1,
        subject: SESSION.to_owned(),
        event,
        rating,
        message: words,
        first_receipt: None,
    }
}

fn recomposed(delivery: Delivery) -> Delivery {
    let rating = delivery.rating.as_ref().map(|(assessment, facts)| (assessment, facts));
    Delivery { message: compose(&delivery.event, rating, &zone()), ..delivery }
}

fn unknown() -> (login_tracer::assess::Assessment, Facts) {
    let facts = Facts::unknown(Why::NotPublic(Scope::Private));
    (rate(&facts), facts)
}

fn rate(facts: &Facts) -> login_tracer::assess::Assessment {
    assess(&Login::of_nobody(Timestamp::UNIX_EPOCH), facts, &Risk::default())
}

fn subject(strangers: &Strangers) -> Subject {
    Subject {
        service: login_tracer::session::Service::Ssh,
        by: None,
        host: strangers.host.clone(),
        user: Some(strangers.user.clone()),
        uid: Some(1000),
        peer: Some("193.146.30.12:51122".parse().unwrap()),
        auth: Some(Auth {
            method: "publickey".to_owned(),
            key: Some(key("ED25519-CERT")),
            certificate: Some(Certificate { id: strangers.city.clone(), serial: 7, ca: key("RSA") }),
            user_log: None,
        }),
        opened_at: at("2026-11-21T08:05:34.250Z"),
        recovered: false,
    }
}

fn key(kind: &str) -> AuthKey {
    let fingerprint = "SHA256:7L5FXqCp1cnVTcsWCKPhBLXgDd4YNbsk2gHbYYBmYfI".to_owned();
    AuthKey { kind: kind.to_owned(), fingerprint }
}

fn facts(strangers: &Strangers, score: u8) -> Facts {
    let some = |text: &str| Some(text.to_owned());
    Facts {
        reputation: Fact::Known(Reputation { score, reason: some(&strangers.reason), asn: Some(15704) }),
        network: Fact::Known(Network {
            asn: 15704,
            name: some(&strangers.network),
            description: some(&strangers.network),
        }),
        place: Fact::Known(Place { city: some(&strangers.city), region: None, country_code: some("ES") }),
        ..Facts::unknown(Why::NoData)
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The time at which requests are made.
pub(crate) fn now() -> Timestamp {
    at("2026-11-21T08:05:35Z")
}

/// A zone that is not UTC, so that a forgotten conversion shows.
fn zone() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

/// Names made to hurt: markup of every service, mentions, links, escape sequences, line breaks, text direction, JSON,
/// shells, length.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let pieces = [
        "<!channel>",
        "<@U024BE7LH>",
        "<http://evil.example|x>",
        "&",
        "&lt;",
        "&#60;",
        "*",
        "**",
        "_",
        "__",
        "~~",
        "||",
        "`",
        "```",
        ":skull:",
        "\"",
        "'",
        "\\",
        "\\*",
        "\",\"text\":\"",
        "}]}",
        "@everyone",
        "@here",
        "@channel",
        "@alice",
        "<@&1>",
        "<#1>",
        "</b>",
        "<script>",
        "<a href=x>",
        "<!--",
        "[x](https://evil.example)",
        "https://evil.example",
        "HTTP://EVIL.EXAMPLE",
        "www.evil.example",
        "WWW.evil.example",
        "://",
        "/start",
        "#tag",
        "> ",
        "- ",
        "# ",
        "1. ",
        "\u{1b}[2J",
        "\u{1b}]0;x\u{7}",
        "\u{9b}1m",
        "\n",
        "\r",
        "\r\n",
        "\r\n.\r\n",
        "\t",
        "\0",
        "\u{7f}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}",
        "]",
        "[",
        "=",
        "$(reboot)",
        "%n%s",
        "{{x}}",
        "${x}",
        "Subject: x",
        "12:00:00 LOGIN root on web-1",
        "root",
        "",
    ];
    let piece = prop_oneof![prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), any::<String>()];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// Any message of strangers who mean harm: about a session, an attempt, many of them, a day, several changes, a sink.
pub(crate) fn hostile_message() -> impl Strategy<Value = Delivery> {
    (hostile_strangers(), hostile(), 0..=100u8, 0..8u8).prop_map(|(strangers, exe, score, kind)| match kind {
        0..=2 => of_session(&strangers, &exe, score, kind),
        3 => attempted(&strangers, score > 50),
        4 => stormed(&strangers),
        5 => summarized(&strangers),
        6 => grouped(&[
            gained(&strangers, &exe),
            opened(&strangers, score),
            attempted(&strangers, true),
            stormed(&strangers),
        ]),
        _ => suspended(&strangers),
    })
}

/// The user whose session a message is about.
pub(crate) fn user_of(delivery: &Delivery) -> Option<&str> {
    delivery.event.subject().and_then(|subject| subject.user.as_deref())
}

/// The host that a message of [`hostile_message`] is about.
pub(crate) fn host_of(event: &Event) -> &str {
    match event {
        Event::Attempted { attempt } => &attempt.host,
        Event::Summary { summary, .. } => &summary.host,
        Event::Stormed { host, .. } | Event::Group { host, .. } | Event::SinkSuspended { host, .. } => host,
        Event::Opened(subject)
        | Event::Closed { subject, .. }
        | Event::Escalated { subject, .. }
        | Event::Raised { subject, .. } => &subject.host,
        Event::ForeignSshd { host, .. }
        | Event::EventsLost { host, .. }
        | Event::MessagesLost { host, .. } => host,
    }
}

fn of_session(strangers: &Strangers, exe: &str, score: u8, kind: u8) -> Delivery {
    match kind {
        0 => closed(strangers, score),
        1 => gained(strangers, exe),
        _ => opened(strangers, score),
    }
}

fn hostile_strangers() -> impl Strategy<Value = Strangers> {
    (hostile(), hostile(), hostile(), hostile(), hostile())
        .prop_map(|(user, host, reason, network, city)| Strangers { user, host, reason, network, city })
}

pub(crate) fn settings() -> config::Http {
    config::Http { timeout: Duration::from_secs(3), ca: None }
}

/// A sink over HTTP, without the proxies that this machine may have.
pub(crate) fn over_http<S: Service>(service: S) -> Http<S> {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    Http::new(service, &settings(), &Clients::with(client)).unwrap()
}

/// One attempt.
pub(crate) fn send(sink: &dyn Sink, delivery: &Delivery) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(sink.send(delivery))
}
