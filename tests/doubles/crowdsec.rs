//! A double of CrowdSec's CTI (`/v2/smoke`), by its documentation: the score is a twentieth of the last number of the
//! address; what ends in 0 was never seen.

use crate::http::{Reply, Request};

/// The answer to a request with this key.
pub(crate) fn answer(request: &Request, key: &str) -> Reply {
    if request.header("x-api-key") != Some(key) {
        return Reply::new(403, r#"{"message":"Forbidden"}"#);
    }
    let address = request.path.strip_prefix("/v2/smoke/").and_then(|address| address.parse().ok());
    let Some(address): Option<std::net::IpAddr> = address else {
        return Reply::new(400, r#"{"message":"Invalid IP address"}"#);
    };
    let last: u32 = address.to_string().rsplit(['.', ':']).next().unwrap().parse().unwrap_or(0);
    if last == 0 {
        return Reply::new(404, r#"{"message":"IP address information not found"}"#);
    }
    let total = last.min(100) / 20;
    Reply::new(
        200,
        format!(
            r#"{{"ip":"{address}","ip_range":"193.146.0.0/16","ip_range_score":{total},"as_name":"XTRA TELECOM",
            "as_num":15704,"location":{{"country":"ES","city":"Madrid","latitude":40.4,"longitude":-3.7}},
            "reverse_dns":null,"background_noise_score":{total},
            "behaviors":[{{"name":"ssh:bruteforce","label":"SSH Bruteforce","description":"..."}}],
            "history":{{"first_seen":"2026-01-01T00:00:00+00:00","last_seen":"2026-11-20T00:00:00+00:00"}},
            "classifications":{{"false_positives":[],"classifications":[]}},"attack_details":[],"target_countries":{{}},
            "scores":{{"overall":{{"aggressiveness":1,"threat":1,"trust":1,"anomaly":1,"total":{total}}}}},
            "references":[]}}"#
        ),
    )
}
