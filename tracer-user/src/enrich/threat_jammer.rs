//! Threat Jammer: reputation, autonomous system and place of an address, in three requests.
//!
//! The first asks for the reputation and names the autonomous system; the other two run beside each other. Redirects are
//! not followed (the client sees to that), an answer longer than [`MAX_BODY`] is not read. An answer about one address is
//! kept, a bad one shortly; a refusal that concerns every request (token, plan, limit) makes a pause for all of them.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::quota::Limits;
use super::{Fact, Facts, Ledger, Network, Place, Reputation, Why, retry_after};
use crate::config;

/// Longest answer that is read, in bytes. A real one has one or two thousand.
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
/// Pause when the token is refused: every further request would be refused as well.
const DENIED_PAUSE: Duration = Duration::from_secs(300);

/// Name of the service in the ledger.
const SOURCE: &str = "threat jammer";

/// The client of one account.
pub struct ThreatJammer {
    config: config::ThreatJammer,
    client: reqwest::Client,
    ledger: Rc<dyn Ledger>,
    /// Until when nothing is asked, and why.
    pause: Cell<Option<(Timestamp, Why)>>,
}

impl ThreatJammer {
    pub fn new(config: config::ThreatJammer, client: reqwest::Client, ledger: Rc<dyn Ledger>) -> Self {
        Self { config, client, ledger, pause: Cell::new(None) }
    }

    /// The facts, if every answer is remembered.
    pub fn at_hand(&self, address: IpAddr, now: Timestamp) -> Option<Facts> {
        let reputation = self.remembered::<Assess>(&assess_path(address), now)?;
        let place = self.remembered::<Geo>(&geo_path(address), now)?;
        let network = match asn_of(&reputation) {
            Ok(asn) => network(asn, self.remembered::<Asn>(&asn_path(asn), now)?),
            Err(why) => Fact::unknown(why),
        };
        Some(Facts { reputation, network, place })
    }

    /// Asks for all three and puts each into `facts` as soon as it is there.
    pub async fn ask(&self, address: IpAddr, facts: &RefCell<Facts>) {
        let reputation = self.get::<Assess>(&assess_path(address)).await;
        facts.borrow_mut().reputation = reputation.clone();
        let autonomous_system = async {
            let found = match asn_of(&reputation) {
                Ok(asn) => {
                    // The number is known already: it is shown even if its name comes too late.
                    facts.borrow_mut().network = network(asn, Fact::unknown(Why::Deadline));
                    network(asn, self.get::<Asn>(&asn_path(asn)).await)
                }
                Err(why) => Fact::unknown(why),
            };
            facts.borrow_mut().network = found;
        };
        let place = async {
            let found = self.get::<Geo>(&geo_path(address)).await;
            facts.borrow_mut().place = found;
        };
        tokio::join!(autonomous_system, place);
    }

    fn remembered<A: Answer>(&self, path: &str, now: Timestamp) -> Option<Fact<A::Fact>> {
        let answer = self.ledger.answer(SOURCE, path, now)?;
        serde_json::from_str(&answer).ok()
    }

    async fn get<A: Answer>(&self, path: &str) -> Fact<A::Fact> {
        let now = Timestamp::now();
        if let Some(fact) = self.remembered::<A>(path, now) {
            return fact;
        }
        if let Some((until, why)) = self.pause.get()
            && now < until
        {
            return Fact::unknown(why);
        }
        let limits =
            Limits { per_minute: self.config.requests_per_minute, per_month: self.config.requests_per_month };
        if let Err(refusal) = self.ledger.spend(SOURCE, limits, now) {
            return Fact::unknown(Why::Quota(refusal));
        }
        let fact = match self.fetch(path).await {
            Ok(body) => read_answer::<A>(&body),
            Err(why) => Fact::unknown(why),
        };
        if let Some(keep) = self.keep_for(&fact) {
            self.remember(path, &fact, keep);
        }
        fact
    }

