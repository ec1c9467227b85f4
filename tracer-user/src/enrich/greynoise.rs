//! GreyNoise: whether an address scans the internet or belongs to a known business, in one request (community API).
//!
//! It knows addresses of version 4 only. Most addresses are not in it, and that is an answer.

use std::cell::RefCell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use jiff::Timestamp;
use reqwest::header::HeaderName;
use serde::Deserialize;

use super::quota::{Limits, Period};
use super::remote::{self, Answer, Remote, Service};
use super::{Fact, Found, Ledger, Reputation, Source, Why};
use crate::config::KeyedService;

/// A community key has some fifty look-ups a week; a storm of logins should not use them up in a moment.
const PER_MINUTE: u32 = 10;

/// What its classifications stand for here.
const MALICIOUS: u8 = 80;
const SUSPICIOUS: u8 = 50;
/// It was seen scanning, and nobody knows why.
const NOISE: u8 = 40;

/// The client of one account.
pub struct GreyNoise(Remote);

impl GreyNoise {
    pub fn new(config: KeyedService, client: reqwest::Client, ledger: Rc<dyn Ledger>) -> Self {
        let service = Service {
            name: "GreyNoise",
            ledger_name: "greynoise",
            base_url: config.base_url,
            header: (HeaderName::from_static("key"), ""),
            key: config.key,
            cache_ttl: config.cache_ttl,
            limits: Limits { per_minute: PER_MINUTE, per_period: config.requests, period: Period::Week },
        };
        Self(Remote::new(service, client, ledger))
    }
}

impl Source for GreyNoise {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn promise(&self) -> Found {
        found(Fact::unknown(Why::Deadline))
    }

    fn at_hand(&self, address: IpAddr, now: Timestamp) -> Option<Found> {
        if address.is_ipv6() {
            return Some(found(Fact::unknown(Why::NoData)));
        }
        self.0.remembered::<Community>(&path(address), now).map(found)
    }

    fn ask<'a>(
        &'a self,
        address: IpAddr,
        answer: &'a RefCell<Found>,
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let fact = if address.is_ipv6() {
                Fact::unknown(Why::NoData)
            } else {
                self.0.get::<Community>(&path(address)).await
            };
            *answer.borrow_mut() = found(fact);
        })
    }
}

fn path(address: IpAddr) -> String {
    format!("/v3/community/{address}")
}

/// The answer, as far as it is used.
#[derive(Deserialize)]
struct Community {
    noise: Option<bool>,
    /// A known business: content networks, resolvers and the like.
    riot: Option<bool>,
    classification: Option<String>,
    name: Option<String>,
}

impl Answer for Community {
    type Fact = Reputation;

    fn fact(self) -> Fact<Reputation> {
        let (Some(noise), Some(riot)) = (self.noise, self.riot) else { return Fact::unknown(Why::NoData) };
        let (score, words) = match self.classification.as_deref() {
            Some("malicious") => (MALICIOUS, "malicious"),
            Some("suspicious") => (SUSPICIOUS, "suspicious"),
            Some("benign") => (0, "benign"),
            Some("unknown") | None if noise => (NOISE, "scans the internet"),
            Some("unknown") | None if riot => (0, "a known business"),
            Some("unknown") | None => (0, "not seen scanning"),
            // A word that is not in the documentation says nothing good.
            Some(_) => return Fact::unknown(Why::Garbled),
        };
        let name = remote::text(self.name).filter(|name| name != "unknown");
        let reason = match name {
            Some(name) => format!("GreyNoise: {words} ({name})"),
            None => format!("GreyNoise: {words}"),
        };
        Fact::Known(Reputation { score, reason: Some(reason), asn: None })
    }

    /// Most of the internet was never seen scanning.
    fn not_found() -> Fact<Reputation> {
        Fact::Known(Reputation {
            score: 0,
            reason: Some("GreyNoise: not seen scanning".to_owned()),
            asn: None,
        })
    }
}

fn found(fact: Fact<Reputation>) -> Found {
    Found { reputation: Some(fact), ..Found::default() }
}

#[cfg(test)]
mod tests {
    use super::super::remote::read_answer;
    use super::*;

    #[test]
    fn classifications_are_scores() {
        let body = |noise, riot, word: &str| {
            format!(
                r#"{{"ip":"1.2.3.4","noise":{noise},"riot":{riot},"classification":"{word}","name":"unknown","message":"Success"}}"#
            )
        };
        for (noise, riot, word, score) in [
            (true, false, "malicious", 80),
            (true, false, "suspicious", 50),
            (true, false, "unknown", 40),
            (true, false, "benign", 0),
            (false, true, "benign", 0),
            (false, false, "unknown", 0),
        ] {
            let fact = read_answer::<Community>(body(noise, riot, word).as_bytes());
            assert_eq!(fact.known().map(|reputation| reputation.score), Some(score), "{word}");
        }
        assert_eq!(
            read_answer::<Community>(body(true, false, "splendid").as_bytes()),
            Fact::unknown(Why::Garbled)
        );
        assert_eq!(read_answer::<Community>(br#"{"message":"hello"}"#), Fact::unknown(Why::NoData));
    }
}
