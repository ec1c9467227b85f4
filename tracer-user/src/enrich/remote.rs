//! What all services over HTTP have in common: one request, its limits, and what is kept of its answer.
//!
//! Redirects are not followed (the client sees to that), an answer longer than [`MAX_BODY`] is not read. An answer about
//! one address is kept, a bad one shortly; a refusal that concerns every request (key, plan, limit) makes a pause for all of
//! them. That of a limit outlives a restart; a key may be another one after it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, HeaderName, HeaderValue, RETRY_AFTER};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::quota::{Limits, Share};
use super::{Fact, Ledger, Why, retry_after};
use crate::config::Secret;

/// Longest answer that is read, in bytes. A real one has a few thousand.
pub const MAX_BODY: usize = 64 << 10;

/// Longest text of an answer that is kept, in characters; messages show less.
const MAX_TEXT_CHARS: usize = 500;
/// How long one request may take, beyond the deadline of the message: what comes in then serves the next login.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a failure that may pass is remembered for its address.
const TRANSIENT_TTL: Duration = Duration::from_secs(60);
/// How long an answer without use is remembered for its address.
const USELESS_TTL: Duration = Duration::from_secs(600);
/// Pause when the limit of requests is reached and the service does not say for how long: its window is a minute.
const THROTTLE_PAUSE: Duration = Duration::from_secs(60);
/// Longest pause that the service can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Pause when the key is refused: every further request would be refused as well.
const DENIED_PAUSE: Duration = Duration::from_secs(300);

/// What the ledger calls the pause that a limit makes. No path begins like that.
const PAUSE: &str = "pause";

/// How a service is reached.
pub struct Service {
    /// Its name, for people.
    pub name: &'static str,
    /// Its name in the ledger; must never change.
    pub ledger_name: &'static str,
    /// Without a trailing slash.
    pub base_url: String,
    /// The header that holds the key, and what stands before the key in it.
    pub header: (HeaderName, &'static str),
    pub key: Secret,
    pub cache_ttl: Duration,
    pub limits: Limits,
}

/// The client of one account with a service.
pub struct Remote {
    service: Service,
    client: reqwest::Client,
    ledger: Rc<dyn Ledger>,
    /// Until when nothing is asked, and why.
    pause: Cell<Option<(Timestamp, Why)>>,
}

/// An answer as it is sent, and the fact in it.
pub trait Answer: DeserializeOwned {
    type Fact: Serialize + DeserializeOwned;

    fn fact(self) -> Fact<Self::Fact>;

    /// What the status 404 says.
    fn not_found() -> Fact<Self::Fact> {
        Fact::unknown(Why::NoData)
    }
}

impl Remote {
    pub fn new(service: Service, client: reqwest::Client, ledger: Rc<dyn Ledger>) -> Self {
        Self { service, client, ledger, pause: Cell::new(None) }
    }

    /// The name of the service, for people.
    pub fn name(&self) -> &'static str {
        self.service.name
    }

    /// An answer that is still good.
    pub(super) fn remembered<A: Answer>(&self, path: &str, now: Timestamp) -> Option<Fact<A::Fact>> {
        let answer = self.ledger.answer(self.service.ledger_name, path, now)?;
        serde_json::from_str(&answer).ok()
    }

    /// The answer: remembered, or asked for, or why there is none.
    pub(super) async fn get<A: Answer>(&self, path: &str, share: Share) -> Fact<A::Fact> {
        let now = Timestamp::now();
        if let Some(fact) = self.remembered::<A>(path, now) {
            return fact;
        }
        if let Some(why) = self.paused(now) {
            return Fact::unknown(why);
        }
        if let Err(refusal) = self.ledger.spend(self.service.ledger_name, self.service.limits.of(share), now)
        {
            return Fact::unknown(Why::Quota(refusal));
        }
        let fact = match self.fetch(path).await {
            Ok(Some(body)) => read_answer::<A>(&body),
            Ok(None) => A::not_found(),
            Err(why) => Fact::unknown(why),
        };
        if let Some(keep) = self.keep_for(&fact) {
            self.remember(path, &fact, keep);
        }
        fact
    }