    /// One request; the body of a successful answer.
    async fn fetch(&self, path: &str) -> Result<Vec<u8>, Why> {
        let url = format!("{}{path}", self.config.base_url);
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", self.config.token.expose()))
            .map_err(|_| Why::Denied)?;
        authorization.set_sensitive(true);
        let request = self.client.get(url).header(AUTHORIZATION, authorization).timeout(REQUEST_TIMEOUT);
        let mut response = request.send().await.map_err(|error| unreachable(path, &error))?;
        let status = response.status();
        if status != StatusCode::OK {
            let pause = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            return Err(self.refused(path, status, pause));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(path, &error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Why::Garbled);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What a status other than 200 means. 401: key or region, 403: plan, 429: limit reached.
    fn refused(&self, path: &str, status: StatusCode, pause: Option<&str>) -> Why {
        let now = Timestamp::now();
        tracing::warn!(path, status = status.as_u16(), "Threat Jammer refused a look-up");
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
            StatusCode::NOT_FOUND => Why::NoData,
            other => Why::Status(other.as_u16()),
        }
    }

    fn pause_for(&self, pause: Duration, why: Why, now: Timestamp) {
        self.pause.set(Some((later(now, pause), why)));
    }

    /// How long an answer is worth keeping; `None` for what says nothing about its address.
    fn keep_for<T>(&self, fact: &Fact<T>) -> Option<Duration> {
        match fact {
            Fact::Known(_) => Some(self.config.cache_ttl),
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
                | Why::Denied => None,
            },
        }
    }

    fn remember<T: Serialize>(&self, path: &str, fact: &Fact<T>, keep: Duration) {
        let expires = later(Timestamp::now(), keep.min(self.config.cache_ttl));
        match serde_json::to_string(fact) {
            Ok(answer) => self.ledger.remember(SOURCE, path, &answer, expires),
            Err(error) => tracing::error!(%error, "an answer cannot be written down"),
        }
    }
}

/// An answer as it is sent, and the fact in it.
trait Answer: DeserializeOwned {
    type Fact: Serialize + DeserializeOwned;

    fn fact(self) -> Fact<Self::Fact>;
}

/// `GET /v1/assess/ip/{ip}`, as far as it is used.
#[derive(Deserialize)]
struct Assess {
    score: Option<f64>,
    reason: Option<String>,
    /// `/v1/asn/15704`
    asn: Option<String>,
}

impl Answer for Assess {
    type Fact = Reputation;

    fn fact(self) -> Fact<Reputation> {
        let Some(score) = self.score else { return Fact::unknown(Why::NoData) };
        if !(0.0..=100.0).contains(&score) {
            return Fact::unknown(Why::Garbled);
        }
        let asn = self.asn.as_deref().and_then(|path| path.rsplit('/').next()?.parse().ok());
        // Rounded up, so that a fraction above a threshold stays above it; 0 to 100 fits.
        Fact::Known(Reputation { score: score.ceil() as u8, reason: text(self.reason), asn })
    }
}

/// `GET /v1/asn/{number}`
#[derive(Deserialize)]
struct Asn {
    name: Option<String>,
    description: Option<String>,
}

/// Name and description of an autonomous system.
type Naming = (Option<String>, Option<String>);

impl Answer for Asn {
    type Fact = Naming;

    fn fact(self) -> Fact<Naming> {
        Fact::Known((text(self.name), text(self.description)))
    }
}

/// `GET /v1/geo/{ip}`
#[derive(Deserialize)]
struct Geo {
    city_name: Option<String>,
    region_name: Option<String>,
    country_iso_code: Option<String>,
}

impl Answer for Geo {
    type Fact = Place;

    fn fact(self) -> Fact<Place> {
        let place = Place {
            city: text(self.city_name),
            region: text(self.region_name),
            country_code: text(self.country_iso_code),
        };
        let empty = place.city.is_none() && place.region.is_none() && place.country_code.is_none();
        if empty { Fact::unknown(Why::NoData) } else { Fact::Known(place) }
    }
}

