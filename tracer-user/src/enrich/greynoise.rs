//! GreyNoise: whether an address scans the internet or belongs to a known business, in one request (community API).
//!
//! It knows addresses of version 4 only. Most addresses are not in it, and that is an answer.

use std::net::IpAddr;

use serde::Deserialize;

use super::keyed::{Client, Keyed};
use super::quota::Period;
use super::remote::{self, Answer};
use super::{Fact, Found, Reputation, Why};
use crate::words;

/// What its classifications stand for here.
const MALICIOUS: u8 = 80;
const SUSPICIOUS: u8 = 50;
/// It was seen scanning, and nobody knows why.
const NOISE: u8 = 40;

/// The client of one account.
pub type GreyNoise = Client<Api>;

/// What tells this service from others.
pub enum Api {}

impl Keyed for Api {
    const NAME: &'static str = "GreyNoise";
    const LEDGER_NAME: &'static str = "greynoise";
    const KEY_HEADER: &'static str = "key";
    /// A community key has some fifty look-ups a week; a storm of logins should not use them up in a moment.
    const PER_MINUTE: u32 = 10;
    const PERIOD: Period = Period::Week;

    type Answer = Community;

    fn path(address: IpAddr) -> Option<String> {
        address.is_ipv4().then(|| format!("/v3/community/{address}"))
    }

    fn found(fact: Fact<Reputation>) -> Found {
        Found { reputation: Some(fact), ..Found::default() }
    }
}

/// The answer, as far as it is used.
#[derive(Deserialize)]
pub struct Community {
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
        let (score, said) = match self.classification.as_deref() {
            Some("malicious") => (MALICIOUS, words::risk::MALICIOUS),
            Some("suspicious") => (SUSPICIOUS, words::risk::SUSPICIOUS),
            Some("benign") => (0, words::risk::BENIGN),
            Some("unknown") | None if noise => (NOISE, words::risk::SCANS),
            Some("unknown") | None if riot => (0, words::risk::BUSINESS),
            Some("unknown") | None => (0, words::risk::NOT_SCANNING),
            // A word that is not in the documentation says nothing good.
            Some(_) => return Fact::unknown(Why::Garbled),
        };
        let name = remote::text(self.name).filter(|name| name != "unknown");
        let said = name.map_or(said.to_owned(), |name| words::risk::said_of(said, &name));
        let reason = Some(words::risk::said_by(Api::NAME, said));
        Fact::Known(Reputation { score, reason, asn: None })
    }

    /// Most of the internet was never seen scanning.
    fn not_found() -> Fact<Reputation> {
        let reason = Some(words::risk::said_by(Api::NAME, words::risk::NOT_SCANNING));
        Fact::Known(Reputation { score: 0, reason, asn: None })
    }
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
