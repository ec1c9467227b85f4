//! CrowdSec CTI: what its community saw an address do, in one request (`/v2/smoke`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::keyed::{Client, Keyed};
use super::quota::Period;
use super::remote::{self, Answer};
use super::{Fact, Found, Network, Place, Reputation, Why};
use crate::words;

/// Behaviours that a reason names.
const BEHAVIOURS: usize = 3;

/// The client of one account.
pub type CrowdSec = Client<Api>;

/// What tells this service from others.
pub enum Api {}

impl Keyed for Api {
    const NAME: &'static str = "CrowdSec";
    const LEDGER_NAME: &'static str = "crowdsec";
    const KEY_HEADER: &'static str = "x-api-key";
    /// A community key has fifty requests a day; a storm of logins should not use them up in a moment.
    const PER_MINUTE: u32 = 10;
    const PERIOD: Period = Period::Day;

    type Answer = Smoke;

    fn path(address: IpAddr) -> Option<String> {
        Some(format!("/v2/smoke/{address}"))
    }

    fn found(fact: Fact<Seen>) -> Found {
        fn or_no_data<T>(value: Option<T>) -> Option<Fact<T>> {
            Some(value.map_or(Fact::unknown(Why::NoData), Fact::Known))
        }
        let (reputation, network, place) = match fact {
            Fact::Known(Seen { reputation, network, place }) => {
                (Fact::Known(reputation), or_no_data(network), or_no_data(place))
            }
            Fact::Unknown { why } => (Fact::unknown(why), Some(Fact::unknown(why)), Some(Fact::unknown(why))),
        };
        Found { reputation: Some(reputation), network, place, reverse_name: None }
    }
}

/// The answer, as far as it is used.
#[derive(Deserialize)]
pub struct Smoke {
    as_num: Option<u32>,
    as_name: Option<String>,
    location: Option<Location>,
    #[serde(default)]
    behaviors: Vec<Behaviour>,
    scores: Option<Scores>,
}

#[derive(Deserialize)]
struct Location {
    country: Option<String>,
    city: Option<String>,
}

#[derive(Deserialize)]
struct Behaviour {
    /// `ssh:bruteforce`
    name: Option<String>,
}

#[derive(Deserialize)]
struct Scores {
    overall: Option<Overall>,
}

#[derive(Deserialize)]
struct Overall {
    /// 0 to 5.
    total: Option<f64>,
}

/// What is kept of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    reputation: Reputation,
    network: Option<Network>,
    place: Option<Place>,
}

impl Answer for Smoke {
    type Fact = Seen;

    fn fact(self) -> Fact<Seen> {
        let Some(total) = self.scores.and_then(|scores| scores.overall?.total) else {
            return Fact::unknown(Why::NoData);
        };
        let Some(score) = remote::score(total * 20.0) else { return Fact::unknown(Why::Garbled) };
        let names: Vec<String> =
            self.behaviors.into_iter().filter_map(|seen| remote::text(seen.name)).take(BEHAVIOURS).collect();
        let reason = words::risk::said_by(Api::NAME, words::risk::attacking(total, &names));
        let name = remote::text(self.as_name);
        let network = self.as_num.map(|asn| Network { asn, name, description: None });
        let place = self.location.map(|location| Place {
            city: remote::text(location.city),
            region: None,
            country_code: remote::text(location.country),
        });
        let place = place.filter(|place| place.city.is_some() || place.country_code.is_some());
        Fact::Known(Seen {
            reputation: Reputation { score, reason: Some(reason), asn: self.as_num },
            network,
            place,
        })
    }

    /// It lists what was seen attacking: to be unknown there is good.
    fn not_found() -> Fact<Seen> {
        let reason = Some(words::risk::said_by(Api::NAME, words::risk::NEVER_ATTACKING));
        Fact::Known(Seen {
            reputation: Reputation { score: 0, reason, asn: None },
            network: None,
            place: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::remote::read_answer;
    use super::*;

    #[test]
    fn reads_the_documented_answer() {
        let body = br#"{"ip":"1.2.3.4","ip_range_score":5,"background_noise_score":10,"as_name":"EXAMPLE","as_num":64500,
            "location":{"country":"DE","city":null,"latitude":51.2,"longitude":9.4},"reverse_dns":null,
            "behaviors":[{"name":"ssh:bruteforce","label":"SSH Bruteforce","description":"..."}],
            "scores":{"overall":{"aggressiveness":5,"threat":4,"trust":5,"anomaly":1,"total":4}},"references":[]}"#;
        let fact = read_answer::<Smoke>(body);
        let seen = fact.known().unwrap();
        assert_eq!(seen.reputation.score, 80);
        assert_eq!(seen.reputation.reason.as_deref(), Some("CrowdSec: 4 of 5, seen doing ssh:bruteforce"));
        assert_eq!(seen.network.as_ref().map(|network| network.asn), Some(64500));
    }

    #[test]
    fn a_score_that_is_none_is_unknown() {
        for (body, why) in [
            (r#"{"ip":"1.2.3.4"}"#, Why::NoData),
            (r#"{"scores":{"overall":{"total":null}}}"#, Why::NoData),
            (r#"{"scores":{"overall":{"total":6}}}"#, Why::Garbled),
            (r#"{"scores":{"overall":{"total":-1}}}"#, Why::Garbled),
            (r#"{"scores":[]}"#, Why::Garbled),
            ("[]", Why::Garbled),
        ] {
            assert_eq!(read_answer::<Smoke>(body.as_bytes()), Fact::unknown(why), "{body}");
        }
    }
}