fn read_answer<A: Answer>(body: &[u8]) -> Fact<A::Fact> {
    serde_json::from_slice::<A>(body).map_or(Fact::unknown(Why::Garbled), Answer::fact)
}

/// The number that the reputation names; without a reputation, the reason for that one is the reason for this.
fn asn_of(reputation: &Fact<Reputation>) -> Result<u32, Why> {
    match reputation {
        Fact::Known(reputation) => reputation.asn.ok_or(Why::NoData),
        Fact::Unknown { why } => Err(*why),
    }
}

/// A network is known by its number; its name is a comfort.
fn network(asn: u32, naming: Fact<Naming>) -> Fact<Network> {
    let (name, description) = match naming {
        Fact::Known(naming) => naming,
        Fact::Unknown { .. } => (None, None),
    };
    Fact::Known(Network { asn, name, description })
}

fn text(value: Option<String>) -> Option<String> {
    let kept: String = value?.chars().take(MAX_TEXT_CHARS).collect();
    (!kept.trim().is_empty()).then_some(kept)
}

fn unreachable(path: &str, error: &reqwest::Error) -> Why {
    // Not the error itself: its text holds the URL.
    tracing::warn!(
        path,
        timeout = error.is_timeout(),
        connect = error.is_connect(),
        "Threat Jammer gave no answer"
    );
    Why::Unreachable
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

fn assess_path(address: IpAddr) -> String {
    format!("/v1/assess/ip/{address}")
}

fn geo_path(address: IpAddr) -> String {
    format!("/v1/geo/{address}")
}

fn asn_path(asn: u32) -> String {
    format!("/v1/asn/{asn}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_documented_answer() {
        let body = br#"{"self":"/v1/assess/ip/193.146.30.1","score":12,"risk":"LOW","reason":"Not listed",
            "asn":"/v1/asn/15704","asn_prefix":"193.146.0.0/16","datasets":[],"denylisted":false}"#;
        let expected = Reputation { score: 12, reason: Some("Not listed".to_owned()), asn: Some(15704) };
        assert_eq!(read_answer::<Assess>(body), Fact::Known(expected));
    }

    #[test]
    fn a_score_that_is_none_is_unknown() {
        let table: &[(&str, Why)] = &[
            (r#"{"score":null,"risk":"LOW"}"#, Why::NoData),
            (r#"{"risk":"LOW"}"#, Why::NoData),
            (r#"{"score":101}"#, Why::Garbled),
            (r#"{"score":-1}"#, Why::Garbled),
            (r#"{"score":"12"}"#, Why::Garbled),
            (r#"{"score":1e999}"#, Why::Garbled),
            ("<html>It works!</html>", Why::Garbled),
            ("[]", Why::Garbled),
            ("", Why::Garbled),
            (r#"{"score":12"#, Why::Garbled),
        ];
        for (body, why) in table {
            assert_eq!(read_answer::<Assess>(body.as_bytes()), Fact::unknown(*why), "{body}");
        }
    }

    #[test]
    fn an_autonomous_system_without_sense_is_none() {
        for asn in [r#""/v1/asn/""#, r#""/v1/asn/x""#, r#""/v1/asn/99999999999""#, "null", r#""""#] {
            let body = format!(r#"{{"score":1,"asn":{asn}}}"#);
            let fact = read_answer::<Assess>(body.as_bytes());
            assert_eq!(fact.known().map(|reputation| reputation.asn), Some(None), "{asn}");
        }
    }

    #[test]
    fn an_empty_place_is_unknown() {
        let body = br#"{"city_name":"","region_name":null,"country_iso_code":" "}"#;
        assert_eq!(read_answer::<Geo>(body), Fact::unknown(Why::NoData));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200), score in any::<f64>()) {
            read_answer::<Assess>(&body);
            read_answer::<Asn>(&body);
            read_answer::<Geo>(&body);
            read_answer::<Assess>(format!(r#"{{"score":{score}}}"#).as_bytes());
        }
    }
}
