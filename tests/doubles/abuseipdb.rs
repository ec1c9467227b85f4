//! A double of AbuseIPDB's `check`, by its documentation: the confidence is the last number of the address.

use crate::http::{Reply, Request};

/// The answer to a request with this key.
pub(crate) fn answer(request: &Request, key: &str) -> Reply {
    if request.header("key") != Some(key) {
        let detail = "Authentication failed. Your API key is either missing, incorrect, or revoked.";
        return Reply::new(401, format!(r#"{{"errors":[{{"detail":"{detail}","status":401}}]}}"#));
    }
    let Some(query) = request.path.strip_prefix("/api/v2/check?") else {
        return Reply::new(404, r#"{"errors":[{"detail":"Not found","status":404}]}"#);
    };
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let days = value("maxAgeInDays").map_or(Ok(30), str::parse::<u32>);
    let address = value("ipAddress").and_then(|address| address.parse::<std::net::IpAddr>().ok());
    let (Some(address), Ok(1..=365)) = (address, days) else {
        let detail =
            "The ip address must be a valid IPv4 or IPv6 address (e.g. 8.8.8.8 or 2001:4860:4860::8888).";
        return Reply::new(422, format!(r#"{{"errors":[{{"detail":"{detail}","status":422}}]}}"#));
    };
    let score: u32 = address.to_string().rsplit(['.', ':']).next().unwrap().parse().unwrap_or(0);
    Reply::new(
        200,
        format!(
            r#"{{"data":{{"ipAddress":"{address}","isPublic":true,"ipVersion":4,"isWhitelisted":false,
            "abuseConfidenceScore":{score},"countryCode":"ES","usageType":"Fixed Line ISP","isp":"Xtra Telecom",
            "domain":"xtratelecom.es","hostnames":[],"isTor":false,"totalReports":3,"numDistinctUsers":2,
            "lastReportedAt":"2026-11-20T20:55:14+00:00"}}}}"#
        ),
    )
}
