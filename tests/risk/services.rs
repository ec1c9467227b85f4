//! Every service that is asked over the network, in every mood: one table for all of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use login_tracer::assess::Level;
use login_tracer::config::{KeyedService, Secret, ThreatJammer as ThreatJammerConfig};
use login_tracer::enrich::abuseipdb::AbuseIpdb;
use login_tracer::enrich::crowdsec::CrowdSec;
use login_tracer::enrich::greynoise::GreyNoise;
use login_tracer::enrich::local::Local;
use login_tracer::enrich::quota::{Limits, Refusal};
use login_tracer::enrich::threat_jammer::ThreatJammer;
use login_tracer::enrich::{Enricher, Fact, Facts, Ledger, Source, Why};
use tokio::task::LocalSet;

use crate::case::Case;
use crate::http::{Reply, Request, Server};
use crate::{abuseipdb, crowdsec, greynoise, threat_jammer};

const KEY: &str = "key-hush-0123456789";

type Open = fn(&str, &str, Rc<dyn Ledger>) -> Rc<dyn Source>;
type Answer = fn(&Request, &str) -> Reply;

/// A service: how it is opened, how the real one answers, what it says of an address that it was never told about.
struct Kind {
    name: &'static str,
    open: Open,
    answer: Answer,
    /// The score of 193.146.30.80.
    bad: u8,
    not_found: Option<u8>,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "Threat Jammer",
        open: |url, key, ledger| {
            let config = ThreatJammerConfig {
                base_url: url.to_owned(),
                token: Secret::new(key.to_owned()),
                cache_ttl: Duration::from_secs(3600),
                requests_per_minute: 1000,
                requests_per_month: 1000,
            };
            Rc::new(ThreatJammer::new(config, client(), ledger))
        },
        answer: threat_jammer::answer_with,
        bad: 80,
        not_found: None,
    },
    Kind {
        name: "AbuseIPDB",
        open: |url, key, ledger| Rc::new(AbuseIpdb::new(keyed(url, key), client(), ledger)),
        answer: abuseipdb::answer,
        bad: 80,
        not_found: None,
    },
    Kind {
        name: "CrowdSec",
        open: |url, key, ledger| Rc::new(CrowdSec::new(keyed(url, key), client(), ledger)),
        answer: crowdsec::answer,
        bad: 80,
        not_found: Some(0),
    },
    Kind {
        name: "GreyNoise",
        open: |url, key, ledger| Rc::new(GreyNoise::new(keyed(url, key), client(), ledger)),
        answer: greynoise::answer,
        bad: 80,
        not_found: Some(0),
    },
];

fn keyed(url: &str, key: &str) -> KeyedService {
    KeyedService {
        base_url: url.to_owned(),
        key: Secret::new(key.to_owned()),
        cache_ttl: Duration::from_secs(3600),
        requests: 1000,
    }
}

fn client() -> reqwest::Client {
    login_tracer::notify::sink::http::Clients::new().shared().unwrap()
}

/// A ledger in memory.
#[derive(Default)]
struct Memory {
    answers: RefCell<HashMap<(String, String), String>>,
    kept_until: RefCell<Vec<Timestamp>>,
    spent: RefCell<u32>,
    refuses: Option<Refusal>,
}

impl Ledger for Memory {
    fn answer(&self, source: &str, subject: &str, _now: Timestamp) -> Option<String> {
        self.answers.borrow().get(&(source.to_owned(), subject.to_owned())).cloned()
    }

    fn remember(&self, source: &str, subject: &str, answer: &str, expires: Timestamp) {
        assert!(!answer.contains("hush"));
        self.kept_until.borrow_mut().push(expires);
        self.answers.borrow_mut().insert((source.to_owned(), subject.to_owned()), answer.to_owned());
    }

    fn spend(&self, _source: &str, _limits: Limits, _now: Timestamp) -> Result<(), Refusal> {
        *self.spent.borrow_mut() += 1;
        self.refuses.map_or(Ok(()), Err)
    }
}

/// A double that is in a mood, or answers as the real one does.
fn double(answer: Answer, mood: Option<Reply>) -> Server {
    Server::start(move |request| mood.clone().unwrap_or_else(|| answer(request, KEY)))
}