    /// One request; the body of a successful answer, nothing where nothing was found.
    async fn fetch(&self, path: &str) -> Result<Option<Vec<u8>>, Why> {
        let url = format!("{}{path}", self.service.base_url);
        let (header, before) = &self.service.header;
        let mut key = HeaderValue::from_str(&format!("{before}{}", self.service.key.expose()))
            .map_err(|_| Why::Denied)?;
        key.set_sensitive(true);
        let request = self
            .client
            .get(url)
            .header(header, key)
            .header(ACCEPT, "application/json")
            .timeout(REQUEST_TIMEOUT);
        let mut response = request.send().await.map_err(|error| self.unreachable(path, &error))?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if status != StatusCode::OK {
            let pause = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            return Err(self.refused(path, status, pause));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(path, &error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Why::Garbled);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }

    /// What a status means that is no answer. 401: key or region, 403: plan, 429: limit reached.
    fn refused(&self, path: &str, status: StatusCode, pause: Option<&str>) -> Why {
        let now = Timestamp::now();
        let service = self.service.name;
        tracing::warn!(service, path, status = status.as_u16(), "a look-up was refused");
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                self.pause_for(DENIED_PAUSE, Why::Denied, now);
                Why::Denied
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let pause = pause.and_then(|value| retry_after::parse(value, now)).unwrap_or(THROTTLE_PAUSE);
                self.pause_for(pause.min(LONGEST_PAUSE), Why::Throttled, now);
                Why::Throttled
            }
            other => Why::Status(other.as_u16()),
        }
    }

    /// Why nothing may be asked now.
    fn paused(&self, now: Timestamp) -> Option<Why> {
        let own = self.pause.get().filter(|(until, _)| now < *until);
        let earlier = || self.ledger.answer(self.service.ledger_name, PAUSE, now);
        own.map(|(_, why)| why).or_else(|| earlier().map(|_| Why::Throttled))
    }

    fn pause_for(&self, pause: Duration, why: Why, now: Timestamp) {
        let until = later(now, pause);
        self.pause.set(Some((until, why)));
        if why == Why::Throttled {
            self.ledger.remember(self.service.ledger_name, PAUSE, "", until);
        }
    }

    /// How long an answer is worth keeping; `None` for what says nothing about its address.
    fn keep_for<T>(&self, fact: &Fact<T>) -> Option<Duration> {
        match fact {
            Fact::Known(_) => Some(self.service.cache_ttl),
            Fact::Unknown { why } => match why {
                Why::NoData | Why::Garbled => Some(USELESS_TTL),
                Why::Status(400..=499) => Some(USELESS_TTL),
                Why::Status(_) | Why::Unreachable => Some(TRANSIENT_TTL),
                Why::NotConfigured
                | Why::NoAddress
                | Why::Local
                | Why::NotPublic(_)
                | Why::Deadline
                | Why::Quota(_)
                | Why::Throttled
                | Why::Denied
                | Why::NotAsked
                | Why::Unreadable
                | Why::NoAccount
                | Why::InContainer => None,
            },
        }
    }

    fn remember<T: Serialize>(&self, path: &str, fact: &Fact<T>, keep: Duration) {
        let expires = later(Timestamp::now(), keep.min(self.service.cache_ttl));
        match serde_json::to_string(fact) {
            Ok(answer) => self.ledger.remember(self.service.ledger_name, path, &answer, expires),
            Err(error) => tracing::error!(%error, "an answer cannot be written down"),
        }
    }

    fn unreachable(&self, path: &str, error: &reqwest::Error) -> Why {
        // Not the error itself: its text holds the URL.
        tracing::warn!(
            service = self.service.name,
            path,
            timeout = error.is_timeout(),
            connect = error.is_connect(),
            "a look-up got no answer"
        );
        Why::Unreachable
    }
}

pub(super) fn read_answer<A: Answer>(body: &[u8]) -> Fact<A::Fact> {
    serde_json::from_slice::<A>(body).map_or(Fact::unknown(Why::Garbled), Answer::fact)
}

