//! AbuseIPDB: how sure its reporters are that an address is abusive, in one request (API version 2).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::keyed::{Client, Keyed};
use super::quota::Period;
use super::remote::{self, Answer};
use super::{Fact, Found, Place, Reputation, Why};
use crate::words;

/// How old a report may be, in days: the service's own default is 30, its longest 365.
const MAX_AGE_DAYS: u32 = 90;

/// The client of one account.
pub type AbuseIpdb = Client<Api>;

/// What tells this service from others.
pub enum Api {}

impl Keyed for Api {
    const NAME: &'static str = "AbuseIPDB";
    const LEDGER_NAME: &'static str = "abuseipdb";
    const KEY_HEADER: &'static str = "key";
    /// It publishes no limit by the minute; this one only keeps a storm of logins from using up the day.
    const PER_MINUTE: u32 = 60;
    const PERIOD: Period = Period::Day;

    type Answer = Check;

    fn path(address: IpAddr) -> Option<String> {
        // An address of version 6 has colons, which a query may hold as they are (RFC 3986).
        Some(format!("/api/v2/check?ipAddress={address}&maxAgeInDays={MAX_AGE_DAYS}"))
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
}

/// The answer, as far as it is used.
#[derive(Deserialize)]
pub struct Check {
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
pub struct Checked {
    reputation: Reputation,
    country_code: Option<String>,
}

impl Answer for Check {
    type Fact = Checked;

    fn fact(self) -> Fact<Checked> {
        let Some(confidence) = self.data.abuse_confidence_score else { return Fact::unknown(Why::NoData) };
        let Some(score) = remote::score(confidence) else { return Fact::unknown(Why::Garbled) };
        let (times, is_tor) = (self.data.total_reports.unwrap_or(0), self.data.is_tor == Some(true));
        let usage = remote::text(self.data.usage_type);
        let said = words::risk::reported(times, score, is_tor, usage.as_deref());
        let reason = Some(words::risk::said_by(Api::NAME, said));
        let reputation = Reputation { score, reason, asn: None };
        Fact::Known(Checked { reputation, country_code: remote::text(self.data.country_code) })
    }
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
