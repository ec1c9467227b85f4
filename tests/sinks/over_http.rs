//! What every sink over HTTP must do, said once; each service adds its own rules, its own answers and what its payload
//! says when it is read back.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use expect_test::expect_file;
use login_tracer::notify::outbox::Delivery;
use login_tracer::notify::outcome::{Answer, Outcome};
use login_tracer::notify::sink::http::{self, Service};
use login_tracer::notify::sink::redaction::HIDDEN;

use crate::http::{Reply, Request};
use crate::scene::{Strangers, messages, now, opened, over_http, send};
use crate::service::{self, Rules};

/// Every secret in these tests.
pub(crate) const SECRET: &str = "hushhushhush0123456789";
/// Part of it, which must not be in anything that is said.
pub(crate) const MARK: &str = "hush";

/// What follows from an answer, in short.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Then {
    Done,
    /// After so many milliseconds, where the service said so.
    Again(Option<u128>),
    Doubt,
    Never,
    /// Everything waits.
    Gone,
}

impl From<&Outcome> for Then {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Delivered => Self::Done,
            Outcome::Retry { after, .. } => Self::Again(after.map(|after| after.as_millis())),
            Outcome::Doubtful { .. } => Self::Doubt,
            Outcome::Park { .. } => Self::Never,
            Outcome::Gone { .. } => Self::Gone,
        }
    }
}

/// The request of a sink as the service would get it.
pub(crate) fn received(request: &http::Request) -> Request {
    let url = reqwest::Url::parse(&request.url).unwrap();
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Request {
        at: Instant::now(),
        method: request.method.to_string(),
        path: request.url.split_once(url.authority()).unwrap().1.to_owned(),
        authorization: headers
            .iter()
            .find(|(name, _)| name == "authorization")
            .map(|(_, value)| value.clone()),
        headers,
        body: request.body.clone(),
    }
}

/// Whether the service takes the message; what it takes.
pub(crate) fn taken<S: Service>(service: &S, rules: Rules, delivery: &Delivery) -> Result<Request, String> {
    let request = received(&service.request(delivery, now()).ok_or("no request")?);
    let reply = rules(&request);
    if matches!(reply, Reply::Answer { status: 200..=299, .. }) {
        return Ok(request);
    }
    Err(format!("{reply:?}: {}", request.body))
}

/// Compares the requests of all messages with the golden of the service, and lets the service judge them.
pub(crate) fn golden<S: Service>(name: &str, service: S, rules: Rules) {
    for (_, delivery) in messages() {
        taken(&service, rules, &delivery).unwrap();
    }
    let sink = over_http(service);
    let mut golden = String::new();
    for (title, delivery) in messages() {
        let shown = sink.preview(&delivery, now()).unwrap();
        assert!(!shown.contains(MARK), "{shown}");
        writeln!(golden, "## {title}\n{shown}").unwrap();
    }
    expect_file![format!("{}/../tests/goldens/sinks/{name}.txt", env!("CARGO_MANIFEST_DIR"))]
        .assert_eq(&golden);
}

/// One attempt for each mood, then one without; nothing that is said of any of them shows a secret, and nobody else is
/// asked than the service.
pub(crate) fn outcomes<S: Service>(
    rules: Rules,
    open: impl Fn(&str) -> S,
    own: impl IntoIterator<Item = (Reply, Then)>,
) {
    let stranger = service::Service::start(|_| Reply::new(200, "ok"));
    let elsewhere = stranger.server.url();
    // Services repeat what they were sent.
    let secrets = open("http://127.0.0.1:1").secrets().join(" ");
    assert!(secrets.contains(SECRET));
    let echo = |status| Reply::new(status, format!("no such token {secrets}"));
    let common = [
        (Reply::Reset, Then::Again(None)),
        (Reply::CutOff, Then::Again(None)),
        (Reply::Garbage, Then::Again(None)),
        (Reply::Slow(Duration::from_secs(5), Box::new(Reply::new(200, "ok"))), Then::Again(None)),
        (Reply::with(302, "location", elsewhere.clone(), ""), Then::Doubt),
        (Reply::with(308, "location", elsewhere, ""), Then::Doubt),
        (echo(400), Then::Never),
        (echo(401), Then::Gone),
        (echo(403), Then::Gone),
        (echo(404), Then::Gone),
        (Reply::new(407, ""), Then::Again(None)),
        (Reply::new(408, ""), Then::Again(None)),
        (Reply::new(410, ""), Then::Gone),
        (Reply::with(429, "retry-after", "30", ""), Then::Again(Some(30_000))),
        (Reply::with(429, "Retry-After", "0.25", ""), Then::Again(Some(250))),
        (Reply::with(429, "retry-after", "Thu, 01 Jan 1970 00:00:00 GMT", ""), Then::Again(Some(0))),
        (Reply::new(500, ""), Then::Again(None)),
        (Reply::new(502, "<html>Bad gateway</html>"), Then::Again(None)),
        (Reply::with(503, "retry-after", "7", ""), Then::Again(Some(7000))),
    ];
    let throttled = Answer::new(429, None, String::new(), now());
    let unasked = Then::from(&open("http://127.0.0.1:1").outcome(&throttled));
    assert!(matches!(unasked, Then::Again(_)));
    let double = service::Service::start(rules);
    let sink = over_http(open(&double.server.url()));
    let delivery = opened(&Strangers::polite(), 12);
    // As if it had said nothing.
    let unclear = [(Reply::with(429, "retry-after", "soon", ""), unasked)];
    for (mood, expected) in common.into_iter().chain(unclear).chain(own) {
        let told = format!("{mood:?}");
        double.next([mood]);
        let report = send(&sink, &delivery);
        assert_eq!(Then::from(&report.outcome), expected, "{told}: {report:?}");
        assert!(!format!("{report:?}").contains(MARK), "{report:?}");
    }
    let report = send(&sink, &delivery);
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
    let exchange = report.exchange.unwrap();
    assert!(exchange.sent.contains(HIDDEN) && exchange.received.starts_with("HTTP 2"), "{exchange:?}");
    assert!(stranger.server.requests().is_empty(), "a redirect was followed");
}
