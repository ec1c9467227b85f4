//! The section `[enrich]` and those within it.

use std::path::{Path, PathBuf};

use super::section::{self, Section};
use super::{known_keys, values};
use crate::config::{Databases, Enrich, KeyedService, List, ThreatJammer};

pub(super) fn enrich(section: &mut Section<'_, '_>) -> Enrich {
    let default = Enrich::default();
    let abuseipdb = (KeyedService::ABUSEIPDB_URL, "requests_per_day", KeyedService::ABUSEIPDB_REQUESTS);
    let crowdsec = (KeyedService::CROWDSEC_URL, "requests_per_day", KeyedService::CROWDSEC_REQUESTS);
    let greynoise = (KeyedService::GREYNOISE_URL, "requests_per_week", KeyedService::GREYNOISE_REQUESTS);
    Enrich {
        deadline: section.duration("deadline", values::WAIT).unwrap_or(default.deadline),
        reverse_dns: section.flag("reverse_dns").unwrap_or(default.reverse_dns),
        threat_jammer: section
            .subsection("threat_jammer", known_keys("enrich.threat_jammer"))
            .map(|mut section| threat_jammer(&mut section)),
        abuseipdb: section
            .subsection("abuseipdb", known_keys("enrich.abuseipdb"))
            .map(|mut section| keyed(&mut section, abuseipdb)),
        crowdsec: section
            .subsection("crowdsec", known_keys("enrich.crowdsec"))
            .map(|mut section| keyed(&mut section, crowdsec)),
        greynoise: section
            .subsection("greynoise", known_keys("enrich.greynoise"))
            .map(|mut section| keyed(&mut section, greynoise)),
        databases: section
            .subsection("databases", known_keys("enrich.databases"))
            .map(|mut section| databases(&mut section))
            .unwrap_or_default(),
        lists: section.named_subsections("lists", known_keys("enrich.lists.example"), list),
    }
}

fn threat_jammer(section: &mut Section<'_, '_>) -> ThreatJammer {
    ThreatJammer {
        token: section.secret(["token", "token_file", "token_env"], values::token),
        base_url: section
            .text("base_url", values::base_url)
            .unwrap_or_else(|| ThreatJammer::DEFAULT_BASE_URL.to_owned()),
        cache_ttl: section.duration("cache_ttl", values::CACHE).unwrap_or(ThreatJammer::DEFAULT_CACHE_TTL),
        requests_per_minute: section
            .integer("requests_per_minute", 1, 1_000_000)
            .unwrap_or(ThreatJammer::DEFAULT_REQUESTS_PER_MINUTE),
        requests_per_month: section
            .integer("requests_per_month", 1, 1_000_000_000)
            .unwrap_or(ThreatJammer::DEFAULT_REQUESTS_PER_MONTH),
    }
}

/// A service with a key: its own address, the key of its quota, and what the free plan allows.
fn keyed(
    section: &mut Section<'_, '_>,
    (base_url, quota_key, quota): (&str, &'static str, u32),
) -> KeyedService {
    KeyedService {
        key: section.secret(["key", "key_file", "key_env"], values::token),
        base_url: section.text("base_url", values::base_url).unwrap_or_else(|| base_url.to_owned()),
        cache_ttl: section.duration("cache_ttl", values::CACHE).unwrap_or(KeyedService::DEFAULT_CACHE_TTL),
        requests: section.integer(quota_key, 1, 1_000_000_000).unwrap_or(quota),
    }
}

fn databases(section: &mut Section<'_, '_>) -> Databases {
    Databases {
        city: section.text("city", path),
        country: section.text("country", path),
        asn: section.text("asn", path),
    }
}

fn list(name: &str, section: &mut Section<'_, '_>) -> Option<List> {
    let path = section.required("path", path);
    let points = section.integer("points", 0, 100);
    Some(List { name: name.to_owned(), path: path?, points })
}

fn path(text: &str) -> Result<PathBuf, String> {
    section::absolute(text).map(Path::to_owned)
}