/// A text of an answer, as much of it as is kept.
pub(super) fn text(value: Option<String>) -> Option<String> {
    let kept: String = value?.chars().take(MAX_TEXT_CHARS).collect();
    (!kept.trim().is_empty()).then_some(kept)
}

/// A score from 0 to 100, rounded up so that a fraction above a threshold stays above it; `None` for any other number.
pub(super) fn score(value: f64) -> Option<u8> {
    // 0 to 100 fits.
    (0.0..=100.0).contains(&value).then(|| value.ceil() as u8)
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::quota::{Period, Refusal};

    struct Nothing;

    impl Ledger for Nothing {
        fn answer(&self, _source: &str, _subject: &str, _now: Timestamp) -> Option<String> {
            None
        }

        fn remember(&self, _source: &str, _subject: &str, _answer: &str, _expires: Timestamp) {}

        fn spend(&self, _source: &str, _limits: Limits, _now: Timestamp) -> Result<(), Refusal> {
            Ok(())
        }
    }

    fn remote(cache_ttl: Duration) -> Remote {
        let service = Service {
            name: "Example",
            ledger_name: "example",
            base_url: "http://192.0.2.1".to_owned(),
            header: (ACCEPT, ""),
            key: Secret::new("key".to_owned()),
            cache_ttl,
            limits: Limits { per_minute: 1, per_period: 1, period: Period::Day },
        };
        Remote::new(service, reqwest::Client::new(), Rc::new(Nothing))
    }

    #[test]
    fn pauses_are_as_long_as_the_service_says_and_no_longer_than_an_hour() {
        for (status, header, seconds) in [
            (429, Some("30"), 30),
            (429, None, 60),
            (429, Some("soon"), 60),
            (429, Some("99999"), 3600),
            (401, Some("30"), 300),
            (403, None, 300),
        ] {
            let remote = remote(Duration::from_secs(3600));
            let status = StatusCode::from_u16(status).unwrap();
            let before = Timestamp::now();
            let why = remote.refused("/", status, header);
            let (until, paused) = remote.pause.get().unwrap();
            assert_eq!(paused, why);
            let pause = until.duration_since(before).as_secs();
            assert!((seconds..=seconds + 5).contains(&pause), "{status} {header:?}: {pause}");
        }
        let other = remote(Duration::from_secs(3600));
        assert_eq!(other.refused("/", StatusCode::UNPROCESSABLE_ENTITY, Some("30")), Why::Status(422));
        assert_eq!(other.pause.get(), None);
    }

    #[test]
    fn answers_are_kept_as_long_as_they_are_worth() {
        let kept = remote(Duration::from_secs(7200));
        let seconds = |fact: Fact<u8>| kept.keep_for(&fact).map(|keep| keep.as_secs());
        assert_eq!(seconds(Fact::Known(1)), Some(7200));
        for (why, expected) in [
            (Why::NoData, Some(600)),
            (Why::Garbled, Some(600)),
            (Why::Status(400), Some(600)),
            (Why::Status(499), Some(600)),
            (Why::Status(399), Some(60)),
            (Why::Status(500), Some(60)),
            (Why::Unreachable, Some(60)),
            (Why::Denied, None),
            (Why::Throttled, None),
            (Why::Quota(Refusal::Day), None),
            (Why::Deadline, None),
        ] {
            assert_eq!(seconds(Fact::unknown(why)), expected, "{why:?}");
        }
    }

    #[test]
    fn scores_and_texts() {
        for (value, expected) in [
            (0.0, Some(0)),
            (12.1, Some(13)),
            (100.0, Some(100)),
            (100.1, None),
            (-0.1, None),
            (f64::NAN, None),
        ] {
            assert_eq!(score(value), expected, "{value}");
        }
        assert_eq!(text(Some(" \n".to_owned())), None);
        assert_eq!(text(Some("x".repeat(999))).map(|text| text.len()), Some(MAX_TEXT_CHARS));
    }
}
