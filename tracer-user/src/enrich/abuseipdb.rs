//! AbuseIPDB: how sure its reporters are that an address is abusive, in one request (API version 2).

use std::cell::RefCell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use jiff::Timestamp;
use reqwest::header::HeaderName;
use serde::{Deserialize, Serialize};

use super::quota::{Limits, Period};
use super::remote::{self, Answer, Remote, Service};
use super::{Fact, Found, Ledger, Place, Reputation, Source, Why};
use crate::config::KeyedService;

/// How old a report may be, in days: the service's own default is 30, its longest 365.
const MAX_AGE_DAYS: u32 = 90;
/// It publishes no limit by the minute; this one only keeps a storm of logins from using up the day.
const PER_MINUTE: u32 = 60;

/// The client of one account.
pub struct AbuseIpdb(Remote);

impl AbuseIpdb {
    pub fn new(config: KeyedService, client: reqwest::Client, ledger: Rc<dyn Ledger>) -> Self {
        let service = Service {
            name: "AbuseIPDB",
            ledger_name: "abuseipdb",
            base_url: config.base_url,
            header: (HeaderName::from_static("key"), ""),
            key: config.key,
            cache_ttl: config.cache_ttl,
            limits: Limits { per_minute: PER_MINUTE, per_period: config.requests, period: Period::Day },
        };
        Self(Remote::new(service, client, ledger))
    }
}

impl Source for AbuseIpdb {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn promise(&self) -> Found {
        found(Fact::unknown(Why::Deadline))
    }

    fn at_hand(&self, address: IpAddr, now: Timestamp) -> Option<Found> {
        self.0.remembered::<Check>(&path(address), now).map(found)
    }

    fn ask<'a>(
        &'a self,
        address: IpAddr,
        answer: &'a RefCell<Found>,
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let fact = self.0.get::<Check>(&path(address)).await;
            *answer.borrow_mut() = found(fact);
        })
    }
}

fn path(address: IpAddr) -> String {
    // An address of version 6 has colons, which a query may hold as they are (RFC 3986).
    format!("/api/v2/check?ipAddress={address}&maxAgeInDays={MAX_AGE_DAYS}")
}

/// The answer, as far as it is used.
#[derive(Deserialize)]
struct Check {
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    abuse_confidence_score: Option<f64>,
    country_code: Option<String>,
    usage_type: Option<String>,
    is_tor: Option<bool>,
    total_reports: Option<u64>,
}

/// What is kept of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Checked {
    reputation: Reputation,
    country_code: Option<String>,
}

impl Answer for Check {
    type Fact = Checked;

    fn fact(self) -> Fact<Checked> {
        let Some(confidence) = self.data.abuse_confidence_score else { return Fact::unknown(Why::NoData) };
        let Some(score) = remote::score(confidence) else { return Fact::unknown(Why::Garbled) };
        let mut reason = match self.data.total_reports {
            Some(1) => "AbuseIPDB: reported once".to_owned(),
            Some(reports) if reports > 0 => format!("AbuseIPDB: reported {reports} times"),
            Some(_) | None => "AbuseIPDB: not reported".to_owned(),
        };
        reason.push_str(&format!(", {score} % sure of abuse"));
        if self.data.is_tor == Some(true) {
            reason.push_str(", Tor exit");
        }
        if let Some(usage) = remote::text(self.data.usage_type) {
            reason.push_str(&format!(", {usage}"));
        }
        let reputation = Reputation { score, reason: Some(reason), asn: None };
        Fact::Known(Checked { reputation, country_code: remote::text(self.data.country_code) })
    }
}

fn found(fact: Fact<Checked>) -> Found {
    let (reputation, place) = match fact {
        Fact::Known(Checked { reputation, country_code }) => {
            let place = match country_code {
                Some(code) => Fact::Known(Place { city: None, region: None, country_code: Some(code) }),
                None => Fact::unknown(Why::NoData),
            };
            (Fact::Known(reputation), place)
        }
        Fact::Unknown { why } => (Fact::unknown(why), Fact::unknown(why)),
    };
    Found { reputation: Some(reputation), place: Some(place), ..Found::default() }
}

#[cfg(test)]
mod tests {
    use super::super::remote::read_answer;
    use super::*;

    #[test]
    fn reads_the_documented_answer() {
        let body = br#"{"data":{"ipAddress":"118.25.6.39","isPublic":true,"ipVersion":4,"isWhitelisted":false,
            "abuseConfidenceScore":85,"countryCode":"CN","countryName":"China",
            "usageType":"Data Center/Web Hosting/Transit","isp":"Tencent","domain":"tencent.com","hostnames":[],
            "isTor":false,"totalReports":37,"numDistinctUsers":12,"lastReportedAt":"2026-11-20T20:55:14+00:00"}}"#;
        let fact = read_answer::<Check>(body);
        let checked = fact.known().unwrap();
        assert_eq!((checked.reputation.score, checked.country_code.as_deref()), (85, Some("CN")));
        assert_eq!(
            checked.reputation.reason.as_deref(),
            Some("AbuseIPDB: reported 37 times, 85 % sure of abuse, Data Center/Web Hosting/Transit")
        );
    }

    #[test]
    fn a_score_that_is_none_is_unknown() {
        for (body, why) in [
            (r#"{"data":{}}"#, Why::NoData),
            (r#"{"data":{"abuseConfidenceScore":null}}"#, Why::NoData),
            (r#"{"data":{"abuseConfidenceScore":101}}"#, Why::Garbled),
            (r#"{"data":{"abuseConfidenceScore":"0"}}"#, Why::Garbled),
            (r#"{"errors":[{"detail":"x","status":422}]}"#, Why::Garbled),
            ("{}", Why::Garbled),
            ("", Why::Garbled),
        ] {
            assert_eq!(read_answer::<Check>(body.as_bytes()), Fact::unknown(why), "{body}");
        }
    }
}