/// Runs something of one thread.
fn run<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, what)
}

fn enricher(sources: Vec<Rc<dyn Source>>, deadline: Duration) -> Enricher {
    Enricher::new(deadline, Rc::new(Local::none()), sources)
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([193, 146, 30, last])
}

/// The facts that one service gives, asked as the role asks; with time enough on any machine.
fn asked(kind: &Kind, url: &str, key: &str, last: u8) -> Facts {
    asked_within(Duration::from_secs(9), kind, url, key, last)
}

fn asked_within(deadline: Duration, kind: &Kind, url: &str, key: &str, last: u8) -> Facts {
    run(enricher(vec![(kind.open)(url, key, Rc::new(Memory::default()))], deadline).ask(address(last)))
}

fn level(facts: &Facts) -> Level {
    let case = Case::plain().with(|case| {
        let Facts { history, account, .. } = case.facts.clone();
        case.facts = Facts { history, account, ..facts.clone() };
    });
    case.calculation().level
}

#[test]
fn answers_are_scores() {
    for kind in &KINDS {
        let server = double(kind.answer, None);
        let facts = asked(kind, &server.url(), KEY, 80);
        let score = facts.reputation.known().map(|reputation| reputation.score);
        assert_eq!(score, Some(kind.bad), "{}: {facts:?}", kind.name);
        assert_eq!(level(&facts), Level::High, "{}", kind.name);
        let good = asked(kind, &server.url(), KEY, 0);
        assert_eq!(good.reputation.known().map(|reputation| reputation.score), Some(0), "{}", kind.name);
        assert_eq!(level(&good), Level::Low, "{}: {good:?}", kind.name);
        assert_eq!(good.opinions[0].source, kind.name);
        assert!(
            server.requests().iter().all(|request| request.method == "GET" && !request.path.contains("hush"))
        );
    }
}

