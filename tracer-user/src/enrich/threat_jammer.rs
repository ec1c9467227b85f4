//! Threat Jammer: reputation, autonomous system and place of an address, in three requests.
//!
//! The first asks for the reputation and names the autonomous system; the other two run beside each other.

use std::cell::RefCell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use jiff::Timestamp;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::quota::{Limits, Period, Share};
use super::remote::{self, Answer, Remote, Service};
use super::{Fact, Found, Ledger, Network, Place, Reputation, Source, Why};
use crate::config;

/// The client of one account.
pub struct ThreatJammer(Remote);

impl ThreatJammer {
    pub fn new(config: config::ThreatJammer, client: reqwest::Client, ledger: Rc<dyn Ledger>) -> Self {
        let service = Service {
            name: "Threat Jammer",
            ledger_name: "threat jammer",
            base_url: config.base_url,
            header: (AUTHORIZATION, "Bearer "),
            key: config.token,
            cache_ttl: config.cache_ttl,
            limits: Limits {
                per_minute: config.requests_per_minute,
                per_period: config.requests_per_month,
                period: Period::Month,
            },
        };
        Self(Remote::new(service, client, ledger))
    }

    async fn ask_all(&self, address: IpAddr, share: Share, found: &RefCell<Found>) {
        let reputation = self.0.get::<Assess>(&assess_path(address), share).await;
        found.borrow_mut().reputation = Some(reputation.clone());
        let autonomous_system = async {
            let known = match asn_of(&reputation) {
                Ok(asn) => {
                    // The number is known already: it is shown even if its name comes too late.
                    found.borrow_mut().network = Some(network(asn, Fact::unknown(Why::Deadline)));
                    network(asn, self.0.get::<Asn>(&asn_path(asn), share).await)
                }
                Err(why) => Fact::unknown(why),
            };
            found.borrow_mut().network = Some(known);
        };
        let place = async {
            let known = self.0.get::<Geo>(&geo_path(address), share).await;
            found.borrow_mut().place = Some(known);
        };
        tokio::join!(autonomous_system, place);
    }
}

impl Source for ThreatJammer {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn promise(&self) -> Found {
        Found {
            reputation: Some(Fact::unknown(Why::Deadline)),
            network: Some(Fact::unknown(Why::Deadline)),
            place: Some(Fact::unknown(Why::Deadline)),
            reverse_name: None,
        }
    }

    /// The facts, if every answer is remembered.
    fn at_hand(&self, address: IpAddr, now: Timestamp) -> Option<Found> {
        let reputation = self.0.remembered::<Assess>(&assess_path(address), now)?;
        let place = self.0.remembered::<Geo>(&geo_path(address), now)?;
        let network = match asn_of(&reputation) {
            Ok(asn) => network(asn, self.0.remembered::<Asn>(&asn_path(asn), now)?),
            Err(why) => Fact::unknown(why),
        };
        Some(Found {
            reputation: Some(reputation),
            network: Some(network),
            place: Some(place),
            reverse_name: None,
        })
    }

    fn ask<'a>(
        &'a self,
        address: IpAddr,
        share: Share,
        found: &'a RefCell<Found>,
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(self.ask_all(address, share, found))
    }
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
        let Some(score) = remote::score(score) else { return Fact::unknown(Why::Garbled) };
        let asn = self.asn.as_deref().and_then(|path| path.rsplit('/').next()?.parse().ok());
        Fact::Known(Reputation { score, reason: remote::text(self.reason), asn })
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
        Fact::Known((remote::text(self.name), remote::text(self.description)))
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
            city: remote::text(self.city_name),
            region: remote::text(self.region_name),
            country_code: remote::text(self.country_iso_code),
        };
        let empty = place.city.is_none() && place.region.is_none() && place.country_code.is_none();
        if empty { Fact::unknown(Why::NoData) } else { Fact::Known(place) }
    }
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

    use super::super::remote::read_answer;
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
    fn a_place_that_is_nowhere_is_none() {
        let place = |body: &str| read_answer::<Geo>(body.as_bytes());
        assert_eq!(place("{}"), Fact::unknown(Why::NoData));
        assert_eq!(place(r#"{"city_name":" ","country_iso_code":""}"#), Fact::unknown(Why::NoData));
        let country = place(r#"{"country_iso_code":"ES"}"#);
        assert_eq!(country.known().and_then(|place| place.country_code.as_deref()), Some("ES"));
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