#[test]
fn every_failure_is_grey_and_none_is_green() {
    let elsewhere = Server::start(|_| Reply::new(200, r#"{"score":0}"#));
    let slow = Reply::Slow(Duration::from_secs(3), Box::new(Reply::new(200, "{}")));
    let moods = [
        (Reply::new(400, "{}"), Why::Status(400)),
        (Reply::new(401, "{}"), Why::Denied),
        (Reply::new(403, "{}"), Why::Denied),
        (Reply::new(422, r#"{"detail":[]}"#), Why::Status(422)),
        (Reply::with(429, "retry-after", "30", "{}"), Why::Throttled),
        (Reply::new(500, "oops"), Why::Status(500)),
        (slow, Why::Deadline),
        (Reply::CutOff, Why::Unreachable),
        (Reply::Reset, Why::Unreachable),
        (Reply::Garbage, Why::Unreachable),
        (Reply::new(200, "<html>It works!</html>"), Why::Garbled),
        (Reply::new(200, ""), Why::Garbled),
        (Reply::new(200, "x".repeat(70_000)), Why::Garbled),
        (Reply::with(302, "location", elsewhere.url(), ""), Why::Status(302)),
    ];
    for (mood, why) in moods {
        for kind in &KINDS {
            let server = double(kind.answer, Some(mood.clone()));
            let deadline = Duration::from_secs(if why == Why::Deadline { 1 } else { 9 });
            let facts = asked_within(deadline, kind, &server.url(), KEY, 80);
            assert_eq!(facts.reputation, Fact::unknown(why), "{}: {mood:?}", kind.name);
            assert_eq!(level(&facts), Level::Unknown, "{}: {mood:?}", kind.name);
        }
    }
    assert!(elsewhere.requests().is_empty(), "a key went elsewhere");
    // An answer without what matters in it, and one that says too much.
    for kind in &KINDS {
        for body in [
            "{}",
            "[]",
            "null",
            r#"{"data":{}}"#,
            r#"{"score":-1}"#,
            r#"{"scores":{"overall":{"total":99}}}"#,
        ] {
            let server = double(kind.answer, Some(Reply::new(200, body)));
            let facts = asked(kind, &server.url(), KEY, 80);
            assert!(facts.reputation.known().is_none(), "{}: {body}", kind.name);
        }
    }
}

#[test]
fn not_found_means_what_the_service_means_by_it() {
    for kind in &KINDS {
        let server = double(kind.answer, Some(Reply::new(404, "{}")));
        let facts = asked(kind, &server.url(), KEY, 80);
        assert_eq!(
            facts.reputation.known().map(|reputation| reputation.score),
            kind.not_found,
            "{}",
            kind.name
        );
        if kind.not_found.is_none() {
            assert_eq!(facts.reputation, Fact::unknown(Why::NoData), "{}", kind.name);
        }
    }
}

#[test]
fn a_wrong_key_and_a_limit_make_a_pause() {
    for kind in &KINDS {
        for (key, mood, why) in [
            ("key-hush-wrong", None, Why::Denied),
            (KEY, Some(Reply::with(429, "retry-after", "30", "{}")), Why::Throttled),
        ] {
            let server = double(kind.answer, mood);
            let ledger = Rc::new(Memory::default());
            let open =
                |ledger| enricher(vec![(kind.open)(&server.url(), key, ledger)], Duration::from_secs(2));
            let enricher = open(Rc::clone(&ledger) as Rc<dyn Ledger>);
            run(async {
                assert_eq!(enricher.ask(address(80)).await.reputation, Fact::unknown(why), "{}", kind.name);
                let so_far = server.requests().len();
                assert_eq!(enricher.ask(address(81)).await.reputation, Fact::unknown(why), "{}", kind.name);
                assert_eq!(server.requests().len(), so_far, "{} was asked again", kind.name);
                // A limit is that after a restart; a key may be another one.
                let restarted = open(Rc::clone(&ledger) as Rc<dyn Ledger>);
                assert_eq!(restarted.ask(address(82)).await.reputation, Fact::unknown(why), "{}", kind.name);
                let is_asked = server.requests().len() > so_far;
                assert_eq!(is_asked, why == Why::Denied, "{} after a restart", kind.name);
            });
        }
    }
}

#[test]
fn the_quota_is_asked_before_and_answers_are_remembered() {
    for kind in &KINDS {
        let server = double(kind.answer, None);
        let ledger = Rc::new(Memory { refuses: Some(Refusal::Day), ..Memory::default() });
        let spent = enricher(vec![(kind.open)(&server.url(), KEY, ledger)], Duration::from_secs(2));
        let facts = run(spent.ask(address(80)));
        assert_eq!(facts.reputation, Fact::unknown(Why::Quota(Refusal::Day)));
        assert_eq!(level(&facts), Level::Unknown);
        assert!(server.requests().is_empty());
        let ledger = Rc::new(Memory::default());
        let once = enricher(vec![(kind.open)(&server.url(), KEY, ledger)], Duration::from_secs(2));
        assert_eq!(once.at_hand(Some(address(80)), Timestamp::now()), None);
        let first = run(once.ask(address(80)));
        let asked = server.requests().len();
        assert_eq!(run(once.ask(address(80))), first);
        assert_eq!(once.at_hand(Some(address(80)), Timestamp::now()), Some(first));
        assert_eq!(server.requests().len(), asked, "{}", kind.name);
    }
}

/// The number of a network is shown even if its name comes too late.
#[test]
fn half_of_what_one_service_knows_is_shown() {
    let kind = &KINDS[0];
    let server = Server::start(move |request| {
        let answer = threat_jammer::answer_with(request, KEY);
        let is_slow = request.path.starts_with("/v1/asn");
        if is_slow { Reply::Slow(Duration::from_secs(30), Box::new(answer)) } else { answer }
    });
    let facts = asked_within(Duration::from_secs(2), kind, &server.url(), KEY, 80);
    let network = facts.network.known().map(|network| (network.asn, network.name.clone()));
    assert_eq!(network, Some((15704, None)), "{facts:?}");
    assert!(facts.reputation.known().is_some() && facts.place.known().is_some(), "{facts:?}");
}

/// A bad answer is not kept longer than a good one.
#[test]
fn nothing_is_kept_longer_than_the_owner_wants() {
    for (mood, seconds) in [
        (None, 30),
        (Some(Reply::new(422, "{}")), 30),
        (Some(Reply::new(200, "<html>")), 30),
        // No answer, but the pause of a minute that it makes.
        (Some(Reply::new(429, "{}")), 60),
    ] {
        let server = double(abuseipdb::answer, mood.clone());
        let config = KeyedService { cache_ttl: Duration::from_secs(30), ..keyed(&server.url(), KEY) };
        let ledger = Rc::new(Memory::default());
        let source: Rc<dyn Source> =
            Rc::new(AbuseIpdb::new(config, client(), Rc::clone(&ledger) as Rc<dyn Ledger>));
        let before = Timestamp::now();
        run(enricher(vec![source], Duration::from_secs(9)).ask(address(80)));
        let kept = ledger.kept_until.borrow();
        let longest = kept.iter().map(|until| until.duration_since(before).as_secs()).max().unwrap_or(0);
        assert!((seconds..=seconds + 10).contains(&longest), "{mood:?}: {longest}");
    }
}

#[test]
fn addresses_of_our_own_are_nobodys_business() {
    let servers = KINDS.each_ref().map(|kind| double(kind.answer, None));
    let open = |(kind, server): (&Kind, &Server)| {
        (kind.open)(&server.url(), KEY, Rc::new(Memory::default()) as Rc<dyn Ledger>)
    };
    let all = enricher(KINDS.iter().zip(&servers).map(open).collect(), Duration::from_secs(1));
    for own in ["10.0.0.1", "127.0.0.1", "100.64.0.1", "fe80::1", "::ffff:192.168.0.1", "2001:db8::1"] {
        let facts = all.at_hand(Some(own.parse().unwrap()), Timestamp::now()).unwrap();
        assert!(matches!(facts.reputation, Fact::Unknown { why: Why::NotPublic(_) }), "{own}");
        assert!(facts.opinions.is_empty());
    }
    // GreyNoise knows no IPv6.
    let six = run(async {
        let kind = &KINDS[3];
        let one = enricher(
            vec![(kind.open)(&servers[3].url(), KEY, Rc::new(Memory::default()))],
            Duration::from_secs(1),
        );
        one.ask("2a00:1450:4001::42".parse().unwrap()).await
    });
    assert_eq!(six.reputation, Fact::unknown(Why::NoData));
    assert!(servers.iter().all(|server| server.requests().is_empty()));
}

#[test]
fn all_are_asked_at_once_and_a_slow_one_delays_nothing() {
    let slow = |answer: Answer| {
        Server::start(move |request| Reply::Slow(Duration::from_millis(1500), Box::new(answer(request, KEY))))
    };
    let servers = [double(KINDS[0].answer, None), slow(KINDS[1].answer), double(KINDS[2].answer, None)];
    let sources = KINDS
        .iter()
        .zip(&servers)
        .map(|(kind, server)| (kind.open)(&server.url(), KEY, Rc::new(Memory::default())));
    let enricher = enricher(sources.collect(), Duration::from_millis(500));
    let told: Arc<Mutex<Vec<Facts>>> = Arc::default();
    let late = Arc::clone(&told);
    enricher.tell_late(Rc::new(move |_, facts| late.lock().unwrap().push(facts)));
    run(async {
        let begun = Instant::now();
        let facts = enricher.ask(address(20)).await;
        assert!(begun.elapsed() < Duration::from_millis(1400), "{:?}", begun.elapsed());
        let answers: Vec<_> = facts.opinions.iter().map(|opinion| opinion.answer.known().is_some()).collect();
        assert_eq!(answers, [true, false, true]);
        assert_eq!(facts.opinions[1].answer, Fact::unknown(Why::Deadline));
        assert_eq!(level(&facts), Level::Unknown);
        while told.lock().unwrap().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let late = told.lock().unwrap().remove(0);
        assert!(late.opinions.iter().all(|opinion| opinion.answer.known().is_some()), "{late:?}");
        assert_eq!(level(&late), Level::Low);
    });
}
